"""What the formats of the API's description mean, for those who make values of them."""

import json
import re
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

# All lower case: a mixed case would have to be the right checksum.
schemathesis.openapi.format("ethereum-address", st.binary(min_size=20, max_size=20).map(lambda address: "0x" + address.hex()))

# Of the newest and the oldest run, in both directions: no cursor but the server's own is one.
schemathesis.openapi.format(
    "cursor",
    st.builds(
        lambda direction, run: f"1:{direction}:i.{run}:".encode().hex(),
        st.sampled_from("np"),
        st.integers(min_value=0, max_value=9),
    ),
)


def ids(values):
    """Takes numbers that no 64-bit integer with a sign holds out of the range of ids: the server takes ids below 2^64, the format says 2^63."""
    too_large = lambda value: str(value).isdecimal() and 2**63 <= int(value) < 2**64
    return values and {name: int(value) + 2**64 if too_large(value) else value for name, value in values.items()}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Ids are what they are said to be, whoever made them up."""
    case.path_parameters = ids(case.path_parameters)
    case.query = ids(case.query)


@schemathesis.hook
def map_query(context, query):
    """A cursor stands alone: the description cannot say so of a parameter."""
    if query and "cursor" in query and context.operation.path in ("/api/runs", "/api/agents", "/api/posters"):
        return {name: value for name, value in query.items() if name in ("cursor", "limit", "minBlock")}
    return query


# As they are written: the description beside a reference is the operation's own, and is lost where references are followed.
DOCUMENT = json.loads((Path(__file__).parents[1] / "crates/api/openapi.json").read_text())
PATHS = DOCUMENT["paths"]


@schemathesis.hook
def filter_case(context, case):
    """An optional member may be null as well, which the description keeps to itself: many readers know no member of two types. And what an answer
    leaves null, as the agent of a run that has none, is no id to go on with."""
    if None in (case.path_parameters or {}).values():
        return False
    operation, body = PATHS.get(case.operation.path, {}).get(case.operation.method.lower(), {}), case.body
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    required = DOCUMENT["components"]["schemas"].get(name, schema).get("required", [])
    return not isinstance(body, dict) or all(member is not None or name in required for name, member in body.items())


CODE = re.compile("`([a-z][a-z0-9_]*)`")


@schemathesis.check
def documented_problem_code(ctx, response, case):
    """The code of a problem is one that the operation names at its status, or the response that it shares with others does."""
    operation = PATHS[case.operation.path].get(case.method.lower())
    # A method that is not there has no codes, and 405 for all.
    if response.status_code < 400 or operation is None:
        return
    own = operation["responses"].get(str(response.status_code), {})
    shared = DOCUMENT["components"]["responses"].get(own.get("$ref", "").rpartition("/")[2], {})
    named = own.get("description", "") + shared.get("description", "")
    code = response.json()["code"]
    # The contracts may refuse in words of their own.
    if code not in CODE.findall(named) and "code of an error of the contracts" not in named:
        raise AssertionError(f"{response.status_code} {code} is not among {named}")

"""What the formats of the API's description mean, for those who make values of them."""

import re

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


def below_2_64(values):
    """Brings numbers into the range of ids, which the description can only put into words."""
    return values and {name: value % 2**64 if type(value) is int and value > 0 else value for name, value in values.items()}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Ids are below 2^64."""
    return below_2_64(path_parameters)


@schemathesis.hook
def map_query(context, query):
    """Ids are below 2^64, and a cursor stands alone: the description cannot say so of a parameter."""
    query = below_2_64(query)
    if query and "cursor" in query and context.operation.path in ("/api/runs", "/api/agents"):
        return {name: value for name, value in query.items() if name in ("cursor", "limit", "minBlock")}
    return query


CODE = re.compile("`([a-z][a-z0-9_]*)`")


@schemathesis.check
def documented_problem_code(ctx, response, case):
    """The code of a problem is one that the operation names at its status: the schema of all problems knows all codes."""
    if response.status_code < 400:
        return
    named = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("description", "")
    code = response.json()["code"]
    # The contracts may refuse in words of their own.
    if code not in CODE.findall(named) and "code of an error of the contracts" not in named:
        raise AssertionError(f"{response.status_code} {code} is not among {named}")

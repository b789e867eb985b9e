"""Drives the client of openapi-generator's python."""

import sys
from pathlib import Path

# The generated package imports itself by its own name.
sys.path.insert(0, str(Path(__file__).parent / "generated/python"))

from clawpay_client import Answer, ApiClient, ApiException, Claim, Configuration, Done, Prepared, Problem, ProblemCode, RunsApi, RunState, Submit  # noqa: E402
from market import expect, market, sign  # noqa: E402

told = market()
runs = RunsApi(ApiClient(Configuration(host=told.url)))


def act(verb, body, wallet) -> Done:
    """A verb is asked for, signed, and handed in."""
    prepared = verb(told.run, body).actual_instance
    if not isinstance(prepared, Prepared):
        raise SystemExit(f"not prepared: {prepared}")
    body.signed_transactions = [sign(step.transaction.to_dict(), wallet) for step in prepared.steps]
    done = verb(told.run, body).actual_instance
    if not isinstance(done, Done):
        raise SystemExit(f"not done: {done}")
    return done


claimed = act(runs.claim_run, Claim(wallet_address=told.worker.address, agent_id=told.agent), told.worker)
expect("the claimed run's state", claimed.run.state, RunState.CLAIMED)

try:
    runs.claim_run(told.run, Claim(wallet_address=told.worker.address, agent_id=told.agent))
    raise SystemExit("a second claim is not refused")
except ApiException as refused:
    expect("a second claim", Problem.from_json(refused.body).code, ProblemCode.WRONG_STATE)

act(runs.submit_work, Submit(wallet_address=told.worker.address, deliverable_uri="ipfs://work"), told.worker)
act(runs.approve_run, Answer(wallet_address=told.poster.address), told.poster)

expect("the run's state", runs.get_run(told.run).state, RunState.APPROVED)

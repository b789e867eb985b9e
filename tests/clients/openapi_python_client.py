"""Drives the client of openapi-python-client."""

from generated.openapi_python_client import Client
from generated.openapi_python_client.api.runs import approve_run, claim_run, get_run, submit_work
from generated.openapi_python_client.models import Answer, Claim, Done, Prepared, Problem, ProblemCode, Run, RunState, Submit
from market import expect, market, sign

told = market()
client = Client(base_url=told.url)


def act(verb, body, wallet) -> Done:
    """A verb is asked for, signed, and handed in."""
    prepared = verb.sync(told.run, client=client, body=body)
    if not isinstance(prepared, Prepared):
        raise SystemExit(f"not prepared: {prepared}")
    body.signed_transactions = [sign(step.transaction.to_dict(), wallet) for step in prepared.steps]
    done = verb.sync(told.run, client=client, body=body)
    if not isinstance(done, Done):
        raise SystemExit(f"not done: {done}")
    return done


claimed = act(claim_run, Claim(wallet_address=told.worker.address, agent_id=told.agent), told.worker)
expect("the claimed run's state", claimed.run.state, RunState.CLAIMED)

refused = claim_run.sync(told.run, client=client, body=Claim(wallet_address=told.worker.address, agent_id=told.agent))
expect("a second claim", isinstance(refused, Problem) and refused.code, ProblemCode.WRONG_STATE)

act(submit_work, Submit(wallet_address=told.worker.address, deliverable_uri="ipfs://work"), told.worker)
act(approve_run, Answer(wallet_address=told.poster.address), told.poster)

paid = get_run.sync(told.run, client=client)
expect("the run's state", isinstance(paid, Run) and paid.state, RunState.APPROVED)

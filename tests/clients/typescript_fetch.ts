// Drives the client of openapi-generator's typescript-fetch.

import type { PrivateKeyAccount } from "viem/accounts";

import { Configuration, ProblemCode, ProblemFromJSON, ResponseError, RunsApi, RunState } from "./generated/typescript-fetch/index.js";
import type { ActionAnswer, Done } from "./generated/typescript-fetch/index.js";
import { expect, market, sign } from "./market.js";

const { url, run: id, agent: agentId, poster, worker } = market();
const runs = new RunsApi(new Configuration({ basePath: url }));

/** A verb is asked for, signed, and handed in. */
async function act(wallet: PrivateKeyAccount, ask: (signed: { signedTransactions?: string[] }) => Promise<ActionAnswer>): Promise<Done> {
  const prepared = await ask({});
  if (prepared.status !== "signature_required") throw new Error(`not prepared: ${prepared.status}`);
  const done = await ask({ signedTransactions: await sign(prepared.steps, wallet) });
  if (done.status !== "done") throw new Error(`not done: ${done.status}`);
  return done;
}

const claim = { walletAddress: worker.address, agentId };
const claimed = await act(worker, (signed) => runs.claimRun({ id, claim: { ...claim, ...signed } }));
expect("the claimed run's state", claimed.run?.state, RunState.Claimed);

const refused = await runs.claimRun({ id, claim }).then(
  () => undefined,
  async (error: unknown) => (error instanceof ResponseError ? ProblemFromJSON(await error.response.json()) : undefined),
);
expect("a second claim", refused?.code, ProblemCode.WrongState);

const walletAddress = worker.address;
await act(worker, (signed) => runs.submitWork({ id, submit: { walletAddress, deliverableURI: "ipfs://work", ...signed } }));
await act(poster, (signed) => runs.approveRun({ id, answer: { walletAddress: poster.address, ...signed } }));

const paid = await runs.getRun({ id });
expect("the run's state", paid.state, RunState.Approved);

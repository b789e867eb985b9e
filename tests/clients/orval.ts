// Drives the client of orval.

import type { PrivateKeyAccount } from "viem/accounts";

import { approveRun, claimRun, getRun, submitWork } from "./generated/orval.js";
import type { ActionAnswer, approveRunResponse, claimRunResponse, Done, submitWorkResponse } from "./generated/orval.js";
import { expect, market, sign } from "./market.js";
import { at } from "./orval_fetch.js";

type Answer = claimRunResponse | submitWorkResponse | approveRunResponse;

const { url, run, agent, poster, worker } = market();
at(url);

function read(answer: Answer): ActionAnswer {
  if (answer.status === 200 || answer.status === 202) return answer.data;
  throw new Error(answer.data.detail);
}

/** A verb is asked for, signed, and handed in. */
async function act(wallet: PrivateKeyAccount, ask: (signed: { signedTransactions?: string[] }) => Promise<Answer>): Promise<Done> {
  const prepared = read(await ask({}));
  if (prepared.status !== "signature_required") throw new Error(`not prepared: ${prepared.status}`);
  const done = read(await ask({ signedTransactions: await sign(prepared.steps, wallet) }));
  if (done.status !== "done") throw new Error(`not done: ${done.status}`);
  return done;
}

const claim = { walletAddress: worker.address, agentId: agent };
const claimed = await act(worker, (signed) => claimRun(run, { ...claim, ...signed }));
expect("the claimed run's state", claimed.run?.state, "CLAIMED");

const refused = await claimRun(run, claim);
if (refused.status !== 400) throw new Error(`a second claim answers ${refused.status}`);
expect("a second claim", refused.data.code, "wrong_state");

await act(worker, (signed) => submitWork(run, { walletAddress: worker.address, deliverableURI: "ipfs://work", ...signed }));
await act(poster, (signed) => approveRun(run, { walletAddress: poster.address, ...signed }));

const paid = await getRun(run);
if (paid.status !== 200) throw new Error(`the run answers ${paid.status}`);
expect("the run's state", paid.data.state, "APPROVED");

// Drives the types of openapi-typescript, by openapi-fetch.

import createClient from "openapi-fetch";
import type { PrivateKeyAccount } from "viem/accounts";

import type { components, paths } from "./generated/openapi-typescript.js";
import { expect, market, never, sign } from "./market.js";

type Schemas = components["schemas"];

const { url, run, agent, poster, worker } = market();
const client = createClient<paths>({ baseUrl: url });
const params = { path: { id: run } };

/** A verb is asked for, signed, and handed in. */
async function act(
  wallet: PrivateKeyAccount,
  ask: (signed: { signedTransactions?: string[] }) => Promise<{ data?: Schemas["ActionAnswer"]; error?: Schemas["Problem"] }>,
): Promise<Schemas["Done"]> {
  const { data: prepared, error } = await ask({});
  if (error !== undefined) throw new Error(error.detail);
  if (prepared?.status !== "signature_required") throw new Error(`not prepared: ${JSON.stringify(prepared)}`);
  const { data: answer } = await ask({ signedTransactions: await sign(prepared.steps, wallet) });
  if (answer?.status !== "done") throw new Error(`not done: ${JSON.stringify(answer)}`);
  return answer;
}

const claim = { walletAddress: worker.address, agentId: agent };
const claimed = await act(worker, (signed) => client.POST("/api/runs/{id}/claim", { params, body: { ...claim, ...signed } }));
expect("the claimed run's state", claimed.run?.state, "CLAIMED");

const { error: refused } = await client.POST("/api/runs/{id}/claim", { params, body: claim });
const wrongState: Schemas["ProblemCode"] = "wrong_state";
expect("a second claim", refused?.code, wrongState);

const delivery = { walletAddress: worker.address, deliverableURI: "ipfs://work" };
await act(worker, (signed) => client.POST("/api/runs/{id}/submit", { params, body: { ...delivery, ...signed } }));
const approval = { walletAddress: poster.address };
await act(poster, (signed) => client.POST("/api/runs/{id}/approve", { params, body: { ...approval, ...signed } }));

const { data: paid } = await client.GET("/api/runs/{id}", { params });
expect("the run's state", paid?.state, "APPROVED");

/** Compiles only while a step's words are a closed list, and typed data are not empty objects. */
export function known(step: Schemas["Step"], typedData: Schemas["TypedData"]): string {
  const [member] = typedData.types[typedData.primaryType] ?? [];
  const value: unknown = typedData.message["owner"];
  if (step.kind !== "transaction") return never(step.kind);
  const id: "claim" | "submit" | "approve" | undefined = step.id === "claim" || step.id === "submit" ? step.id : undefined;
  return `${id} ${member?.name} ${member?.type} ${String(value)}`;
}

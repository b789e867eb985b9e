// What every driver is told, and how its wallets sign.

import { readFileSync } from "node:fs";

import type { Hex, TransactionSerializable } from "viem";
import { privateKeyToAccount, type PrivateKeyAccount } from "viem/accounts";

/** The market, and the run that this client is to play. */
export interface Market {
  url: string;
  run: number;
  agent: number;
  poster: PrivateKeyAccount;
  worker: PrivateKeyAccount;
}

/** A prepared transaction, as every generated client has it. */
export interface Prepared {
  chainId: string;
  to: string;
  data: string;
  value: string;
  gas: string;
  nonce: string;
  maxFeePerGas?: string;
  maxPriorityFeePerGas?: string;
  gasPrice?: string;
}

/** Reads the market from standard input. */
export function market(): Market {
  const { url, run, agent, posterKey, workerKey } = JSON.parse(readFileSync(0, "utf8"));
  return { url, run, agent, poster: privateKeyToAccount(posterKey), worker: privateKeyToAccount(workerKey) };
}

/** Signs the steps in their order. */
export function sign(steps: readonly { transaction: Prepared }[], wallet: PrivateKeyAccount): Promise<Hex[]> {
  return Promise.all(steps.map(({ transaction }) => wallet.signTransaction(serializable(transaction))));
}

function serializable(transaction: Prepared): TransactionSerializable {
  const { chainId, nonce, to, data, value, gas, maxFeePerGas, maxPriorityFeePerGas, gasPrice } = transaction;
  const call = { chainId: Number(chainId), nonce: Number(nonce), to: to as Hex, data: data as Hex, value: BigInt(value), gas: BigInt(gas) };
  if (gasPrice !== undefined) return { ...call, type: "legacy", gasPrice: BigInt(gasPrice) };
  if (maxFeePerGas === undefined || maxPriorityFeePerGas === undefined) throw new Error("the transaction has no price");
  return { ...call, type: "eip1559", maxFeePerGas: BigInt(maxFeePerGas), maxPriorityFeePerGas: BigInt(maxPriorityFeePerGas) };
}

/** Ends the driver unless `actual` is what was expected. */
export function expect<T>(what: string, actual: T, expected: T): void {
  if (actual !== expected) throw new Error(`${what} is ${String(actual)}, not ${String(expected)}`);
}

/** For what the types say cannot be: that it compiles is the proof. */
export function never(value: never): never {
  throw new Error(`unexpected: ${JSON.stringify(value)}`);
}

// Signs typed data by two wallets' own libraries, and recovers each signature by the same library.
//
// Reads {"key": "0x...", "typedData": {...}} from standard input, writes {"viem": {...}, "metamask": {...}}, each with the signature and the
// account it recovers to.

import { readFileSync } from "node:fs";

import { recoverTypedSignature, signTypedData, SignTypedDataVersion } from "@metamask/eth-sig-util";
import { recoverTypedDataAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const { key, typedData } = JSON.parse(readFileSync(0, "utf8"));

const account = privateKeyToAccount(key);
const byViem = await account.signTypedData(typedData);

const version = SignTypedDataVersion.V4;
const byMetaMask = signTypedData({ privateKey: Buffer.from(key.slice(2), "hex"), data: typedData, version });

process.stdout.write(
  JSON.stringify({
    viem: { signature: byViem, account: await recoverTypedDataAddress({ ...typedData, signature: byViem }) },
    metamask: {
      signature: byMetaMask,
      account: recoverTypedSignature({ data: typedData, signature: byMetaMask, version }),
    },
  }),
);

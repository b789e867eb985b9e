// Follows a block of the README: does what each line of standard input asks for, and writes the answer as a line.

import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const [way, ...rest] = JSON.parse(line);
  console.log(JSON.stringify(await { act, withPermit, relayed, signed }[way](...rest)));
}

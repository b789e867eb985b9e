// One mutant at a time: compiled into a folder of its own, then judged by the tests. Started by tools/mutants, talks to it by messages.
"use strict";
const { spawn } = require("node:child_process");
const { mkdirSync, writeFileSync } = require("node:fs");
const path = require("node:path");
const { Compiler, OPTIMIZED, QUICK } = require("./compiler.js");

const [tree, artifacts] = process.argv.slice(2);
/** Quick tests first: nearly every mutant ends there. */
const SUITES = ["contracts/test/unit/*", "contracts/test/differential/*"];
/** Seconds of processor time, which a busy machine does not use up: a mutant that takes this long loops. */
const PATIENCE = 300;

const compiler = new Compiler(tree);
const originals = new Map();
/** The test file that noticed the last mutant of a function is likely to notice the next. */
const lastKiller = new Map();

function original(contract, settings) {
  const key = `${contract} ${settings.optimizer.enabled}`;
  if (!originals.has(key)) originals.set(key, compiler.bytecode(contract, new Map(), settings));
  return originals.get(key);
}

/** In the shape that forge deploys from. */
function writeArtifact(contract, bytecode) {
  const folder = path.join(artifacts, `${contract}.sol`);
  mkdirSync(folder, { recursive: true });
  const code = { object: `0x${bytecode}`, linkReferences: {} };
  writeFileSync(path.join(folder, `${contract}.json`), JSON.stringify({ abi: [], bytecode: code, deployedBytecode: code }));
}

/** @returns {Promise<{suite: string, by: string} | null>} the first test that fails and its file, or null where all pass */
function firstFailure(suites) {
  return new Promise((resolve, reject) => {
    const command = [path.join(tree, "node_modules/.bin/forge"), "test", "--match-path", suites, "--fail-fast", "--threads", "1"];
    const forge = spawn("bash", ["-c", `ulimit -S -t ${PATIENCE}; exec "$@"`, "forge", ...command], {
      cwd: tree,
      env: {
        ...process.env,
        CLAWPAY_ARTIFACTS: `${path.relative(tree, artifacts)}/`,
        // What is compiled quickly may be larger than what ships.
        FOUNDRY_CODE_SIZE_LIMIT: "100000",
        FOUNDRY_FUZZ_RUNS: "16",
        FOUNDRY_FUZZ_SEED: "0x5eed",
        NO_COLOR: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    forge.stdout.on("data", (chunk) => (output += chunk));
    forge.stderr.on("data", (chunk) => (output += chunk));
    forge.on("error", reject);
    forge.on("close", (code, signal) => {
      if (signal === "SIGXCPU") return resolve({ suite: suites, by: "a test that does not end" });
      if (code === 0) return resolve(null);
      const failure = output.match(/^Ran \d+ tests? for (\S+):\w+\n(?:\[PASS.*\n)*\[FAIL.*\] (\w+)\(/m);
      // Without a failed test, forge itself did not run: that says nothing about the mutant.
      return failure ? resolve({ suite: failure[1], by: failure[2] }) : reject(new Error(output.slice(-2000)));
    });
  });
}

/** @returns {Promise<{outcome: "invalid" | "identical" | "killed" | "survived", suite?: string, by?: string}>} */
async function judge({ contracts, changed, file, within }) {
  const sources = new Map(changed);
  let differs = false;
  for (const contract of contracts) {
    const bytecode = compiler.bytecode(contract, sources, QUICK);
    if (bytecode === null) return { outcome: "invalid" };
    differs ||= bytecode !== original(contract, QUICK);
    writeArtifact(contract, bytecode);
  }
  const isOriginal = sources.size === 0;
  try {
    if (!differs && !isOriginal) return { outcome: "identical" };
    const place = `${file} ${within}`;
    const suites = lastKiller.has(place) ? [lastKiller.get(place), ...SUITES] : SUITES;
    for (const suite of suites) {
      const failure = await firstFailure(suite);
      if (failure === null) continue;
      if (!failure.suite.includes("*")) lastKiller.set(place, failure.suite);
      return { outcome: "killed", ...failure };
    }
  } finally {
    for (const contract of contracts) writeArtifact(contract, original(contract, QUICK));
  }
  if (isOriginal) return { outcome: "survived" };
  const same = contracts.every((contract) => compiler.bytecode(contract, sources, OPTIMIZED) === original(contract, OPTIMIZED));
  return { outcome: same ? "identical" : "survived" };
}

process.on("message", async (mutant) => {
  try {
    process.send({ index: mutant.index, ...(await judge(mutant)) });
  } catch (error) {
    process.send({ index: mutant.index, outcome: "broken", by: String(error.message) });
  }
});

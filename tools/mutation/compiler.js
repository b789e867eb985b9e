// The contracts' sources, whole or with one change, compiled in this process: the compiler is loaded once and nothing is written.
"use strict";
const { readFileSync, readdirSync } = require("node:fs");
const path = require("node:path");
const solc = require("solc");

const SOURCES = "contracts/src";
const OPENZEPPELIN = "@openzeppelin/";

/** Quick to compile. Tests judge what a mutant does, not what it costs. */
const QUICK = { optimizer: { enabled: false } };
/** Slower; two sources that come out the same here are one program. */
const OPTIMIZED = { optimizer: { enabled: true, runs: 1_000_000 } };

class Compiler {
  #root;
  #files = new Map();

  constructor(root) {
    this.#root = root;
  }

  /** Every source file, by its path from the root. */
  sources() {
    return readdirSync(path.join(this.#root, SOURCES), { recursive: true })
      .filter((name) => name.endsWith(".sol"))
      .map((name) => `${SOURCES}/${name}`)
      .sort();
  }

  read(file) {
    if (!this.#files.has(file)) {
      const place = file.startsWith(OPENZEPPELIN) ? path.join(this.#root, "node_modules", file) : path.join(this.#root, file);
      this.#files.set(file, readFileSync(place));
    }
    return this.#files.get(file);
  }

  /** The syntax trees of our sources, by path. */
  trees() {
    const output = this.#compile(this.sources(), new Map(), QUICK, { "*": { "": ["ast"] } });
    return new Map(this.sources().map((file) => [file, output.sources[file].ast]));
  }

  /**
   * @param {string} contract its name, which is its file's
   * @param {Map<string, string>} changed files that read otherwise here
   * @returns {string | null} creation bytecode in hex, or null where the compiler refuses
   */
  bytecode(contract, changed, settings) {
    const file = `${SOURCES}/${contract}.sol`;
    const output = this.#compile([file], changed, settings, { [file]: { [contract]: ["evm.bytecode.object"] } });
    return output.contracts?.[file]?.[contract]?.evm.bytecode.object || null;
  }

  #compile(files, changed, settings, outputSelection) {
    const content = (file) => changed.get(file) ?? this.read(file).toString("utf8");
    const input = {
      language: "Solidity",
      sources: Object.fromEntries(files.map((file) => [file, { content: content(file) }])),
      settings: { evmVersion: "prague", metadata: { bytecodeHash: "none", appendCBOR: false }, ...settings, outputSelection },
    };
    return JSON.parse(solc.compile(JSON.stringify(input), { import: (file) => ({ contents: content(file) }) }));
  }
}

module.exports = { Compiler, OPTIMIZED, QUICK, SOURCES };

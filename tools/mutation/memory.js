// Which mutants are known to be killed: where neither the contracts, the mutation, nor the test file that noticed it and what that file
// imports have changed, a second trial would end like the first.
"use strict";
const { createHash } = require("node:crypto");
const { existsSync, readFileSync, readdirSync, writeFileSync } = require("node:fs");
const path = require("node:path");

class Memory {
  #tree;
  #store;
  #support;
  #suites = new Map();
  #kills;

  /**
   * @param {string} tree the sources and tests in use
   * @param {string} store the file to remember in
   */
  constructor(tree, store) {
    this.#tree = tree;
    this.#store = store;
    this.#kills = existsSync(store) ? JSON.parse(readFileSync(store, "utf8")) : {};
    const folder = (place) => readdirSync(path.join(tree, place), { recursive: true }).map((name) => path.join(place, name));
    const files = [...folder("contracts/src"), ...folder("tests/vectors")].filter((name) => path.extname(name) !== "").sort();
    this.#support = this.#hash(["foundry.toml", ...files]);
  }

  /** @returns {{suite: string, by: string} | undefined} */
  recall(mutant) {
    const kill = this.#kills[this.#key(mutant)];
    return kill && this.#suite(kill.suite) === kill.hash ? { suite: kill.suite, by: kill.by } : undefined;
  }

  remember(mutant, { suite, by }) {
    if (suite.endsWith(".sol")) this.#kills[this.#key(mutant)] = { suite, by, hash: this.#suite(suite) };
  }

  save() {
    writeFileSync(this.#store, JSON.stringify(this.#kills));
  }

  #key({ changed }) {
    return createHash("sha256").update(this.#support).update(JSON.stringify(changed)).digest("hex");
  }

  #suite(file) {
    if (!this.#suites.has(file)) this.#suites.set(file, this.#hash([...this.#imports(file)].sort()));
    return this.#suites.get(file);
  }

  /** A test file and the tests' own files that it is made of; the contracts count in whole. */
  #imports(file, files = new Set()) {
    if (files.has(file) || !file.startsWith("contracts/test/") || !existsSync(path.join(this.#tree, file))) return files;
    files.add(file);
    for (const [, imported] of readFileSync(path.join(this.#tree, file), "utf8").matchAll(/from "(\.[^"]+)";$/gm)) {
      this.#imports(path.posix.join(path.posix.dirname(file), imported), files);
    }
    return files;
  }

  #hash(files) {
    const hash = createHash("sha256");
    for (const file of files) hash.update(file).update(readFileSync(path.join(this.#tree, file)));
    return hash.digest("hex");
  }
}

module.exports = { Memory };

// Which modules a Rust crate has and which of them each one names, from `use` and from paths. What only tests see, comments and texts are
// left out. rustc has read the code before: this only has to find names in it.
"use strict";
const { existsSync, readFileSync } = require("node:fs");
const path = require("node:path");

const LINE_COMMENT = /\/\/[^\n]*/.source;
const BLOCK_COMMENT = /\/\*[\s\S]*?\*\//.source;
const PATH_ATTRIBUTE = /#\[path = "[^"]*"\]/.source;
const TEXT = /\b[bc]?r(#*)"[\s\S]*?"\1|\b[bc]?"(?:\\[\s\S]|[^"\\])*"|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^\n]+?|[^'\\\n])'/.source;
const NOT_CODE = new RegExp(`${LINE_COMMENT}|${BLOCK_COMMENT}|${PATH_ATTRIBUTE}|${TEXT}`, "g");
const DECLARED = /(?:#\[path = "([^"]*)"\]\s*)?\bmod\s+(\w+)\s*;/g;
const USE = /(pub(?:\([^)]*\))?\s+)?\buse\s+([^;<]+);/g;
const NAMED = /(?<![\w:.$])\$?(?:[a-z_]\w*)(?:\s*::\s*\w+)+/g;

/** The code in a source. */
function codeOf(source) {
  const code = source.replace(NOT_CODE, (token) => {
    if (token.startsWith("#[path")) return token;
    return token.startsWith("/") ? " " : '""';
  });
  return withoutTests(code);
}

/** Without the items that only a test's build has. */
function withoutTests(code) {
  const ATTRIBUTE = "#[cfg(test)]";
  for (let at; (at = code.indexOf(ATTRIBUTE)) !== -1; ) code = code.slice(0, at) + code.slice(endOfItem(code, at + ATTRIBUTE.length));
  return code;
}

/** Where the item that begins at `at` is over: behind its `;` or its `}`. */
function endOfItem(code, at) {
  let depth = 0;
  for (; at < code.length; at++) {
    if (code[at] === "{") depth++;
    if (code[at] === "}" && --depth === 0) return at + 1;
    if (code[at] === ";" && depth === 0) return at + 1;
  }
  return at;
}

/** What a tree such as `a::{b, c as d}` brings in: each path, and its name here. */
function imported(tree, before = []) {
  const brace = tree.indexOf("{");
  if (brace === -1) {
    const [whole, alias] = tree.trim().split(/\s+as\s+/);
    const segments = [...before, ...segmentsOf(whole)].filter((segment, at) => segment !== "self" || at === 0);
    return [{ segments, name: alias ?? segments.at(-1) }];
  }
  const head = [...before, ...segmentsOf(tree.slice(0, brace))];
  return branches(tree.slice(brace + 1, tree.lastIndexOf("}"))).flatMap((branch) => imported(branch, head));
}

const segmentsOf = (text) => text.split("::").map((segment) => segment.trim()).filter(Boolean);

/** The parts of a list that commas outside of braces divide. */
function branches(list) {
  const parts = [""];
  let depth = 0;
  for (const character of list) {
    if (character === "{") depth++;
    if (character === "}") depth--;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts.filter((part) => part.trim());
}

/** The modules of the crate whose root file is `root`: by name, `a::b` for instance, and "" for the root. */
function modulesOf(root) {
  const modules = new Map();
  const load = (name, file, folder) => {
    const code = codeOf(readFileSync(file, "utf8"));
    const module = { name, file, children: new Map(), names: new Map(), globs: [], paths: [] };
    modules.set(name, module);
    for (const [, elsewhere, child] of code.matchAll(DECLARED)) {
      const childName = name === "" ? child : `${name}::${child}`;
      module.children.set(child, childName);
      load(childName, ...fileOf(child, elsewhere && path.join(path.dirname(file), elsewhere), folder));
    }
    for (const [, visibility, tree] of code.matchAll(USE)) {
      for (const { segments, name: here } of imported(tree)) {
        const isGlob = here === "*";
        if (isGlob) segments.pop();
        if (isGlob && visibility) module.globs.push(segments);
        if (!isGlob) module.names.set(here, segments);
        // What is only handed on is not used here: whoever takes it from here is seen to use it.
        if (!visibility) module.paths.push(segments);
      }
    }
    for (const [named] of code.replace(USE, "").matchAll(NAMED)) module.paths.push(segmentsOf(named.replace("$", "")));
  };
  load("", root, path.dirname(root));
  return modules;
}

/** A module's file and the folder of its own modules. */
function fileOf(module, elsewhere, folder) {
  if (elsewhere) return [elsewhere, path.dirname(elsewhere)];
  const flat = path.join(folder, `${module}.rs`);
  const inner = path.join(folder, module);
  return [existsSync(flat) ? flat : path.join(inner, "mod.rs"), inner];
}

/** The module in which `segments`, as written in the module `from`, lead to an item; nothing if they lead out of the crate. */
function holderOf(modules, from, segments, depth = 0) {
  const MOST_REEXPORTS = 20;
  if (depth > MOST_REEXPORTS) return undefined;
  let at = from;
  const rest = [...segments];
  if (rest[0] === "crate") {
    at = "";
    rest.shift();
  } else if (rest[0] === "self") {
    rest.shift();
  } else if (rest[0] === "super") {
    for (; rest[0] === "super"; rest.shift()) at = at.split("::").slice(0, -1).join("::");
  } else if (!modules.get(from).children.has(rest[0]) && !modules.get(from).names.has(rest[0])) {
    return undefined;
  }
  for (; rest.length > 0; rest.shift()) {
    const module = modules.get(at);
    if (module.children.has(rest[0])) {
      at = module.children.get(rest[0]);
      continue;
    }
    const elsewhere = module.names.get(rest[0]);
    const isMacro = elsewhere?.length === 1 && elsewhere[0] === rest[0];
    if (elsewhere && !isMacro) return holderOf(modules, at, [...elsewhere, ...rest.slice(1)], depth + 1);
    return module.globs.map((glob) => holderOf(modules, at, [...glob, ...rest], depth + 1)).find(Boolean) ?? at;
  }
  return at;
}

/** The arrows of a crate: for each module those it names, each with the path it does so by. */
function arrowsOf(root) {
  const modules = modulesOf(root);
  const arrows = new Map();
  for (const { name, paths } of modules.values()) {
    const targets = new Map();
    for (const segments of paths) {
      const target = holderOf(modules, name, segments);
      if (target !== undefined && target !== name) targets.set(target, segments.join("::"));
    }
    arrows.set(name, targets);
  }
  return arrows;
}

module.exports = { arrowsOf };

// Where forge has put the default profile's build of a contract. A library's contract that other profiles have compiled too is in a file
// that names the profile.
"use strict";
const { existsSync, readFileSync } = require("node:fs");
const path = require("node:path");

module.exports = function artifact(name) {
  const stem = path.resolve(__dirname, `../target/forge/out/${name}.sol/${name}`);
  return JSON.parse(readFileSync(existsSync(`${stem}.default.json`) ? `${stem}.default.json` : `${stem}.json`, "utf8"));
};

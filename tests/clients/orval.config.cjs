module.exports = {
  market: {
    input: "../../crates/api/openapi.json",
    output: {
      target: "generated/orval.ts",
      client: "fetch",
      override: { mutator: { path: "orval_fetch.ts", name: "fetchFrom", extension: ".js" } },
    },
  },
};

//! How nodes and providers put their refusals. Shapes, written down from experience with the services; wording and codes change.

use std::fmt;

use serde_json::{Value, json};

/// One provider's words.
pub(crate) struct Provider {
    name: &'static str,
    /// That a range or its result is too large. `{limit}`, `{from}` and `{to}` are filled in: the limit in blocks, and the largest range that
    /// would be answered.
    range: (i64, &'static str),
    /// That too much is asked altogether.
    quota: (i64, &'static str),
    /// That a block is not there.
    unknown_block: (i64, &'static str),
}

pub(crate) const PROVIDERS: [Provider; 13] = [
    Provider {
        name: "Alchemy",
        range: (
            -32602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a {limit} block range and no limit on the response size. Based on your parameters and the response size limit, this block range should work: [{from}, {to}]",
        ),
        quota: (
            429,
            "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can safely ignore this message.",
        ),
        unknown_block: (-32000, "Unknown block"),
    },
    Provider {
        name: "Infura",
        range: (-32005, "query returned more than 10000 results. Try with this block range [{from}, {to}]."),
        quota: (-32005, "daily request count exceeded, request rate limited"),
        unknown_block: (-32001, "unknown block"),
    },
    Provider {
        name: "QuickNode",
        range: (-32614, "eth_getLogs is limited to a {limit} range"),
        quota: (-32007, "50/second request limit reached - reduce calls per second or upgrade your account at quicknode.com"),
        unknown_block: (-32000, "block not found"),
    },
    Provider {
        name: "Ankr",
        range: (-32600, "block range is too wide"),
        quota: (-32029, "Too Many Requests"),
        unknown_block: (-32000, "header not found"),
    },
    Provider {
        name: "Chainstack",
        range: (-32000, "Block range limit exceeded. See more details at https://docs.chainstack.com/docs/limits#evm-range-limits"),
        quota: (-32005, "You've exceeded the RPS limit available on the current plan."),
        unknown_block: (-32000, "unknown block"),
    },
    Provider {
        name: "dRPC",
        range: (35, "ranges over {limit} blocks are not supported on freetier"),
        quota: (15, "Too many requests. Please try again later"),
        unknown_block: (12, "No label for block"),
    },
    Provider {
        name: "PublicNode",
        range: (-32701, "exceed maximum block range: {limit}"),
        quota: (-32005, "rate limit exceeded"),
        unknown_block: (-32000, "unknown block"),
    },
    Provider {
        name: "geth",
        range: (-32002, "request timed out"),
        quota: (-32000, "too many requests"),
        unknown_block: (-32000, "unknown block"),
    },
    Provider {
        name: "Erigon",
        range: (-32000, "query block range exceeds server limit ({limit})"),
        quota: (-32000, "rate limit exceeded"),
        unknown_block: (-32000, "block not found"),
    },
    Provider {
        name: "Nethermind",
        range: (-32005, "eth_getLogs request was canceled due to enabled timeout."),
        quota: (-32005, "Too many requests"),
        unknown_block: (-32001, "Block not found"),
    },
    Provider {
        name: "Reth",
        range: (-32602, "query exceeds max block range {limit}"),
        quota: (-32005, "request rate limited"),
        unknown_block: (-32001, "block not found: hash"),
    },
    Provider {
        name: "Hardhat",
        range: (-32603, "Internal error"),
        quota: (-32603, "Too Many Requests error received"),
        unknown_block: (-32000, "Invalid block hash"),
    },
    Provider {
        name: "nobody yet",
        range: (-31999, "the well is dry for questions this wide"),
        quota: (-31998, "come back later: rate limit"),
        unknown_block: (-31997, "which block?"),
    },
];

impl Provider {
    /// An answer that a range is too large where one of `limit` blocks from `from` is not.
    pub(crate) fn refuse_range(&self, from: u64, limit: u64) -> Value {
        let to = from + limit.max(1) - 1;
        let (code, message) = self.range;
        let message =
            message.replace("{limit}", &limit.to_string()).replace("{from}", &format!("{from:#x}")).replace("{to}", &format!("{to:#x}"));
        error(code, &message)
    }

    pub(crate) fn refuse_quota(&self) -> Value {
        error(self.quota.0, self.quota.1)
    }

    pub(crate) fn refuse_block(&self) -> Value {
        error(self.unknown_block.0, self.unknown_block.1)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An error in JSON-RPC.
pub(crate) fn error(code: i64, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

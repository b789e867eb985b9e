//! What a signer may not have meant.

use alloy::primitives::{Address, U256};
use clawpay_bindings::Call;
use clawpay_domain::{AgentId, RunId, Seconds, Timestamp, Usdc};
use clawpay_store::Content;

use super::{Facts, past::PastAction};
use crate::text::{IsoDate, base_units_hint, begins_as_uri};

/// How long after an action the same one again is called a repetition.
const RECENT: Seconds = Seconds(60 * 60);

/// Something that is allowed, and yet may be a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// Stable.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl Warning {
    /// The wallet has done the same within the hour; nothing if that was earlier.
    pub(super) fn repeated(past: &PastAction, now: Timestamp) -> Option<Self> {
        let PastAction { subject, at, .. } = past;
        let detail = format!("this wallet did the same at {}: see {subject}; signing does it once more", IsoDate(*at));
        (*at + RECENT > now).then_some(Self { code: "REPEATED", detail })
    }

    /// So many transactions of the wallet wait to be mined, and what they do has not happened yet; nothing if none does.
    pub(super) fn waiting(transactions: u64) -> Option<Self> {
        let detail = format!(
            "{transactions} of this wallet's transactions wait to be mined: if one of them is this very action, signing does it once more"
        );
        (transactions > 0).then_some(Self { code: "WAITING", detail })
    }

    /// The wallet has less ether than the steps may cost; nothing if it has enough.
    pub(super) fn short_of_ether(wallet: Address, ether: U256, cost: U256, is_relayed: bool) -> Option<Self> {
        let or = if is_relayed { ", or sign `typedData` in place of the steps" } else { "" };
        let detail = format!("{wallet} has {ether} wei, and the steps may cost {cost} wei of gas: send it ether first{or}");
        (ether < cost).then_some(Self { code: "SHORT_OF_ETHER", detail })
    }

    /// With a deposit of `amount`, an agent has `stake` and still less than the `minimum`.
    pub(super) fn below_minimum_stake(agent: AgentId, amount: Usdc, stake: Usdc, minimum: Usdc) -> Self {
        let hint = if amount < Usdc::whole(1) { format!("; {}", base_units_hint(amount)) } else { String::new() };
        let detail = format!("agent {agent} will have a stake of {stake} USDC and needs {minimum} USDC to claim a run{hint}");
        Self { code: "BELOW_MINIMUM_STAKE", detail }
    }

    /// What may be wrong with a call that can be told by its own words, and by the run that it names.
    pub(super) fn of_call(call: &Call, facts: &Facts) -> Option<Self> {
        match call {
            Call::Create(run) | Call::CreateAndFund(run) => Self::unreadable_content(&run.content_uri),
            Call::Submit { deliverable_uri, .. } => Self::unreadable_uri("the deliverable", deliverable_uri.as_bytes()),
            Call::Register { agent_uri } | Call::SetAgentUri { agent_uri, .. } => {
                Self::unreadable_uri("the agent's URI", agent_uri.as_bytes())
            }
            Call::Claim { .. } => {
                let run = &facts.run.as_ref()?.run;
                (run.terms.max_revisions == 0).then(|| Self::no_revisions(run.id))
            }
            _ => None,
        }
    }

    /// Readers of the run that is offered will see nothing of what is asked.
    fn unreadable_content(uri: &[u8]) -> Option<Self> {
        const DO: &str = "give an ipfs:// or https:// URI, or data:application/json, and percent-encoded JSON whose \"title\" is a text";
        let what = match shape(uri) {
            Shape::Json if Content::inline(uri).is_none() => "is no JSON object with a \"title\" of text, or not encoded as a data: URI is",
            Shape::NoUri => "is no URI",
            Shape::Json | Shape::Other => return None,
        };
        Some(Self::unreadable(format!("the content {what}: readers of the run will see nothing of what is asked; {DO}")))
    }

    /// Readers of what is delivered, or of an agent, will find nothing.
    fn unreadable_uri(what: &str, uri: &[u8]) -> Option<Self> {
        let is_empty_or_a_uri = uri.is_empty() || shape(uri) != Shape::NoUri;
        let detail = || format!("{what} is no URI: readers will find nothing there; give one with a scheme, such as ipfs:// or https://");
        (!is_empty_or_a_uri).then(|| Self::unreadable(detail()))
    }

    const fn unreadable(detail: String) -> Self {
        Self { code: "UNREADABLE", detail }
    }

    /// The run allows no revision.
    fn no_revisions(run: RunId) -> Self {
        let detail = format!("run {run} allows no revision: its poster can reject the first delivery, which then is not paid");
        Self { code: "NO_REVISIONS", detail }
    }

    /// The agent is another account's, which alone can withdraw what is deposited.
    pub(super) fn foreign_agent(agent: AgentId) -> Self {
        Self { code: "FOREIGN_AGENT", detail: format!("the signer does not own agent {agent}, and cannot withdraw what it deposits") }
    }
}

/// What a URI is, as far as it can be told without following it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing that has a scheme.
    NoUri,
    /// JSON that it holds itself.
    Json,
    /// Anything else.
    Other,
}

fn shape(uri: &[u8]) -> Shape {
    let text = String::from_utf8_lossy(uri);
    match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("data") => match rest.split_once(',') {
            Some((kind, _)) if kind.to_ascii_lowercase().contains("json") => Shape::Json,
            Some(_) => Shape::Other,
            None => Shape::NoUri,
        },
        _ if begins_as_uri(&text) => Shape::Other,
        _ => Shape::NoUri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_readers_will_see_nothing_of_is_warned_of() {
        for uri in [
            "hello",
            "QmHash",
            "//host/path",
            "1a:b",
            "data:application/json",
            "data:application/json,{broken",
            "DATA:application/ld+json,{\"titel\":\"t\"}",
            "data:application/json,{\"title\":1}",
            "data:application/json;base64,*",
        ] {
            let warning = Warning::unreadable_content(uri.as_bytes()).unwrap_or_else(|| panic!("{uri} is not warned of"));
            assert_eq!(warning.code, "UNREADABLE");
            assert!(warning.detail.contains("will see nothing") && warning.detail.contains("ipfs://"), "{}", warning.detail);
        }
        for uri in ["ipfs://x", "https://example.org/a b", "data:application/json,{\"title\":\"ä b\"}", "data:text/plain,hello", "ar:x"] {
            assert_eq!(Warning::unreadable_content(uri.as_bytes()), None, "{uri}");
        }
    }

    #[test]
    fn a_uri_without_a_scheme_is_warned_of_unless_it_is_empty() {
        for uri in ["done!", "data:", " ipfs://x"] {
            assert!(Warning::unreadable_uri("it", uri.as_bytes()).is_some(), "{uri}");
        }
        for uri in ["", "ipfs://x", "data:,done", "data:application/json,{\"name\":\"Ann\"}"] {
            assert_eq!(Warning::unreadable_uri("it", uri.as_bytes()), None, "{uri}");
        }
    }
}

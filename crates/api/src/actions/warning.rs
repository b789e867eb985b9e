//! What a signer may not have meant.

use clawpay_domain::{AgentId, Seconds, Timestamp, Usdc};

use super::past::PastAction;
use crate::text::{IsoDate, base_units_hint};

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

    /// With a deposit of `amount`, an agent has `stake` and still less than the `minimum`.
    pub(super) fn below_minimum_stake(agent: AgentId, amount: Usdc, stake: Usdc, minimum: Usdc) -> Self {
        let hint = if amount < Usdc::whole(1) { format!("; {}", base_units_hint(amount)) } else { String::new() };
        let detail = format!("agent {agent} will have a stake of {stake} USDC and needs {minimum} USDC to claim a run{hint}");
        Self { code: "BELOW_MINIMUM_STAKE", detail }
    }

    /// The agent is another account's, which alone can withdraw what is deposited.
    pub(super) fn foreign_agent(agent: AgentId) -> Self {
        Self { code: "FOREIGN_AGENT", detail: format!("the signer does not own agent {agent}, and cannot withdraw what it deposits") }
    }
}

//! What an account can do with a run.

use alloy::primitives::Address;
use clawpay_domain::{
    AgentId, Usdc,
    options::{Choice, Movement, Purse, Verb},
};
use clawpay_store::{IndexedBlock, RunRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::run::RunDto;
use crate::hidden::HideList;
use crate::http::openapi::schemas as w;
use crate::text::{Checksummed, IsoDate, refusal_sentence};

/// What one account can do with a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RunActions)]
pub(crate) struct RunActionsDto {
    run: RunDto,
    /// The account that would sign.
    wallet: Checksummed,
    actions: Vec<RunActionDto>,
}

/// One verb.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RunAction)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunActionDto {
    /// As its path is called.
    #[schema(value_type = w::RunVerb)]
    verb: Verb,
    /// The agent that would claim; null for every other verb, and where the wallet has none.
    #[schema(value_type = Option<w::AgentId>, required)]
    agent_id: Option<AgentId>,
    /// Whether it is allowed at the indexed block.
    allowed: bool,
    /// From when on; null where it is not a matter of time, or not yet known.
    #[schema(required)]
    from: Option<IsoDate>,
    /// Until when; null where it is not a matter of time, or not yet known.
    #[schema(required)]
    until: Option<IsoDate>,
    /// Why it is not allowed, in words.
    reasons: Vec<String>,
    /// For programs, one for each of `reasons`: the codes of problems, in upper case.
    reason_codes: Vec<String>,
    /// What it would move, if it is allowed.
    moves: Vec<MovementDto>,
}

/// USDC that a verb moves.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Movement)]
struct MovementDto {
    /// Out of.
    #[schema(value_type = w::Purse)]
    from: Purse,
    /// Into.
    #[schema(value_type = w::Purse)]
    to: Purse,
    #[schema(value_type = w::Usdc)]
    amount: Usdc,
}

impl From<Movement> for MovementDto {
    fn from(Movement { from, to, amount }: Movement) -> Self {
        Self { from, to, amount }
    }
}

impl RunActionsDto {
    /// Of `run` as of `indexed`.
    pub(crate) fn new(run: &RunRecord, indexed: &IndexedBlock, hidden: &HideList, wallet: Address, actions: Vec<RunActionDto>) -> Self {
        Self { run: RunDto::new(run, indexed, hidden), wallet: Checksummed(wallet), actions }
    }
}

impl RunActionDto {
    /// A verb, and the agent that would claim.
    pub(crate) fn new(choice: Choice, agent_id: Option<AgentId>) -> Self {
        let Choice { verb, refusals, from, until, moves } = choice;
        Self {
            verb,
            agent_id,
            allowed: refusals.is_empty(),
            from: from.map(IsoDate),
            until: until.map(IsoDate),
            reasons: refusals.iter().map(refusal_sentence).collect(),
            reason_codes: refusals.iter().map(|refusal| refusal.code().to_uppercase()).collect(),
            moves: moves.into_iter().map(Into::into).collect(),
        }
    }

    /// A claim by a wallet that has no agent.
    pub(crate) fn without_agent(choice: Choice) -> Self {
        let mut action = Self::new(choice, None);
        action.allowed = false;
        action.reasons = vec!["the wallet owns no agent: register one, and give it a stake".to_owned()];
        action.reason_codes = vec!["AGENT_NOT_FOUND".to_owned()];
        action
    }
}

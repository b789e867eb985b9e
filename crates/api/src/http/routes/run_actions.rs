//! What an account can do with a run.

use std::sync::Arc;

use alloy::primitives::Address;
use clawpay_domain::{
    AgentId,
    options::{self, Verb},
    rules::Circumstances,
};
use clawpay_store::AgentRecord;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    actions::Facts,
    error::ApiError,
    http::dto::{
        run_actions::{RunActionDto, RunActionsDto},
        stamped::Stamped,
    },
    http::extract::{Account, Digits, ReadQuery, RunPath},
    http::reading::{MinBlock, Reading},
};

/// Most agents of a wallet that a claim is answered for.
const MOST_AGENTS: u32 = 100;

/// The parameters of `GET /api/runs/{id}/actions`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActionsQuery {
    /// The account that would sign.
    #[param(inline)]
    wallet: Account,
    /// The agent that would claim; if not said, each of the youngest 100 that the wallet owns.
    #[param(inline)]
    agent_id: Option<Digits>,
}

/// The accounts that act for an agent.
fn acting_for(record: &AgentRecord) -> impl Iterator<Item = Address> {
    record.agent.owner.into_iter().chain(record.agent.wallet)
}

/// Get what can be done with a run
///
/// Every verb, for one account at the indexed block: whether it is allowed, from and until when, or why not, and what it would move.
#[utoipa::path(get, path = "/api/runs/{id}/actions", operation_id = "getRunActions", tag = "runs", params(RunPath, ActionsQuery, MinBlock),
    responses((status = 200, description = "The verbs, in the order of a run's life.", body = RunActionsDto)),
    extensions(("x-problems" = json!(["400 missing_field", "404 run_not_found", "404 agent_not_found", "451 hidden"]))))]
pub(super) async fn actions(
    RunPath(id): RunPath,
    ReadQuery(query): ReadQuery<ActionsQuery>,
    mut reading: Reading,
) -> Result<Stamped<RunActionsDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let Facts { run, agent: holder, .. } = Facts::of_run(snapshot, id).await?;
    let run = run.ok_or(ApiError::RunNotFound(id))?;
    let wallet = query.wallet.0;
    let holds = run.run.claim.map(|claim| claim.wallet).into_iter().chain(holder.iter().flat_map(acting_for));
    if run.run.terms.poster != wallet && !holds.into_iter().any(|account| account == wallet) {
        // Who has money in it has to know its deadlines, whatever it says.
        reading.hidden.shown(&run)?;
    }
    let claimants = match query.agent_id {
        Some(Digits(agent)) => Facts::of_agent(snapshot, AgentId(agent)).await?.agent.into_iter().collect(),
        None => snapshot.latest_agents(wallet, MOST_AGENTS).await?,
    };
    let (indexed, parameters) = (snapshot.indexed, snapshot.chain.parameters);
    let choice = |verb, agent| {
        options::choice(&run.run, verb, &Circumstances { caller: wallet, agent, now: indexed.timestamp, parameters: &parameters })
    };
    let mut actions = Vec::with_capacity(Verb::ALL.len() + claimants.len());
    for &verb in Verb::ALL {
        if verb != Verb::Claim {
            actions.push(RunActionDto::new(choice(verb, holder.as_ref().map(|record| &record.agent)), None));
        } else if claimants.is_empty() {
            actions.push(RunActionDto::without_agent(choice(verb, None)));
        } else {
            let claims = claimants.iter().map(|record| RunActionDto::new(choice(verb, Some(&record.agent)), Some(record.agent.id)));
            actions.extend(claims);
        }
    }
    let hidden = Arc::clone(&reading.hidden);
    Ok(reading.answer(RunActionsDto::new(&run, &indexed, &hidden, wallet, actions)))
}

//! Reading accounts.

use std::sync::Arc;

use axum::extract::State;
use clawpay_store::{AgentFilter, AgentSort, Page};

use crate::{
    App,
    error::ApiError,
    http::dto::{
        market::contracts,
        stamped::Stamped,
        wallet::{ByContract, Wallet, WalletDto},
    },
    http::extract::{AccountPath, Nothing, ReadQuery},
    http::reading::{MinBlock, Momentary},
};

/// Agents and runs that are shown at most.
const MOST: u32 = 100;

/// Get an account
///
/// What an account has, what it is owed, its agents, and the runs it posted or has in hand that wait for it, by their deadlines. Balances,
/// allowances and the nonce are the node's, at its head; all else is the index's.
#[utoipa::path(get, path = "/api/wallets/{address}", operation_id = "getWallet", tag = "wallets", params(AccountPath, MinBlock), responses(
    (status = 200, description = "The account.", body = WalletDto),
), extensions(("x-problems" = json!(["451 hidden"]))))]
pub(super) async fn show(
    State(app): State<App>,
    AccountPath(account): AccountPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    Momentary(mut reading): Momentary,
) -> Result<Stamped<WalletDto>, ApiError> {
    let account = reading.hidden.shown(account)?;
    let snapshot = &mut reading.snapshot;
    let (chain, indexed) = (snapshot.chain, snapshot.indexed);
    let filter = AgentFilter { account: Some(account), ..AgentFilter::default() };
    let mut agents = snapshot.agents(&filter, AgentSort::default(), Page { number: 1, limit: MOST }).await?;
    agents.items.retain(|agent| !reading.hidden.hides(agent));
    let waiting = snapshot.waiting_runs(account, MOST).await?;
    let credits = match (snapshot.credit(chain.run_escrow, account).await?, snapshot.credit(chain.agent_stake, account).await?) {
        (Some(run_escrow), Some(agent_stake)) => Some(ByContract { run_escrow, agent_stake }),
        _ => None,
    };
    let reading = reading.close();
    let hidden = Arc::clone(&reading.hidden);
    let purse = app.node().purse(&contracts(&chain), account).await;
    let wallet = Wallet { account, purse, credits, has_more_agents: agents.goes_on, agents: agents.items, waiting };
    Ok(reading.answer(WalletDto::new(wallet, &chain, &indexed, &hidden)))
}

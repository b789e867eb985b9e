//! An account: what it has, and what waits for it.

use alloy::primitives::Address;
use clawpay_domain::Usdc;
use clawpay_store::{AgentRecord, Chain, HeldRun, IndexedBlock, Stretch};
use serde::Serialize;
use utoipa::ToSchema;

use super::{agent::AgentDto, run::RunDto};
use crate::hidden::HideList;
use crate::http::openapi::schemas as w;
use crate::node::Purse;
use crate::text::{Checksummed, IsoDate};

/// An account as it stands in this market.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Wallet)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WalletDto {
    address: Checksummed,
    /// Whether the node could be asked. What it alone knows is null where it could not: USDC, ether, allowances and the next nonce.
    node_answered: bool,
    /// USDC that it has.
    #[schema(value_type = Option<w::Usdc>, required)]
    usdc: Option<Usdc>,
    /// Ether that it has, in wei.
    #[schema(value_type = Option<w::Wei>, required)]
    ether: Option<String>,
    /// USDC that the contracts may take from it.
    #[schema(required)]
    allowances: Option<ByContract>,
    /// The nonce of its next transaction, counting those that wait to be mined.
    #[schema(required)]
    next_nonce: Option<u64>,
    /// Payouts that the token refused, and that are still owed to it. Null while the index is of an older version.
    #[schema(required)]
    credits: Option<ByContract>,
    /// Agents that it acts for, as their owner or their wallet: the newest hundred.
    agents: Vec<AgentDto>,
    /// Where all of them are listed, if there are more.
    #[schema(required)]
    more_agents: Option<String>,
    /// Runs that wait for it, the earliest deadline first: a hundred at most.
    waiting: Vec<WaitingDto>,
    /// Where all of its runs are listed, if more than these wait.
    #[schema(required)]
    more_runs: Option<String>,
}

/// A sum for each of the market's contracts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ByContract {
    /// For the escrow.
    #[schema(value_type = w::Usdc)]
    pub run_escrow: Usdc,
    /// For the stake contract.
    #[schema(value_type = w::Usdc)]
    pub agent_stake: Usdc,
}

/// A run whose next step is the account's.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WaitingRun)]
#[serde(rename_all = "camelCase")]
struct WaitingDto {
    /// The verb. `approve` stands for any answer to a delivery.
    #[schema(value_type = w::TurnWord)]
    waits_for: &'static str,
    /// The deadline that it is about: `fund`, `submit` and `approve` are due before it, the others are possible since then.
    due: IsoDate,
    run: RunDto,
}

/// What a [`WalletDto`] is made of.
#[derive(Debug)]
pub(crate) struct Wallet {
    /// The account.
    pub account: Address,
    /// What the node says of it.
    pub purse: Option<Purse>,
    /// What is owed to it.
    pub credits: Option<ByContract>,
    /// Its agents.
    pub agents: Vec<AgentRecord>,
    /// Whether it has more.
    pub has_more_agents: bool,
    /// Runs that wait for it.
    pub waiting: Stretch<HeldRun>,
}

impl WalletDto {
    /// The account at the indexed block.
    pub(crate) fn new(wallet: Wallet, chain: &Chain, indexed: &IndexedBlock, hidden: &HideList) -> Self {
        let Wallet { account, purse, credits, agents, has_more_agents, waiting } = wallet;
        let waits = |held: &HeldRun| {
            let (turn, due) = held.record.run.turn_of(account, held.agent_owner, indexed.timestamp)?;
            Some(WaitingDto { waits_for: turn.as_str(), due: IsoDate(due), run: RunDto::new(&held.record, indexed, hidden) })
        };
        let name = account.to_checksum(None);
        Self {
            address: Checksummed(account),
            node_answered: purse.is_some(),
            usdc: purse.map(|purse| purse.usdc),
            ether: purse.map(|purse| purse.ether.to_string()),
            allowances: purse.map(|purse| ByContract { run_escrow: purse.run_escrow_allowance, agent_stake: purse.agent_stake_allowance }),
            next_nonce: purse.map(|purse| purse.next_nonce),
            credits,
            agents: agents.iter().map(|record| AgentDto::new(record, &chain.parameters.stake, indexed)).collect(),
            more_agents: has_more_agents.then(|| format!("/api/agents?account={name}")),
            more_runs: waiting.goes_on.then(|| format!("/api/runs?q={name}")),
            waiting: waiting.items.iter().filter_map(waits).collect(),
        }
    }
}

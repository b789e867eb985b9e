//! Who takes part in the story, and what they begin with.

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use clawpay_bindings::Contracts;
use clawpay_domain::Usdc;
use clawpay_tests::{OPERATOR, key};

/// What the poster has before the story.
pub(crate) const POSTER_BEGINS_WITH: Usdc = Usdc::base_units(1_000_000_000);
/// What each agent's owner has before the story.
pub(crate) const WORKER_BEGINS_WITH: Usdc = Usdc::base_units(50_000_000);

/// The story's people. Each is one of the node's accounts and signs with its own key.
#[derive(Debug)]
pub(crate) struct Cast {
    /// Posts both runs.
    pub poster: PrivateKeySigner,
    /// Owns agent 1, who delivers.
    pub builder: PrivateKeySigner,
    /// Owns agent 2, who does not.
    pub dawdler: PrivateKeySigner,
}

impl Cast {
    /// Accounts without history.
    pub(crate) fn new() -> Self {
        Self { poster: key(1), builder: key(2), dawdler: key(3) }
    }

    /// What the tables call `account`: one of the cast, a contract, or else its address.
    pub(crate) fn name(&self, account: Address, contracts: &Contracts) -> String {
        let names = [
            (Address::ZERO, "nobody"),
            (self.poster.address(), "poster"),
            (self.builder.address(), "builder"),
            (self.dawdler.address(), "dawdler"),
            (key(OPERATOR).address(), "treasury"),
            (contracts.run_escrow, "RunEscrow"),
            (contracts.agent_stake, "AgentStake"),
        ];
        names.iter().find(|(known, _)| *known == account).map_or_else(|| account.to_string(), |(_, name)| (*name).to_owned())
    }
}

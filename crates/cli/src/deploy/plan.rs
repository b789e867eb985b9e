//! What to deploy: as it was asked for, and with nothing left to be decided.

use alloy::primitives::Address;
use clawpay_domain::Parameters;

/// What to deploy. The default is what a local chain gets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The token; on a local chain `TestUSDC` is deployed if there is none.
    pub usdc: Option<Address>,
    /// An existing ERC-8004 registry; ours is deployed if there is none.
    pub agent_registry: Option<Address>,
    /// Where collected fees go; the deployer if not said.
    pub treasury: Option<Address>,
    /// Who may change the treasury and pause new business; the deployer if not said.
    pub owner: Option<Address>,
    /// The rules, immutable once deployed.
    pub parameters: Parameters,
    /// Blocks that must follow the last contract's before the deployment is checked and reported.
    pub confirmations: u64,
}

/// A plan in which nothing is left to be decided.
pub(super) struct Settled {
    /// None on a local chain that is to have its own.
    pub(super) usdc: Option<Address>,
    pub(super) agent_registry: Option<Address>,
    pub(super) treasury: Address,
    pub(super) owner: Address,
    pub(super) parameters: Parameters,
}

impl Plan {
    /// The plan of `deployer`, who stands in for every account that was not named.
    pub(super) fn settled(&self, deployer: Address) -> Settled {
        Settled {
            usdc: self.usdc,
            agent_registry: self.agent_registry,
            treasury: self.treasury.unwrap_or(deployer),
            owner: self.owner.unwrap_or(deployer),
            parameters: self.parameters,
        }
    }
}

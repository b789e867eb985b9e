//! Where the market lives on one chain: the file that `clawpay deploy` writes and everything else starts from.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// One deployment on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployment {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0, which tells two local chains with one id apart.
    pub genesis_hash: B256,
    /// First block that can hold an event of these contracts.
    pub deployment_block: u64,
    /// The addresses.
    pub contracts: Contracts,
}

/// The addresses of one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contracts {
    /// The token everything is paid in.
    pub usdc: Address,
    /// Identities: ours or a foreign ERC-8004 registry.
    pub agent_registry: Address,
    /// Stakes.
    pub agent_stake: Address,
    /// Runs and their escrow.
    pub run_escrow: Address,
    /// The ERC-2771 forwarder whose word on who is calling the other three take.
    pub forwarder: Address,
}

impl Contracts {
    /// The contracts whose events the index follows. Token and forwarder are not among them: they say nothing about the market.
    pub const fn indexed(&self) -> [Address; 3] {
        [self.agent_registry, self.agent_stake, self.run_escrow]
    }
}

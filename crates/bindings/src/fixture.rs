//! A deployment for tests that only tell addresses apart.

use alloy_primitives::address;

use crate::Contracts;

pub(crate) const CONTRACTS: Contracts = Contracts {
    usdc: address!("0x1000000000000000000000000000000000000001"),
    agent_registry: address!("0x2000000000000000000000000000000000000002"),
    agent_stake: address!("0x3000000000000000000000000000000000000003"),
    run_escrow: address!("0x4000000000000000000000000000000000000004"),
    forwarder: address!("0x5000000000000000000000000000000000000005"),
};

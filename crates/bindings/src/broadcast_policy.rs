//! Which transactions a client may ask the market's server to pass on to the chain: what users of the market do, and nothing else.

use alloy_primitives::Address;
use alloy_sol_types::{SolCall, SolInterface};

use crate::{
    AgentRegistry as Registry, AgentStake as Stake, Contracts, ERC2771Forwarder as Forwarder, RunEscrow as Escrow,
    TestUSDC::{self, TestUSDCCalls},
};

/// Every function of the escrow that changes anything.
const ESCROW: &[[u8; 4]] = &[
    Escrow::acceptOwnershipCall::SELECTOR,
    Escrow::approveCall::SELECTOR,
    Escrow::cancelCall::SELECTOR,
    Escrow::claimCall::SELECTOR,
    Escrow::collectFeesCall::SELECTOR,
    Escrow::createCall::SELECTOR,
    Escrow::createAndFundCall::SELECTOR,
    Escrow::createAndFundWithAuthorizationCall::SELECTOR,
    Escrow::createAndFundWithPermitCall::SELECTOR,
    Escrow::finalizeCall::SELECTOR,
    Escrow::fundCall::SELECTOR,
    Escrow::fundWithAuthorizationCall::SELECTOR,
    Escrow::fundWithPermitCall::SELECTOR,
    Escrow::pauseCall::SELECTOR,
    Escrow::payCreditCall::SELECTOR,
    Escrow::rejectCall::SELECTOR,
    Escrow::renounceOwnershipCall::SELECTOR,
    Escrow::requestRevisionCall::SELECTOR,
    Escrow::setTreasuryCall::SELECTOR,
    Escrow::slashCall::SELECTOR,
    Escrow::startCall::SELECTOR,
    Escrow::submitCall::SELECTOR,
    Escrow::transferOwnershipCall::SELECTOR,
    Escrow::unpauseCall::SELECTOR,
];

/// Those of the stakes, but for what only the escrow may call.
const STAKE: &[[u8; 4]] = &[
    Stake::payCreditCall::SELECTOR,
    Stake::stakeCall::SELECTOR,
    Stake::stakeWithAuthorizationCall::SELECTOR,
    Stake::stakeWithPermitCall::SELECTOR,
    Stake::unstakeCall::SELECTOR,
];

/// Those of an ERC-8004 registry.
const REGISTRY: &[[u8; 4]] = &[
    Registry::approveCall::SELECTOR,
    Registry::register_0Call::SELECTOR,
    Registry::register_1Call::SELECTOR,
    Registry::register_2Call::SELECTOR,
    Registry::safeTransferFrom_0Call::SELECTOR,
    Registry::safeTransferFrom_1Call::SELECTOR,
    Registry::setAgentURICall::SELECTOR,
    Registry::setAgentWalletCall::SELECTOR,
    Registry::setApprovalForAllCall::SELECTOR,
    Registry::setMetadataCall::SELECTOR,
    Registry::transferFromCall::SELECTOR,
    Registry::unsetAgentWalletCall::SELECTOR,
];

/// Those of the forwarder.
const FORWARDER: &[[u8; 4]] = &[Forwarder::executeCall::SELECTOR, Forwarder::executeBatchCall::SELECTOR];

/// Whether a call is one that users of this market make: a function of its contracts that changes something, or a USDC allowance for them.
pub fn is_of_market(to: Address, calldata: &[u8], contracts: &Contracts) -> bool {
    let is_one_of = |selectors: &[[u8; 4]]| calldata.first_chunk().is_some_and(|selector| selectors.contains(selector));
    if to == contracts.run_escrow {
        is_one_of(ESCROW)
    } else if to == contracts.agent_stake {
        is_one_of(STAKE)
    } else if to == contracts.agent_registry {
        is_one_of(REGISTRY)
    } else if to == contracts.forwarder {
        is_one_of(FORWARDER)
    } else if to == contracts.usdc {
        allowance_for(calldata).is_some_and(|spender| [contracts.run_escrow, contracts.agent_stake].contains(&spender))
    } else {
        false
    }
}

/// Whom a call of the token lets take its caller's USDC, if that is all it does.
fn allowance_for(calldata: &[u8]) -> Option<Address> {
    match TestUSDCCalls::abi_decode(calldata).ok()? {
        TestUSDCCalls::approve(TestUSDC::approveCall { spender, .. }) => Some(spender),
        TestUSDCCalls::permit_0(call) => Some(call.spender),
        TestUSDCCalls::permit_1(call) => Some(call.spender),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy_primitives::{Bytes, U256};

    use super::*;
    use crate::fixture::CONTRACTS;

    /// The names of an ABI's functions that change something and that `to` is not passed.
    fn kept_back(abi: &str, to: Address) -> BTreeSet<String> {
        let abi: serde_json::Value = serde_json::from_str(abi).unwrap();
        let mut names = BTreeSet::new();
        for item in abi["abi"].as_array().unwrap().iter().filter(|item| item["type"] == "function") {
            let changes = item["stateMutability"] == "nonpayable" || item["stateMutability"] == "payable";
            let function: String = signature(item);
            let selector = &alloy_primitives::keccak256(&function)[..4];
            let passed = is_of_market(to, selector, &CONTRACTS);
            assert!(changes || !passed, "{function} changes nothing");
            if changes && !passed {
                names.insert(item["name"].as_str().unwrap().to_owned());
            }
        }
        names
    }

    fn signature(item: &serde_json::Value) -> String {
        format!("{}({})", item["name"].as_str().unwrap(), types(&item["inputs"]))
    }

    fn types(inputs: &serde_json::Value) -> String {
        let of = |input: &serde_json::Value| {
            let kind = input["type"].as_str().unwrap();
            match kind.strip_prefix("tuple") {
                Some(array) => format!("({}){array}", types(&input["components"])),
                None => kind.to_owned(),
            }
        };
        inputs.as_array().unwrap().iter().map(of).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn every_function_that_changes_something_is_passed_but_the_escrows_own() {
        let none = BTreeSet::new();
        assert_eq!(kept_back(include_str!("../../../contracts/abi/RunEscrow.json"), CONTRACTS.run_escrow), none);
        assert_eq!(kept_back(include_str!("../../../contracts/abi/AgentRegistry.json"), CONTRACTS.agent_registry), none);
        assert_eq!(kept_back(include_str!("../../../contracts/abi/ERC2771Forwarder.json"), CONTRACTS.forwarder), none);
        let stake = kept_back(include_str!("../../../contracts/abi/AgentStake.json"), CONTRACTS.agent_stake);
        assert_eq!(stake.iter().map(String::as_str).collect::<Vec<_>>(), ["commit", "release", "slash"]);
    }

    #[test]
    fn of_the_token_only_allowances_for_the_market_are_passed() {
        let (owner, value, deadline) = (Address::repeat_byte(9), U256::from(1), U256::MAX);
        let calls = |spender: Address| {
            [
                TestUSDC::approveCall { spender, value }.abi_encode(),
                TestUSDC::permit_0Call { owner, spender, value, deadline, signature: Bytes::new() }.abi_encode(),
                TestUSDC::permit_1Call { owner, spender, value, deadline, v: 27, r: Default::default(), s: Default::default() }
                    .abi_encode(),
            ]
        };
        for spender in [CONTRACTS.run_escrow, CONTRACTS.agent_stake] {
            assert!(calls(spender).iter().all(|call| is_of_market(CONTRACTS.usdc, call, &CONTRACTS)));
        }
        for spender in [owner, CONTRACTS.forwarder, CONTRACTS.usdc] {
            assert!(!calls(spender).iter().any(|call| is_of_market(CONTRACTS.usdc, call, &CONTRACTS)));
        }
        let transfer = TestUSDC::transferCall { to: CONTRACTS.run_escrow, value }.abi_encode();
        assert!(!is_of_market(CONTRACTS.usdc, &transfer, &CONTRACTS));
        assert!(!is_of_market(owner, &calls(CONTRACTS.run_escrow)[0], &CONTRACTS));
        assert!(!is_of_market(CONTRACTS.run_escrow, &[1, 2, 3], &CONTRACTS));
    }
}

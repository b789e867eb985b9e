//! The contracts' ABI, and its translation into `clawpay_domain`'s words and back.
//!
//! Types and selectors come from the committed ABI, so cargo needs no Solidity compiler. Used by the indexer (logs to events), the API
//! (actions to calldata, reverts to refusals), the SDK and `clawpay deploy`. Does no input or output.

mod attributed_call;
mod broadcast_policy;
mod calldata;
mod deployment;
mod errors;
mod events;
#[cfg(test)]
mod fixture;
mod new_run;
mod parameters;
mod signed;
mod with_signature;

pub use attributed_call::{AttributedCall, forwarded_request};
pub use broadcast_policy::is_of_market;
pub use calldata::{Call, Custody, NotACall, WalletConsent};
pub use deployment::{Contracts, Deployment};
pub use errors::{OUT_OF_GAS, Revert};
pub use events::{AGENT_WALLET, DecodeError, Decoded, Facts, decode, event_names, metadata_entry, named_accounts, signatures};
pub use parameters::ParameterOutOfRange;
pub use signed::{
    AgentWalletSet, FORWARDER_NAME, ForwardRequest, Permit, ReceiveWithAuthorization, create_and_fund_nonce, forwarder_domain, fund_nonce,
    registry_domain, stake_nonce, token_domain, with_recovery_id,
};
pub use with_signature::{CallWithSignature, SignedAuthorization, SignedPermit};

/// `RunEscrow`: the run lifecycle and the USDC escrowed for it.
#[allow(missing_docs, reason = "generated; the interface's NatSpec documents it")]
pub mod run_escrow {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        RunEscrow,
        "../../contracts/abi/RunEscrow.json"
    );
}

/// `AgentStake`: stakes, commitments, the trust ladder.
#[allow(missing_docs, reason = "generated; the interface's NatSpec documents it")]
pub mod agent_stake {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        AgentStake,
        "../../contracts/abi/AgentStake.json"
    );
}

/// `AgentRegistry`: ERC-8004 identities.
#[allow(missing_docs, reason = "generated; the interface's NatSpec documents it")]
pub mod agent_registry {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        AgentRegistry,
        "../../contracts/abi/AgentRegistry.json"
    );
}

/// `ERC2771Forwarder`: calls the others in the name of a request's signer.
#[allow(missing_docs, reason = "generated; the library's NatSpec documents it")]
pub mod forwarder {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        ERC2771Forwarder,
        "../../contracts/abi/ERC2771Forwarder.json"
    );
}

/// `TestUSDC`, for local chains; its ERC-20 part is also how real USDC is called.
#[allow(missing_docs, reason = "generated; the contract's NatSpec documents it")]
pub mod usdc {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        TestUSDC,
        "../../contracts/abi/TestUSDC.json"
    );
}

pub use agent_registry::AgentRegistry;
pub use agent_stake::AgentStake;
pub use forwarder::ERC2771Forwarder;
pub use run_escrow::RunEscrow;
pub use usdc::TestUSDC;

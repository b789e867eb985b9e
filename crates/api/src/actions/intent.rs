//! What a wallet wants to do.

use alloy::primitives::{Address, U256};
use clawpay_bindings::{Call, SignedPermit};
use clawpay_domain::Usdc;

/// Who wants to do what. What the call expects to find on chain is still empty: the plan fills it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    /// Who will sign.
    pub wallet: Address,
    /// What is to be done.
    pub call: Call,
    /// A permit that pays for it instead of an allowance.
    pub permit: Option<SignedPermit>,
    /// The nonce of the first step, where its signer counts for itself.
    pub nonce: Option<u64>,
    /// The word that says what the signer has looked at: the run's terms or its progress; the index's where none is given.
    pub expected: Option<U256>,
    /// Whether a deposit may go to another owner's agent.
    pub allow_foreign: bool,
}

impl Intent {
    /// Whether the same can be done again at once: of a run each verb changes what can be done next.
    pub(super) const fn is_repeatable(&self) -> bool {
        matches!(self.call, Call::Create(_) | Call::CreateAndFund(_) | Call::Register { .. } | Call::Stake { .. } | Call::Unstake { .. })
    }
}

/// USDC that a call takes from its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// How much.
    pub amount: Usdc,
    /// The contract that takes it.
    pub spender: Address,
}

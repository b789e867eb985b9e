//! What a wallet wants to do.

use alloy::primitives::Address;
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
}

/// USDC that a call takes from its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// How much.
    pub amount: Usdc,
    /// The contract that takes it.
    pub spender: Address,
}

//! Sending what wallets without ether have signed.
//!
//! The operator's account pays for gas, and can do nothing else: what it sends says in whose name, and the contracts check that signature. It
//! is no open relay: only verbs of this market, without ether and without a byte that their contracts do not read, within a gas limit, tried out
//! first, so many for each signer and so much for all. Every transaction has its nonce and is written down before it is sent, and is looked after until it is mined for good.

mod accept;
mod attempt;
mod charge;
mod resend;

use alloy::primitives::Address;
use clawpay_store::Reader;

use crate::{node::Node, relay_funds::RelayPurse};

pub(crate) use accept::Posted;

/// What relaying works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayer<'a> {
    /// Tries out, and passes on.
    pub node: &'a Node,
    /// The index.
    pub reader: &'a Reader,
    /// The operator's account, what it pays for, and where that is written down.
    pub purse: RelayPurse<'a>,
}

impl Relayer<'_> {
    /// The operator's account.
    const fn account(&self) -> Address {
        self.purse.options.key.address()
    }
}

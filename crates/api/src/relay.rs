//! Sending what wallets without ether have signed.
//!
//! The operator's account pays for gas, and can do nothing else: what it sends says in whose name, and the contracts check that signature. It
//! is no open relay: only verbs of this market, without ether, within a gas limit, tried out first, so many for each signer and so much for
//! all. Every transaction has its nonce and is written down before it is sent, and is looked after until it is mined for good.

mod accept;
mod attempt;
mod resend;

use clawpay_store::{Reader, SubmittedTransactions};

use crate::{config::RelayOptions, node::Node};

pub(crate) use accept::Posted;

/// What relaying works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayer<'a> {
    /// Tries out, and passes on.
    pub node: &'a Node,
    /// The index.
    pub reader: &'a Reader,
    /// Where jobs are written down.
    pub submitted_transactions: &'a SubmittedTransactions,
    /// The operator's account, and what it pays for.
    pub options: &'a RelayOptions,
}

//! Sending what wallets without ether have signed.
//!
//! The operator's account pays for gas, and can do nothing else: what it sends says in whose name, and the contracts check that signature. It
//! is no open relay: only verbs of this market, without ether, within a gas limit, tried out first, so many for each signer and so much for
//! all. Every transaction has its nonce and is written down before it is sent, and is looked after until it is mined for good.

mod accept;
mod attempt;
mod nonce_lane;

pub(crate) use accept::{Posted, accept};
pub(crate) use nonce_lane::look_after;

use clawpay_domain::Seconds;

/// How long a signature for the relayer may be good, chain time.
pub(crate) const LONGEST: Seconds = Seconds(15 * 60);

//! What preparing works with.

use clawpay_store::Reader;

use super::TokenDomain;
use crate::{index_watch::IndexWatch, market::LagLimits, node::Node, relay_funds::RelayPurse};

/// What preparing works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparer<'a> {
    /// Simulates and prices.
    pub node: &'a Node,
    /// The index.
    pub reader: &'a Reader,
    /// How far the index is.
    pub index: &'a IndexWatch,
    /// Of the token's permits and authorizations.
    pub token_domain: &'a TokenDomain,
    /// How far behind the index may be.
    pub lag: LagLimits,
    /// How this server relays, if it does.
    pub relay: Option<RelayPurse<'a>>,
}

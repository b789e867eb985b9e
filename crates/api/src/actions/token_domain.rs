//! The domain in which the token's permits and authorizations are signed.

use alloy::sol_types::Eip712Domain;
use clawpay_bindings::{TestUSDC, token_domain};
use clawpay_store::Chain;
use tokio::sync::OnceCell;

use crate::node::{Node, NodeError};

/// Asked of the node once: a token does not change its name.
#[derive(Debug, Default)]
pub(crate) struct TokenDomain(OnceCell<Option<Eip712Domain>>);

impl TokenDomain {
    /// The domain; nothing if the token does not say what it is called. Fails when the node does not answer.
    pub(crate) async fn get(&self, node: &Node, chain: &Chain) -> Result<Option<Eip712Domain>, NodeError> {
        let ask = async || {
            let (name, version) =
                tokio::try_join!(node.view(chain.usdc, &TestUSDC::nameCall {}), node.view(chain.usdc, &TestUSDC::versionCall {}))?;
            Ok(name.zip(version).map(|(name, version)| token_domain(name, version, chain.chain_id, chain.usdc)))
        };
        self.0.get_or_try_init(ask).await.cloned()
    }
}

//! How most tests of the index begin: a market, and an indexer that follows it.

use anyhow::Result;
use clawpay_indexer::Config;

use crate::{Indexer, Lie, LyingNode, Stack};

/// A market, and an indexer that has caught up with it and goes on.
#[derive(Debug)]
pub struct Following {
    /// The market.
    pub stack: Stack,
    /// Connection string of the database that is written.
    pub url: String,
    /// The indexer.
    pub indexer: Indexer,
}

impl Following {
    /// With the market's node, as it is by default.
    pub async fn start() -> Result<Self> {
        let (stack, url) = Stack::and_database().await?;
        let config = stack.index_config();
        Self::with(stack, url, config).await
    }

    /// With a node in between that is honest until it is told to lie.
    pub async fn through_a_liar() -> Result<(Self, LyingNode)> {
        let (stack, url) = Stack::and_database().await?;
        let node = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
        let config = Config::new(node.url(), stack.deployment);
        Ok((Self::with(stack, url, config).await?, node))
    }

    async fn with(stack: Stack, url: String, config: Config) -> Result<Self> {
        let indexer = Indexer::start(config, &url)?;
        stack.until_indexed(&url).await?;
        Ok(Self { stack, url, indexer })
    }
}

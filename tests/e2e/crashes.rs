//! Whatever dies, and whenever: afterwards the index is a fresh one, digest and all.

mod connections;
mod disk;
mod kills;
mod standby;

use std::path::Path;

use alloy::{providers::ext::AnvilApi, rpc::types::anvil::ReorgOptions};
use anyhow::Result;
use clawpay_domain::{RunId, Usdc};
use clawpay_tests::{Clawpay, Stack};
use futures::future::BoxFuture;
use url::Url;

/// A market that does a little something each time it is asked to, reorganisations included.
struct Busy<'a> {
    stack: &'a Stack,
    steps: u64,
}

impl<'a> Busy<'a> {
    async fn start(stack: &'a Stack) -> Result<Self> {
        stack.funded_actor(1, Usdc::whole(100_000)).await?;
        stack.staked_agent(2).await?;
        Ok(Self { stack, steps: 0 })
    }

    /// One block or a few. Boxed, because the futures of all the verbs together would fill a test's stack.
    fn step(&mut self) -> BoxFuture<'_, Result<()>> {
        self.steps += 1;
        Box::pin(self.take(self.steps))
    }

    async fn take(&self, step: u64) -> Result<()> {
        let (poster, worker) = (self.stack.actor(1).await?, self.stack.actor(2).await?);
        match step % 6 {
            0 => {
                let depth = 1 + step / 6 % 4;
                self.stack.provider().anvil_reorg(ReorgOptions { depth, tx_block_pairs: Vec::new() }).await?;
            }
            1 => {
                poster.post(self.stack.offer(Usdc::whole(10)).await?).await?;
            }
            2 => {
                let run = poster.draft(self.stack.offer(Usdc::whole(3)).await?).await?;
                poster.cancel(run).await?;
            }
            3 => {
                self.stack.mint(worker.address(), Usdc::whole(1)).await?;
                worker.stake(clawpay_domain::AgentId(1), Usdc::whole(1)).await?;
            }
            4 => {
                let RunId(_) = poster.draft(self.stack.offer(Usdc::whole(4)).await?).await?;
            }
            _ => self.stack.mine(2).await?,
        }
        Ok(())
    }
}

/// `clawpay index` on this market, as its own process.
fn index_process(stack: &Stack, rpc_url: &Url, database_url: &str, directory: &Path) -> Result<Clawpay> {
    let deployment = directory.join("deployment.json");
    std::fs::write(&deployment, serde_json::to_vec(&stack.deployment)?)?;
    let deployment = deployment.to_string_lossy().into_owned();
    let settings = [("DATABASE_URL", database_url), ("RPC_URL", rpc_url.as_str()), ("CLAWPAY_DEPLOYMENT", &deployment)];
    Clawpay::start(&["index"], directory, settings)
}

/// Pauses that look random and are the same each time, in milliseconds below `limit`.
fn pauses(limit: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(0x9e37_79b9_u64), |state| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(move |state| (state >> 33) % limit)
}

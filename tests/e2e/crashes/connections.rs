//! The connection to the database is lost at each statement in turn, before it arrives or before its answer does.

use anyhow::Result;
use clawpay_tests::{DatabaseProxy, Indexer, Loss, Stack};

use super::Busy;
use crate::indexer::{assert_equals_fresh, number};

#[tokio::test]
async fn a_connection_lost_at_any_statement_costs_nothing() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = DatabaseProxy::start(&url).await?;
    let mut market = Busy::start(&stack).await?;
    let mut cuts = 0;
    for request in 1_usize.. {
        // Every request is lost, every other one with its answer only.
        let loss = if request % 2 == 0 { Loss::Answer } else { Loss::Request };
        market.step().await?;
        proxy.cut_at(request, loss);
        let indexer = Indexer::start(stack.index_config(), proxy.url())?;
        if let Err(error) = stack.until_indexed(&url).await {
            let ended = if indexer.has_ended() { format!("{:?}", indexer.end().await?) } else { "it still runs".to_owned() };
            return Err(error.context(format!("request {request}, {loss:?}: {ended}")));
        }
        // So that even the last statement of a batch was followed by another.
        stack.mine(1).await?;
        stack.until_indexed(&url).await?;
        assert!(!indexer.has_ended(), "request {request}: {loss:?}");
        indexer.stop().await??;
        if proxy.is_whole() {
            break;
        }
        cuts += 1;
    }
    // From the first greeting over the migrations and the lock to the commit of a batch.
    assert!(cuts > 30, "{cuts} requests were enough");
    println!("the connection was lost at each of {cuts} requests");
    assert_eq!(number(&url, "SELECT count(*) FROM pg_prepared_xacts").await?, 0);
    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

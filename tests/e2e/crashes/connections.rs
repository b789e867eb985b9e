//! The connection to the database is lost at each statement in turn, before it arrives or before its answer does.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Result;
use clawpay_store::{Reader, ReaderOptions};
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

#[tokio::test]
async fn what_is_not_waited_for_leaves_no_transaction_open_behind_it() -> Result<()> {
    let stack = Stack::with_database().await?;
    let url = stack.database_url()?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    stack.until_indexed(&url).await?;
    let proxy = DatabaseProxy::start(&url).await?;
    let options = ReaderOptions { connections: NonZeroU32::MIN, ..ReaderOptions::default() };
    let reader = Reader::new(proxy.url(), options)?;
    // A connection that was in use a moment ago is not asked whether it is still there: the next thing on it is the beginning of a view.
    drop(reader.snapshot().await?);
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.hold();
    let given_up = tokio::time::timeout(Duration::from_millis(200), reader.snapshot()).await;
    assert!(given_up.is_err(), "the line is dead");
    proxy.release();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left_open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clawpay api' AND state LIKE 'idle in transaction%'";
    assert_eq!(number(&url, left_open).await?, 0);
    indexer.stop().await??;
    Ok(())
}

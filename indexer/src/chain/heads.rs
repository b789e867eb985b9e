//! Heads that nodes push: a wake-up, and a hint of what to ask for. The follower that waits for one keeps a timer running as well, and asks the node for
//! everything that it goes by.
//!
//! The subscription has a connection of its own. When that dies, it is opened anew, on the next WebSocket there is; and also when it is open
//! and mute, which shows when the chain gets longer again and again without a push.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use alloy::{primitives::B256, pubsub::RawSubscription, rpc::client::RpcClient};
use tokio::sync::{Notify, broadcast::error::RecvError};
use tokio_util::task::AbortOnDropHandle;

use super::{endpoint::Endpoint, header::Header};
use crate::error::NodeError;

/// Blocks that may be found by the timer, one after the other, before the subscription counts as mute.
const MISSED: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);

/// The follower's end.
#[derive(Debug)]
pub(crate) struct Heads {
    signals: Arc<Signals>,
    /// Pushes when a head was last seen, the height of that, and how many heads have come since without a push.
    pushes: u64,
    height: u64,
    missed: u32,
    _listener: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Signals {
    pushed: Notify,
    pushes: AtomicU64,
    /// The header pushed last, as the node wrote it.
    header: Mutex<Option<Header>>,
    mute: Notify,
}

impl Heads {
    /// Listens to the first of `endpoints` that pushes, in the background.
    pub(super) fn listen(endpoints: Arc<[Endpoint]>) -> Self {
        let signals = Arc::<Signals>::default();
        let has_source = endpoints.iter().any(Endpoint::is_pushing);
        let listener = has_source.then(|| AbortOnDropHandle::new(tokio::spawn(listen(endpoints, Arc::clone(&signals)))));
        Self { signals, pushes: 0, height: 0, missed: 0, _listener: listener }
    }

    /// Returns when a head was pushed since the last time; never, if none ever will be. Answers the header that came with it, unproved, if it can
    /// be read.
    pub(crate) async fn wait(&self) -> Option<Header> {
        self.signals.pushed.notified().await;
        self.signals.header.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The chain was found to be `height` long, for whatever reason it was looked at.
    pub(crate) fn seen(&mut self, height: u64) {
        let pushes = self.signals.pushes.load(Relaxed);
        if pushes != self.pushes {
            self.missed = 0;
        } else if height > self.height {
            self.missed += 1;
        }
        (self.pushes, self.height) = (pushes, height);
        if self.missed > MISSED {
            self.missed = 0;
            self.signals.mute.notify_one();
        }
    }
}

async fn listen(endpoints: Arc<[Endpoint]>, signals: Arc<Signals>) {
    let mut pause = FIRST_PAUSE;
    loop {
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_pushing()) {
            match subscribe(endpoint).await {
                Ok((_connection, subscription)) => {
                    pause = FIRST_PAUSE;
                    tracing::debug!(node = endpoint.origin, "new heads are pushed");
                    let why = pass_on(subscription, &signals).await;
                    tracing::info!(node = endpoint.origin, "the subscription to new heads {why}; polling, and subscribing again");
                }
                Err(error) => tracing::debug!(%error, node = endpoint.origin, "no subscription to new heads; polling"),
            }
            tokio::time::sleep(pause).await;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn subscribe(endpoint: &Endpoint) -> Result<(RpcClient, RawSubscription), NodeError> {
    const METHOD: &str = "eth_subscribe";
    let client = endpoint.open_websocket().await?;
    let id = endpoint.within(METHOD, SUBSCRIBE_WITHIN, client.request::<_, B256>(METHOD, ("newHeads",))).await?;
    let missing = || NodeError::NotUnderstood { method: METHOD, reason: "the connection pushes nothing".to_owned() };
    let frontend = client.pubsub_frontend().ok_or_else(missing)?;
    let subscription = endpoint.within(METHOD, SUBSCRIBE_WITHIN, frontend.get_subscription(id)).await?;
    Ok((client, subscription))
}

/// Wakes the follower at each head. Answers why no more will come.
async fn pass_on(mut subscription: RawSubscription, signals: &Signals) -> &'static str {
    loop {
        tokio::select! {
            head = subscription.recv() => {
                let header = match head {
                    Ok(head) => serde_json::from_str(head.get()).ok(),
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return "was cut off",
                };
                *signals.header.lock().unwrap_or_else(PoisonError::into_inner) = header;
                signals.pushes.fetch_add(1, Relaxed);
                signals.pushed.notify_one();
            },
            () = signals.mute.notified() => return "is mute",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> Heads {
        Heads { signals: Arc::default(), pushes: 0, height: 10, missed: 0, _listener: None }
    }

    async fn is_taken_for_mute(heads: &Heads) -> bool {
        tokio::time::timeout(Duration::ZERO, heads.signals.mute.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn heads_without_a_push_count_and_an_idle_chain_does_not() {
        let mut heads = heads();
        for _ in 0..100 {
            heads.seen(10);
        }
        for height in 11..=13 {
            heads.seen(height);
        }
        assert!(!is_taken_for_mute(&heads).await);
        heads.seen(14);
        assert!(is_taken_for_mute(&heads).await);
    }

    #[tokio::test]
    async fn a_subscription_that_drops_some_heads_is_kept() {
        let mut heads = heads();
        for height in 11..100 {
            if height % 3 == 0 {
                heads.signals.pushes.fetch_add(1, Relaxed);
            }
            heads.seen(height);
        }
        assert!(!is_taken_for_mute(&heads).await);
    }

    #[tokio::test]
    async fn pushes_while_nobody_waits_are_one_wake_up() {
        let heads = heads();
        heads.signals.pushed.notify_one();
        heads.signals.pushed.notify_one();
        assert!(tokio::time::timeout(Duration::from_millis(10), heads.wait()).await.is_ok());
        assert!(tokio::time::timeout(Duration::from_millis(10), heads.wait()).await.is_err());
    }
}

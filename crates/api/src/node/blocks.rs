//! New blocks, asked for by one task for all who wait for a transaction: one question for each block, and one in between now and then, however
//! many wait. It asks for nothing while no request waits.

use std::{collections::HashSet, sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::Node;

/// The time between two questions for a block that is not there yet.
const POLL: Duration = Duration::from_millis(500);

/// Blocks that who waits may be behind before everything is looked at anew.
const ROOM: usize = 64;

/// Most blocks that are read one after the other: who is further behind looks at what is waited for, and not at every block.
const MOST: u32 = 32;

/// What those hear who wait.
#[derive(Clone, Debug)]
pub(crate) enum BlockNews {
    /// A block was mined.
    Mined(Arc<MinedBlock>),
    /// Whatever was last looked at before this moment has to be looked at anew: blocks were not read, or were replaced.
    LookAgain(Instant),
    /// The node is back: whatever could not be looked at can be.
    Back,
}

/// What a block says of those who wait.
#[derive(Clone, Debug)]
pub(crate) struct MinedBlock {
    /// When it was asked for.
    pub asked_at: Instant,
    hashes: HashSet<B256>,
    places: HashSet<(Address, u64)>,
}

impl MinedBlock {
    /// Whether this transaction is in it, or another one in its place.
    pub(crate) fn concerns(&self, hash: B256, place: Option<(Address, u64)>) -> bool {
        self.hashes.contains(&hash) || place.is_some_and(|place| self.places.contains(&place))
    }
}

/// Reads blocks for all who wait.
#[derive(Debug)]
pub(crate) struct BlockWatch {
    news: broadcast::Sender<BlockNews>,
    wanted: Notify,
}

impl Default for BlockWatch {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(ROOM), wanted: Notify::new() }
    }
}

impl BlockWatch {
    /// What happens from here on, for as long as it is held.
    pub(crate) fn listen(&self) -> broadcast::Receiver<BlockNews> {
        let news = self.news.subscribe();
        self.wanted.notify_one();
        news
    }

    /// Reads blocks whenever a request waits, until `shutdown`.
    pub(crate) async fn run(&self, node: Node, shutdown: CancellationToken) {
        let reading = async {
            loop {
                while self.news.receiver_count() == 0 {
                    self.wanted.notified().await;
                }
                self.follow(&node).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = reading => {}
        }
    }

    /// Reads block after block, as long as anybody waits.
    async fn follow(&self, node: &Node) {
        let (mut next, mut parent, mut read) = (None::<u64>, None::<B256>, 0);
        let mut was_away = false;
        while self.news.receiver_count() > 0 {
            let asked_at = Instant::now();
            let Some(number) = next else {
                match node.height().await {
                    Ok(height) => {
                        next = Some(height.saturating_add(1));
                        self.tell(BlockNews::LookAgain(asked_at));
                    }
                    Err(_) => tokio::time::sleep(POLL).await,
                }
                continue;
            };
            match node.block(number).await {
                Ok(answer) => {
                    if std::mem::take(&mut was_away) {
                        self.tell(BlockNews::Back);
                    }
                    let Some(block) = answer else {
                        read = 0;
                        tokio::time::sleep(POLL).await;
                        continue;
                    };
                    if parent.is_some_and(|parent| block.parent_hash != parent) {
                        self.tell(BlockNews::LookAgain(asked_at));
                    }
                    parent = block.hash;
                    let hashes = block.transactions.iter().map(|placed| placed.hash).collect();
                    let places = block.transactions.iter().filter_map(|placed| placed.place()).collect();
                    self.tell(BlockNews::Mined(Arc::new(MinedBlock { asked_at, hashes, places })));
                    read += 1;
                    next = (read < MOST).then(|| number.saturating_add(1));
                    if next.is_none() {
                        (parent, read) = (None, 0);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a block could not be read");
                    was_away = true;
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    fn tell(&self, news: BlockNews) {
        // Who waited may have gone.
        let _heard = self.news.send(news);
    }
}

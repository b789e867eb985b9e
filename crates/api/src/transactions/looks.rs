//! Looks at transactions, shared by all who wait for the same one: the first request to look, looks for all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use alloy::primitives::B256;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{Place, Tracker, track::Located};
use crate::{error::ApiError, node::NodeError};

/// One transaction, as it is looked for: by its hash, and the place that a client gives it.
type Subject = (B256, Option<Place>);

/// The last look at one transaction, and when it began.
type LastLook = AsyncMutex<Option<(Instant, Result<Located, NotLocated>)>>;

/// All transactions that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<Waited>);

#[derive(Debug, Default)]
struct Waited {
    by_subject: HashMap<Subject, Weak<LastLook>>,
    /// How many there are when those that no request waits for any more are next forgotten.
    full: usize,
}

/// Why a look came to nothing, for all who wait.
#[derive(Clone, Debug)]
enum NotLocated {
    Node(NodeError),
    Database,
}

/// A transaction that is waited for; forgotten with the last who holds it.
#[derive(Clone, Debug)]
pub(crate) struct SharedLook {
    subject: Subject,
    last: Arc<LastLook>,
}

impl Looks {
    /// The transaction with this hash, to be looked for in that place where nothing else is known.
    pub(crate) fn of(&self, hash: B256, hint: Option<Place>) -> SharedLook {
        const FEW: usize = 64;
        let subject = (hash, hint);
        let mut waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = waited.by_subject.get(&subject).and_then(Weak::upgrade) {
            return SharedLook { subject, last };
        }
        if waited.by_subject.len() >= waited.full.max(FEW) {
            waited.by_subject.retain(|_, last| last.strong_count() > 0);
            waited.full = waited.by_subject.len().saturating_mul(2);
        }
        let last = Arc::new(LastLook::default());
        waited.by_subject.insert(subject, Arc::downgrade(&last));
        SharedLook { subject, last }
    }
}

impl SharedLook {
    /// Whether it is this one.
    pub(crate) fn is_of(&self, hash: B256, hint: Option<Place>) -> bool {
        self.subject == (hash, hint)
    }

    /// Where the transaction is, by a look that began at `since` or later. Fails as that look did.
    pub(crate) async fn locate(&self, tracker: &Tracker<'_>, since: Instant) -> Result<Located, ApiError> {
        let mut last = self.last.lock().await;
        let known = last.as_ref().filter(|(began, _)| *began >= since).map(|(_, located)| located.clone());
        let located = match known {
            Some(located) => located,
            None => {
                let began = Instant::now();
                let (hash, hint) = self.subject;
                let located = match tracker.locate(hash, hint).await {
                    Ok(located) => Ok(located),
                    Err(ApiError::Node(error)) => Err(NotLocated::Node(error)),
                    Err(error) => {
                        error.log();
                        Err(NotLocated::Database)
                    }
                };
                *last = Some((began, located.clone()));
                located
            }
        };
        located.map_err(|failed| match failed {
            NotLocated::Node(error) => ApiError::Node(error),
            NotLocated::Database => ApiError::DatabaseAway,
        })
    }
}

//! Hearing that the index has moved.

use sqlx::{PgPool, postgres::PgListener};

use crate::{INDEXED_CHANNEL, StoreError};

/// Wakes up at each block the indexer commits. What the block holds is read from a [`super::Snapshot`].
#[derive(Debug)]
pub struct IndexListener {
    listener: PgListener,
}

impl IndexListener {
    pub(super) async fn connect(pool: &PgPool) -> Result<Self, StoreError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(INDEXED_CHANNEL).await?;
        Ok(Self { listener })
    }

    /// Waits until the index has moved, or until the connection was lost and made again, during which it may have moved unheard.
    pub async fn moved(&mut self) -> Result<(), StoreError> {
        self.listener.try_recv().await?;
        Ok(())
    }
}

//! What wallets' idempotency keys stand for.

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    Account, Hash, StoreError, SubmittedTransactions,
    columns::{bigint, small, unsigned},
};

/// What was prepared when a key came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedRequest {
    /// Hash of all that was asked for.
    pub request: B256,
    /// The nonce of the first step.
    pub nonce: u64,
    /// How many steps there were, each with the nonce that follows.
    pub steps: u8,
    /// The forwarder's nonce; nothing where no request to it was offered.
    pub forwarder_nonce: Option<u64>,
    /// Tells apart two authorizations of the same terms.
    pub salt: B256,
    /// The indexed block, and its hash; no hash where an older version kept the key.
    pub block: u64,
    /// See `block`.
    pub block_hash: Option<B256>,
    /// The transaction that did it, once that has been answered.
    pub done_by: Option<B256>,
}

/// A transaction of a relayer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayedCall {
    /// The hash of its latest attempt.
    pub hash: B256,
    /// What it calls.
    pub target: Address,
    /// Calldata.
    pub data: Bytes,
}

impl PinnedRequest {
    /// The nonce of the last step: the action's own.
    pub fn last_nonce(&self) -> u64 {
        self.nonce.saturating_add(u64::from(self.steps.saturating_sub(1)))
    }
}

impl SubmittedTransactions {
    /// What `key` stands for; nothing if `wallet` has not used it within the last day. Fails when the database does not answer.
    pub async fn pinned(&self, wallet: Address, key: &str) -> Result<Option<PinnedRequest>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT request AS "request: Hash", nonce, steps, forwarder_nonce, salt AS "salt: Hash", block,
                      block_hash AS "block_hash: Hash", done_by AS "done_by: Hash" FROM idempotency_keys
               WHERE wallet = $1::bytea AND key = $2 AND created_at > clock_timestamp() - interval '1 day'"#,
            Account(wallet) as Account,
            key,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let number = |number| unsigned("idempotency_keys", number);
        Ok(Some(PinnedRequest {
            request: row.request.0,
            nonce: number(row.nonce)?,
            steps: small("idempotency_keys", row.steps)?,
            forwarder_nonce: row.forwarder_nonce.map(number).transpose()?,
            salt: row.salt.0,
            block: number(row.block)?,
            block_hash: row.block_hash.map(|hash| hash.0),
            done_by: row.done_by.map(|hash| hash.0),
        }))
    }

    /// Lets `key` stand for `request` for a day, unless it stands for something already, and forgets some that are older. Answers what it stands
    /// for now. Fails when the database does not answer, and then the key may stand for it or not.
    pub async fn pin(&self, wallet: Address, key: &str, request: &PinnedRequest) -> Result<Option<PinnedRequest>, StoreError> {
        sqlx::query!(
            "WITH old AS (SELECT wallet, key FROM idempotency_keys
                          WHERE created_at < clock_timestamp() - interval '1 day' AND NOT (wallet = $1::bytea AND key = $2)
                          ORDER BY created_at LIMIT 10),
                  forgotten AS (DELETE FROM idempotency_keys k USING old WHERE k.wallet = old.wallet AND k.key = old.key)
             INSERT INTO idempotency_keys (wallet, key, request, nonce, steps, forwarder_nonce, salt, block, block_hash)
             VALUES ($1::bytea, $2, $3::bytea, $4, $5, $6, $7::bytea, $8, $9::bytea)
             ON CONFLICT (wallet, key) DO UPDATE SET
                 request = excluded.request, nonce = excluded.nonce, steps = excluded.steps, forwarder_nonce = excluded.forwarder_nonce,
                 salt = excluded.salt, block = excluded.block, block_hash = excluded.block_hash, done_by = NULL,
                 created_at = clock_timestamp()
             WHERE idempotency_keys.created_at < clock_timestamp() - interval '1 day'",
            Account(wallet) as Account,
            key,
            Hash(request.request) as Hash,
            bigint(request.nonce)?,
            i16::from(request.steps),
            request.forwarder_nonce.map(bigint).transpose()?,
            Hash(request.salt) as Hash,
            bigint(request.block)?,
            request.block_hash.map(Hash) as Option<Hash>,
        )
        .execute(&self.pool)
        .await?;
        self.pinned(wallet, key).await
    }

    /// Remembers which transaction did what `key` stands for, unless one is remembered that did it before. Fails when the database does not
    /// answer.
    pub async fn note_done(&self, wallet: Address, key: &str, transaction: B256) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE idempotency_keys SET done_by = $3::bytea WHERE wallet = $1::bytea AND key = $2 AND done_by IS NULL",
            Account(wallet) as Account,
            key,
            Hash(transaction) as Hash,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether `nonce` was prepared for another key of `wallet` than `key`. Fails when the database does not answer.
    pub async fn is_of_another_key(&self, wallet: Address, key: &str, nonce: u64) -> Result<bool, StoreError> {
        let of_another = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM idempotency_keys
               WHERE wallet = $1::bytea AND key <> $2 AND $3 BETWEEN nonce AND nonce + steps - 1
                 AND created_at > clock_timestamp() - interval '1 day') AS "exists!""#,
            Account(wallet) as Account,
            key,
            bigint(nonce)?,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(of_another)
    }

    /// What a relayer took on for `wallet` since `key` came first, the latest first; at most twenty. Fails when the database does not answer.
    pub async fn relayed_since(&self, wallet: Address, key: &str) -> Result<Vec<RelayedCall>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT r.hash AS "hash: Hash", r.target AS "target: Account", r.data FROM relayed r
               JOIN idempotency_keys k ON k.wallet = r.signer AND k.created_at <= r.accepted_at
               WHERE r.signer = $1::bytea AND k.key = $2 ORDER BY r.accepted_at DESC LIMIT 20"#,
            Account(wallet) as Account,
            key,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| RelayedCall { hash: row.hash.0, target: row.target.0, data: row.data.into() }).collect())
    }

    /// The transactions noted as sent by `sender` with this nonce, the latest first; at most ten. Fails when the database does not answer.
    pub async fn sent_with(&self, sender: Address, nonce: u64) -> Result<Vec<B256>, StoreError> {
        let rows = sqlx::query_scalar!(
            r#"SELECT hash AS "hash: Hash" FROM sent WHERE sender = $1::bytea AND nonce = $2 ORDER BY sent_at DESC LIMIT 10"#,
            Account(sender) as Account,
            bigint(nonce)?,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|hash| hash.0).collect())
    }
}

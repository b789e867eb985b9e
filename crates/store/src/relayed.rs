//! The relayer's nonces, each given to one job that is written down before its transaction is sent; and what the jobs of a day cost.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use clawpay_domain::Usdc;
use sqlx::{PgExecutor, Postgres, Transaction};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Account, Amount, Hash, StoreError, SubmittedTransactions,
    begin::begin,
    columns::{bigint, unsigned},
};

/// Of advisory locks, those of relayers: the ASCII of "relay".
const LOCKS: i32 = 0x656c_6179;
/// Most transactions looked after at once.
const MOST_OPEN: i64 = 200;

/// What a transaction offers for its gas, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasOffer {
    /// At most this in total.
    pub max_fee: u64,
    /// Of which this is for the block's producer; nothing on a chain without a base fee.
    pub priority_fee: Option<u64>,
}

/// What a caller asked the relayer to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayJob {
    /// Hash of all that was posted.
    pub posted: B256,
    /// Hash of what was signed in it.
    pub signed: B256,
    /// Who signed.
    pub signer: Address,
    /// The contract to call.
    pub target: Address,
    /// With what.
    pub data: Bytes,
    /// Gas limit.
    pub gas: u64,
    /// Wei that it is expected to cost beside its gas.
    pub data_fee: U256,
    /// Whether it registers an agent.
    pub is_registration: bool,
}

/// A signed transaction of the relayer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayAttempt {
    /// What it offers.
    pub gas: GasOffer,
    /// Its hash.
    pub hash: B256,
    /// As it goes to the node.
    pub raw: Bytes,
}

/// A job that has its nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The relayer's nonce that it has.
    pub nonce: u64,
    /// What is to be done.
    pub job: RelayJob,
    /// The latest transaction that does it.
    pub attempt: RelayAttempt,
    /// How long ago that was made.
    pub age: Duration,
    /// Whether it is known what it has cost.
    pub is_charged: bool,
}

/// What came of a mined job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayCharge {
    /// Wei that the chain has taken for it, all together.
    pub wei: U256,
    /// Whether it reverted because of what its signer did meanwhile.
    pub is_signers_revert: bool,
}

/// What the jobs of the last 24 hours cost: what the chain has charged for them, and of those whose receipt is not known what they may cost at
/// most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Wei for all of them.
    pub wei: U256,
    /// Wei of it for registrations.
    pub for_registrations: U256,
    /// The most wei beside its gas that one of them was expected to cost.
    pub largest_data_fee: U256,
}

/// How much was taken on for one signer in the last 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentOnSigner {
    /// All jobs.
    pub jobs: u64,
    /// Registrations among them.
    pub registrations: u64,
    /// Those that the signer has made revert.
    pub reverts: u64,
    /// Those that are not mined yet.
    pub waiting: u64,
}

/// The turn of one request of this server to try out what it asks for and to have it sent: what the next one is tried out on knows of it. Only who
/// has it waits for the database's lock, on a connection that the holder's next statement may need.
#[derive(Debug)]
pub struct RelayTurn(#[expect(dead_code, reason = "it is held, and not used")] OwnedSemaphorePermit);

/// The right to give one relayer's nonces, held until dropped: no other server gives one meanwhile. All that is asked of it fails with its
/// connection, which gives the right back.
#[derive(Debug)]
pub struct NonceLock {
    transaction: Transaction<'static, Postgres>,
    relayer: Address,
}

impl SubmittedTransactions {
    /// Waits for this request's turn, among those of this server.
    pub async fn relay_turn(&self) -> Result<RelayTurn, StoreError> {
        Ok(RelayTurn(Arc::clone(&self.relay_turns).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?))
    }

    /// Waits for the right to give the nonces of `relayer`, across all servers of this database.
    pub async fn nonce_lock(&self, _turn: &RelayTurn, relayer: Address) -> Result<NonceLock, StoreError> {
        let mut transaction = begin(&self.pool, "BEGIN").await?;
        let [.., a, b, c, d] = relayer.into_array();
        sqlx::query!("SELECT pg_advisory_xact_lock($1, $2)", LOCKS, i32::from_be_bytes([a, b, c, d])).fetch_one(&mut *transaction).await?;
        Ok(NonceLock { transaction, relayer })
    }

    /// The transaction that was last made for what was posted, or for what is signed in it.
    pub async fn relayed(&self, posted: B256, signed: B256) -> Result<Option<B256>, StoreError> {
        let hash = sqlx::query_scalar!(
            r#"SELECT hash AS "hash: Hash" FROM relayed WHERE posted = $1::bytea OR signed = $2::bytea LIMIT 1"#,
            Hash(posted) as Hash,
            Hash(signed) as Hash,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(hash.map(|hash| hash.0))
    }

    /// Whether the transaction is one of a relayer's that is being looked after.
    pub async fn is_looked_after(&self, hash: B256) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM relayed WHERE hash = $1::bytea AND NOT is_settled) AS "open!""#,
            Hash(hash) as Hash
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// What the jobs of the last 24 hours cost.
    pub async fn spent(&self, relayer: Address) -> Result<Spent, StoreError> {
        // No account has the zero address.
        Ok(spent(&self.pool, relayer, Address::ZERO, 0).await?.0)
    }

    /// Notes what a mined job has cost.
    pub async fn charge(&self, relayer: Address, nonce: u64, charge: RelayCharge) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE relayed SET charged = $3, is_signers_revert = $4 WHERE relayer = $1::bytea AND nonce = $2 AND NOT is_settled",
            Account(relayer) as Account,
            bigint(nonce)?,
            Amount(Usdc(charge.wei)) as Amount,
            charge.is_signers_revert,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Looks no more after the jobs with a nonce below `settled`: they are mined for good.
    pub async fn settle(&self, relayer: Address, settled: u64) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE relayed SET is_settled = true WHERE relayer = $1::bytea AND nonce < $2 AND NOT is_settled",
            Account(relayer) as Account,
            bigint(settled)?,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What is looked after, in the order of the nonces; the first 200.
    pub async fn open_jobs(&self, relayer: Address) -> Result<Vec<Relayed>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT nonce, posted AS "posted: Hash", signed AS "signed: Hash", signer AS "signer: Account", target AS "target: Account",
                      data, gas, data_fee AS "data_fee: Amount", is_registration, max_fee, priority_fee, hash AS "hash: Hash", raw,
                      charged IS NOT NULL AS "is_charged!",
                      greatest((extract(epoch FROM clock_timestamp() - offered_at) * 1000)::bigint, 0) AS "age!"
               FROM relayed WHERE relayer = $1::bytea AND NOT is_settled ORDER BY nonce LIMIT $2"#,
            Account(relayer) as Account,
            MOST_OPEN,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let number = |number| unsigned("relayed", number);
                Ok(Relayed {
                    nonce: number(row.nonce)?,
                    job: RelayJob {
                        posted: row.posted.0,
                        signed: row.signed.0,
                        signer: row.signer.0,
                        target: row.target.0,
                        data: row.data.into(),
                        gas: number(row.gas)?,
                        data_fee: row.data_fee.0.0,
                        is_registration: row.is_registration,
                    },
                    attempt: RelayAttempt {
                        gas: GasOffer { max_fee: number(row.max_fee)?, priority_fee: row.priority_fee.map(number).transpose()? },
                        hash: row.hash.0,
                        raw: row.raw.into(),
                    },
                    age: Duration::from_millis(number(row.age)?),
                    is_charged: row.is_charged,
                })
            })
            .collect()
    }

    /// Puts another transaction in the place of `old`, and notes it as sent. False if another server has done so meanwhile.
    pub async fn attempt_again(&self, relayer: Address, nonce: u64, old: B256, attempt: &RelayAttempt) -> Result<bool, StoreError> {
        let replaced = sqlx::query!(
            "WITH raised AS (
                 UPDATE relayed SET max_fee = $4, priority_fee = $5, hash = $6::bytea, raw = $7, offered_at = clock_timestamp()
                 WHERE relayer = $1::bytea AND nonce = $2 AND hash = $3::bytea AND NOT is_settled
                 RETURNING hash, relayer, nonce)
             INSERT INTO sent (hash, sender, nonce) SELECT hash, relayer, nonce FROM raised",
            Account(relayer) as Account,
            bigint(nonce)?,
            Hash(old) as Hash,
            bigint(attempt.gas.max_fee)?,
            attempt.gas.priority_fee.map(bigint).transpose()?,
            Hash(attempt.hash) as Hash,
            attempt.raw.as_ref(),
        )
        .execute(&self.pool)
        .await?;
        Ok(replaced.rows_affected() == 1)
    }
}

impl SubmittedTransactions {
    /// How much `relayer` has taken on for `signer` in the last 24 hours, where what is on its way is not told from the rest.
    pub async fn spent_on(&self, relayer: Address, signer: Address) -> Result<SpentOnSigner, StoreError> {
        let row = sqlx::query!(
            r#"SELECT count(*) AS "jobs!", count(*) FILTER (WHERE is_registration) AS "registrations!",
                      count(*) FILTER (WHERE is_signers_revert) AS "reverts!"
               FROM relayed
               WHERE signer = $2::bytea AND relayer = $1::bytea AND accepted_at > clock_timestamp() - interval '24 hours'"#,
            Account(relayer) as Account,
            Account(signer) as Account,
        )
        .fetch_one(&self.pool)
        .await?;
        let number = |number| unsigned("relayed", number);
        Ok(SpentOnSigner { jobs: number(row.jobs)?, registrations: number(row.registrations)?, reverts: number(row.reverts)?, waiting: 0 })
    }
}

impl NonceLock {
    /// What the jobs of the last 24 hours cost, and how many of them were for `signer`, where `mined` is the relayer's first nonce that is in no
    /// block.
    pub async fn spent(&mut self, signer: Address, mined: u64) -> Result<(Spent, SpentOnSigner), StoreError> {
        spent(&mut *self.transaction, self.relayer, signer, mined).await
    }

    /// The nonce that is next, where `mined` is the first that the chain has not seen.
    pub async fn next_nonce(&mut self, mined: u64) -> Result<u64, StoreError> {
        let last = sqlx::query_scalar!("SELECT max(nonce) FROM relayed WHERE relayer = $1::bytea", Account(self.relayer) as Account)
            .fetch_one(&mut *self.transaction)
            .await?;
        let next = last.map(|last| unsigned("relayed", last)).transpose()?.map_or(0, |last| last.saturating_add(1));
        Ok(next.max(mined))
    }

    /// Writes the job down, notes its transaction as sent, and releases the lock. False if what was signed has been taken on already.
    pub async fn take_on(mut self, nonce: u64, job: &RelayJob, attempt: &RelayAttempt) -> Result<bool, StoreError> {
        let inserted = sqlx::query!(
            "INSERT INTO relayed (relayer, nonce, posted, signed, signer, target, data, gas, max_fee, priority_fee, hash, raw,
                                  data_fee, is_registration)
             VALUES ($1::bytea, $2, $3::bytea, $4::bytea, $5::bytea, $6::bytea, $7, $8, $9, $10, $11::bytea, $12, $13, $14)
             ON CONFLICT DO NOTHING",
            Account(self.relayer) as Account,
            bigint(nonce)?,
            Hash(job.posted) as Hash,
            Hash(job.signed) as Hash,
            Account(job.signer) as Account,
            Account(job.target) as Account,
            job.data.as_ref(),
            bigint(job.gas)?,
            bigint(attempt.gas.max_fee)?,
            attempt.gas.priority_fee.map(bigint).transpose()?,
            Hash(attempt.hash) as Hash,
            attempt.raw.as_ref(),
            Amount(Usdc(job.data_fee)) as Amount,
            job.is_registration,
        )
        .execute(&mut *self.transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "INSERT INTO sent (hash, sender, nonce) VALUES ($1::bytea, $2::bytea, $3)",
            Hash(attempt.hash) as Hash,
            Account(self.relayer) as Account,
            bigint(nonce)?,
        )
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await?;
        Ok(true)
    }
}

async fn spent(executor: impl PgExecutor<'_>, relayer: Address, signer: Address, mined: u64) -> Result<(Spent, SpentOnSigner), StoreError> {
    let row = sqlx::query!(
        r#"WITH day AS (
             SELECT coalesce(charged, gas::numeric * max_fee + data_fee) AS wei, data_fee, is_registration, is_signers_revert,
                    signer = $2::bytea AS is_signers, nonce >= $3 AS is_waiting
             FROM relayed WHERE relayer = $1::bytea AND accepted_at > clock_timestamp() - interval '24 hours')
           SELECT coalesce(sum(wei), 0) AS "wei!: Amount",
                  coalesce(sum(wei) FILTER (WHERE is_registration), 0) AS "for_registrations!: Amount",
                  coalesce(max(data_fee), 0) AS "largest_data_fee!: Amount",
                  count(*) FILTER (WHERE is_signers) AS "jobs!",
                  count(*) FILTER (WHERE is_signers AND is_registration) AS "registrations!",
                  count(*) FILTER (WHERE is_signers AND is_signers_revert) AS "reverts!",
                  count(*) FILTER (WHERE is_signers AND is_waiting) AS "waiting!"
           FROM day"#,
        Account(relayer) as Account,
        Account(signer) as Account,
        bigint(mined)?,
    )
    .fetch_one(executor)
    .await?;
    let number = |number| unsigned("relayed", number);
    let spent = Spent { wei: row.wei.0.0, for_registrations: row.for_registrations.0.0, largest_data_fee: row.largest_data_fee.0.0 };
    let of_signer = SpentOnSigner {
        jobs: number(row.jobs)?,
        registrations: number(row.registrations)?,
        reverts: number(row.reverts)?,
        waiting: number(row.waiting)?,
    };
    Ok((spent, of_signer))
}

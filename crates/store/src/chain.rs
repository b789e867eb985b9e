//! The one chain and deployment a database belongs to.

use alloy_primitives::{Address, B256};
use clawpay_domain::Parameters;
use sqlx::PgConnection;

use crate::{
    Account, Hash, StoreError,
    columns::{bigint, unsigned},
};

/// What the indexer proved about the chain before it wrote the first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// The escrow.
    pub run_escrow: Address,
    /// The stakes.
    pub agent_stake: Address,
    /// The identities.
    pub agent_registry: Address,
    /// The token.
    pub usdc: Address,
    /// The forwarder that the contracts trust.
    pub forwarder: Address,
    /// First block that can hold an event of these contracts.
    pub deployment_block: u64,
    /// The immutable rules, read from the contracts.
    pub parameters: Parameters,
}

/// The row, as it is stored.
#[derive(sqlx::FromRow)]
pub(crate) struct ChainRow {
    chain_id: i64,
    genesis_hash: Hash,
    run_escrow: Account,
    agent_stake: Account,
    agent_registry: Account,
    usdc: Account,
    forwarder: Account,
    deployment_block: i64,
    parameters: String,
}

/// The columns of a [`ChainRow`], as SQL.
macro_rules! columns {
    () => {
        "\
         chain_id, genesis_hash, run_escrow, agent_stake, agent_registry, usdc, forwarder, deployment_block, \
         parameters::text AS parameters"
    };
}

/// The same, for a query that reads more beside them.
pub(crate) const COLUMNS: &str = columns!();

impl TryFrom<ChainRow> for Chain {
    type Error = StoreError;

    fn try_from(row: ChainRow) -> Result<Self, StoreError> {
        Ok(Self {
            chain_id: unsigned("chain", row.chain_id)?,
            genesis_hash: row.genesis_hash.0,
            run_escrow: row.run_escrow.0,
            agent_stake: row.agent_stake.0,
            agent_registry: row.agent_registry.0,
            usdc: row.usdc.0,
            forwarder: row.forwarder.0,
            deployment_block: unsigned("chain", row.deployment_block)?,
            parameters: serde_json::from_str(&row.parameters)
                .map_err(|error| StoreError::Corrupt { table: "chain", value: error.to_string() })?,
        })
    }
}

impl Chain {
    /// The stored chain; nothing before an indexer has started on this database.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Option<Self>, StoreError> {
        sqlx::query_as::<_, ChainRow>(concat!("SELECT ", columns!(), " FROM chain"))
            .fetch_optional(connection)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Makes the database this chain's.
    pub(crate) async fn insert(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let parameters =
            serde_json::to_string(&self.parameters).map_err(|error| StoreError::Corrupt { table: "chain", value: error.to_string() })?;
        sqlx::query!(
            "INSERT INTO chain (chain_id, genesis_hash, run_escrow, agent_stake, agent_registry, usdc, forwarder, deployment_block, parameters)
             VALUES ($1, $2::bytea, $3::bytea, $4::bytea, $5::bytea, $6::bytea, $7::bytea, $8, $9::text::jsonb)",
            bigint(self.chain_id)?,
            Hash(self.genesis_hash) as Hash,
            Account(self.run_escrow) as Account,
            Account(self.agent_stake) as Account,
            Account(self.agent_registry) as Account,
            Account(self.usdc) as Account,
            Account(self.forwarder) as Account,
            bigint(self.deployment_block)?,
            parameters,
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Refuses a database that holds anything but this very chain and deployment.
    pub(crate) fn require_same(&self, stored: &Self) -> Result<(), StoreError> {
        let require = |what, stored: String, found: String| {
            if stored == found { Ok(()) } else { Err(StoreError::OtherMarket { what, stored, found }) }
        };
        require("chain id", stored.chain_id.to_string(), self.chain_id.to_string())?;
        require("genesis block", stored.genesis_hash.to_string(), self.genesis_hash.to_string())?;
        require("RunEscrow", stored.run_escrow.to_string(), self.run_escrow.to_string())?;
        require("AgentStake", stored.agent_stake.to_string(), self.agent_stake.to_string())?;
        require("AgentRegistry", stored.agent_registry.to_string(), self.agent_registry.to_string())?;
        require("USDC", stored.usdc.to_string(), self.usdc.to_string())?;
        require("forwarder", stored.forwarder.to_string(), self.forwarder.to_string())?;
        require("deployment block", stored.deployment_block.to_string(), self.deployment_block.to_string())?;
        require("set of parameters", format!("{:?}", stored.parameters), format!("{:?}", self.parameters))
    }
}

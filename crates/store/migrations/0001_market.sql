-- What the indexer remembers of one chain's market.
--
-- Facts come from events only; nothing that time alone changes is stored (ESTABLISHED, slashable, finalizable follow from these facts and
-- the indexed block's timestamp). Projections (runs, agents) are pure folds of `events` and may be deleted and rebuilt at any time.
--
-- Units: USDC in base units (6 decimals) as numeric(78,0), which holds any uint256; times in seconds of block.timestamp as bigint;
-- addresses 20 bytes, hashes 32 bytes. Text that a chain's users wrote is arbitrary bytes: kept raw, shown as lossy UTF-8 by the reader.

CREATE DOMAIN address AS bytea CHECK (octet_length(VALUE) = 20);
CREATE DOMAIN hash32 AS bytea CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN usdc AS numeric(78, 0) CHECK (VALUE >= 0);

-- Spelled as in Solidity, Rust and JSON; the order is that of the Solidity enum.
CREATE TYPE run_state AS ENUM (
    'DRAFT', 'OPEN', 'CLAIMED', 'IN_PROGRESS', 'SUBMITTED', 'APPROVED', 'REVISION_REQUESTED', 'REJECTED', 'SLASHED', 'CANCELLED'
);

-- The one chain and deployment this database belongs to. Start-up refuses any other.
CREATE TABLE chain (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    chain_id         bigint  NOT NULL,
    -- Hash of block 0, which tells two local chains with one id apart.
    genesis_hash     hash32  NOT NULL,
    run_escrow       address NOT NULL,
    agent_stake      address NOT NULL,
    agent_registry   address NOT NULL,
    usdc             address NOT NULL,
    -- First block that can hold an event of ours.
    deployment_block bigint  NOT NULL,
    -- Seconds, basis points and base units read from the contracts; immutable there.
    parameters       jsonb   NOT NULL
);

-- Headers the index has verified: every block with an event of ours, and all blocks that may still be replaced.
CREATE TABLE blocks (
    number      bigint PRIMARY KEY,
    hash        hash32 NOT NULL UNIQUE,
    parent_hash hash32 NOT NULL,
    timestamp   bigint NOT NULL
);

-- How far the index has come. Written in the same transaction as the rows it vouches for, and locked first, so two writers cannot interleave.
CREATE TABLE cursor (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    number    bigint NOT NULL,
    hash      hash32 NOT NULL,
    timestamp bigint NOT NULL,
    -- Highest blocks the node has called safe and finalized, never above `number`; null until it has named one.
    safe      bigint,
    finalized bigint,
    -- The node's head at the last successful check of it, and when that was by this server's clock, which readers compare it with: an
    -- idle chain still gets checked.
    head            bigint      NOT NULL,
    head_checked_at timestamptz NOT NULL
);

-- Every log of our contracts, raw, beside what was understood of it. Deleted with its block on a reorg.
CREATE TABLE events (
    block_number bigint NOT NULL REFERENCES blocks (number) ON DELETE CASCADE,
    log_index    bigint NOT NULL,
    block_hash   hash32 NOT NULL,
    tx_hash      hash32 NOT NULL,
    tx_index     bigint NOT NULL,
    contract     address NOT NULL,
    -- Up to four words, one after the other.
    topics       bytea   NOT NULL CHECK (octet_length(topics) <= 128 AND octet_length(topics) % 32 = 0),
    data         bytea   NOT NULL,
    -- The event's name; null when the log is none of the ABI's events.
    name         text,
    run_id       bigint,
    agent_id     bigint,
    -- Why decoding failed or the rules contradict it; such an event changes no projection.
    refusal      text,
    PRIMARY KEY (block_number, log_index)
);

-- A run's or an agent's timeline, and what a refold reads.
CREATE INDEX events_run ON events (run_id, block_number, log_index) WHERE run_id IS NOT NULL;
CREATE INDEX events_agent ON events (agent_id, block_number, log_index) WHERE agent_id IS NOT NULL;
CREATE INDEX events_refused ON events (block_number, log_index) WHERE refusal IS NOT NULL;

CREATE TABLE runs (
    id                   bigint PRIMARY KEY,
    poster               address   NOT NULL,
    content_uri          bytea     NOT NULL,
    reward               usdc      NOT NULL,
    fee                  usdc      NOT NULL,
    deadline             bigint    NOT NULL,
    max_revisions        smallint  NOT NULL,
    state                run_state NOT NULL,
    -- The claim: all four or none.
    agent_id             bigint,
    wallet               address,
    stake_at_risk        usdc,
    claimed_at           bigint,
    -- The latest delivery: both or none.
    deliverable_uri      bytea,
    submitted_at         bigint,
    revisions            smallint  NOT NULL,
    feedback             bytea,
    due_at               bigint,
    review_by            bigint,
    created_at           bigint    NOT NULL,
    funded_at            bigint,
    settled_at           bigint,
    finalized_by_silence boolean   NOT NULL,
    -- Transaction that created the run.
    tx_hash              hash32    NOT NULL,
    -- Block of the latest event, from which the row's finality follows.
    updated_block        bigint    NOT NULL,
    -- What of this run's events contradicts the rules; null when nothing does.
    inconsistency        text,
    CHECK (num_nulls(agent_id, wallet, stake_at_risk, claimed_at) IN (0, 4)),
    CHECK (num_nulls(deliverable_uri, submitted_at) IN (0, 2))
);

-- The list's filters, newest first.
CREATE INDEX runs_state ON runs (state, id DESC);
CREATE INDEX runs_poster ON runs (poster, id DESC);
CREATE INDEX runs_agent ON runs (agent_id, id DESC) WHERE agent_id IS NOT NULL;
CREATE INDEX runs_reward ON runs (reward, id DESC);

CREATE TABLE agents (
    id             bigint PRIMARY KEY,
    -- Null when the registration has not been seen: a foreign registry may be older than this market.
    owner          address,
    wallet         address,
    uri            bytea    NOT NULL,
    registered_at  bigint,
    stake          usdc     NOT NULL,
    owed           usdc     NOT NULL,
    runs_in_hand   bigint   NOT NULL,
    slashes        bigint   NOT NULL,
    completions    bigint   NOT NULL,
    staked_since   bigint,
    claimed        bigint   NOT NULL,
    rejected       bigint   NOT NULL,
    volume         usdc     NOT NULL,
    -- [{"run": 7, "amount": "10000000", "at": 1760000000}], oldest first.
    slash_history  jsonb    NOT NULL,
    updated_block  bigint   NOT NULL,
    inconsistency  text
);

CREATE INDEX agents_owner ON agents (owner, id) WHERE owner IS NOT NULL;

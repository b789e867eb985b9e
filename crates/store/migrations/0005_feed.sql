-- What listeners are told, in the order in which they are told it: every event once it is indexed, and once more when a reorg takes it back.
-- Rows are added and never changed. Each is written in the transaction that writes or removes the event, while the cursor is locked, so that
-- a number that can be seen is never followed by a smaller one.

SET LOCAL lock_timeout = '2s';

CREATE TABLE feed (
    seq          bigint PRIMARY KEY,
    -- The event's place, which after a reorg may be another event's.
    block_number bigint NOT NULL,
    log_index    bigint NOT NULL,
    -- The row whose event is taken back, and the event as it was, since `events` holds it no longer. Null in all other rows.
    retracts     bigint,
    block_hash   hash32,
    timestamp    bigint,
    tx_hash      hash32,
    tx_index     bigint,
    contract     address,
    topics       bytea,
    data         bytea,
    name         text,
    run_id       bigint,
    agent_id     bigint,
    refusal      text,
    -- Of the run, which the reorg may have taken back as well.
    poster       address,
    CHECK (num_nulls(retracts, block_hash, timestamp, tx_hash, tx_index, contract, topics, data) IN (0, 8))
);

-- Nothing is taken back twice.
CREATE UNIQUE INDEX feed_retracts ON feed (retracts) WHERE retracts IS NOT NULL;
-- Rows lie as their blocks do, so that the few of a reorg's are found without an index entry for each.
CREATE INDEX feed_block ON feed USING brin (block_number) WITH (autosummarize = on);

-- The last number given.
ALTER TABLE cursor ADD COLUMN feed bigint NOT NULL DEFAULT 0;
-- The cursor's hash when the feed was last complete. An older program moves the cursor and leaves this behind: the feed is then begun anew.
ALTER TABLE cursor ADD COLUMN feed_hash bytea;

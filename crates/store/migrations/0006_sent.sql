-- What the API's servers have sent or seen on its way to the chain. The one part of this schema that is theirs and not the indexer's: nothing
-- derived from the chain depends on it, and it may be emptied at the price of transactions that nobody can tell any more what became of.

SET LOCAL lock_timeout = '2s';

-- Transactions of the market, so that one which vanishes from the node can be told from one that never was: by its sender and nonce.
CREATE TABLE sent (
    hash    hash32 PRIMARY KEY,
    sender  address NOT NULL,
    nonce   bigint NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Those that may take each other's place.
CREATE INDEX sent_place ON sent (sender, nonce);
-- What is old enough to forget.
CREATE INDEX sent_age ON sent (sent_at);

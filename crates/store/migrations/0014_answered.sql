-- Of several alike things that one transaction did, such as two runs posted with the same terms: which was answered when, so that each
-- request that hands in the transaction gets one of its own. The API's servers write it, as they do `sent`. It may be emptied at the price of
-- answers that begin again with the first.

SET LOCAL lock_timeout = '2s';

CREATE TABLE answered (
    tx_hash     hash32 NOT NULL,
    -- Its event's place among the transaction's logs.
    position    integer NOT NULL,
    -- Hash of what the request is known by that it belongs to; nothing if that request had no key.
    asked_as    hash32,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tx_hash, position)
);

-- What is old enough to forget.
CREATE INDEX answered_age ON answered (answered_at);

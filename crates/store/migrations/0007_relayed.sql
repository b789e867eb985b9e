-- What the operator's relayer has taken on: one row per transaction, in the order of its nonces. Each is written before it is sent, so that a
-- server that stops anywhere neither forgets one nor sends one twice. The API's servers write it, as they do `sent`.

SET LOCAL lock_timeout = '2s';

CREATE TABLE relayed (
    relayer      address NOT NULL,
    nonce        bigint  NOT NULL,
    -- Hash of what was posted, and of what was signed in it: neither is taken on twice.
    posted       hash32  NOT NULL UNIQUE,
    signed       hash32  NOT NULL UNIQUE,
    signer       address NOT NULL,
    target       address NOT NULL,
    data         bytea   NOT NULL,
    gas          bigint  NOT NULL,
    -- The latest offer, wei per gas. Without a priority fee it is a transaction of the kind from before EIP-1559.
    max_fee      bigint  NOT NULL,
    priority_fee bigint,
    hash         hash32  NOT NULL,
    raw          bytea   NOT NULL,
    accepted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    offered_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Whether a transaction with this nonce is mined in a block that stays.
    is_settled   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (relayer, nonce)
);

-- What still has to be looked after.
CREATE INDEX relayed_open ON relayed (relayer, nonce) WHERE NOT is_settled;
-- What counts towards a day's quota and budget.
CREATE INDEX relayed_day ON relayed (accepted_at);

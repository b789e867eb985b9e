-- What a wallet's Idempotency-Key stands for: the request it came with first, and the nonces and the salt that were prepared for it. Whoever
-- asks again with the key is given the same, so that at most one of what is signed can be mined. The API's servers write it, as they do `sent`;
-- it is kept for a day, and may be emptied at the price of keys that are taken for new ones.

SET LOCAL lock_timeout = '2s';

CREATE TABLE idempotency_keys (
    wallet          address     NOT NULL,
    key             text        NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 128),
    -- Hash of the verb and all it asks for, but for what was signed.
    request         hash32      NOT NULL,
    -- The nonce of the first step.
    nonce           bigint      NOT NULL,
    -- How many steps there were.
    steps           smallint    NOT NULL,
    -- The forwarder's nonce of the wallet; null where the key came when nothing was relayed.
    forwarder_nonce bigint,
    -- Tells apart two authorizations of the same terms.
    salt            hash32      NOT NULL,
    -- The indexed block: what was done before it is not what the key stands for.
    block           bigint      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (wallet, key)
);

-- What is old enough to forget.
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- What is known of a key's request beyond what it was prepared with: the block it was prepared by, so that a chain that has since taken another
-- way is noticed, and the transaction that did it, once that was answered.

SET LOCAL lock_timeout = '2s';

ALTER TABLE idempotency_keys ADD COLUMN block_hash hash32, ADD COLUMN done_by hash32;

-- Whether a nonce was prepared for another of the wallet's keys.
CREATE INDEX idempotency_keys_nonces ON idempotency_keys (wallet, nonce);
-- What the relayer took on for a signer, the latest last.
CREATE INDEX relayed_signer ON relayed (signer, accepted_at);

-- Widens the schema for the state digest and for rewriting projections while an indexer runs. Everything here is instant and leaves older
-- programs able to write: an indexer that knows nothing of these columns leaves them empty, and the next one that does fills them in.

-- A reader that takes long must not make the others queue behind this migration: it gives up and is tried again.
SET LOCAL lock_timeout = '2s';

-- Digest of all runs and agents after this block, big-endian; `store::digest` says how it is computed. Null where the writer did not know of
-- digests; computed in full when one is needed there.
ALTER TABLE blocks ADD COLUMN state_digest bytea CHECK (octet_length(state_digest) = 32);

-- How often somebody other than the following indexer has rewritten the projections. A writer that remembers another number must read them
-- anew before it changes them.
ALTER TABLE cursor ADD COLUMN epoch bigint NOT NULL DEFAULT 0;

-- Few events are about an agent's own metadata, or pay a credit, and both are looked for among all of them: by agent, and by account.

SET LOCAL lock_timeout = '2s';
-- What writers lock first: none of them holds a part of what is locked below.
LOCK TABLE cursor IN EXCLUSIVE MODE;

-- The agent's wallet is announced as metadata too, by each registration and transfer: its key, hashed, is the third topic.
CREATE INDEX events_metadata ON events (agent_id, block_number, log_index)
    WHERE name = 'MetadataSet' AND substring(topics FROM 65 FOR 32) <> '\x2ac6109326e720d1435c0db66f7e35eda7839f52b6f1f5520a60788e132b4e39';
CREATE INDEX events_credit_paid ON events (substring(topics FROM 45 FOR 20), block_number, log_index) WHERE name = 'CreditPaid';

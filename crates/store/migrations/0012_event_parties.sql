-- Whom an event concerns beside those it names: the agent in whose hands its run was, by which wallet, and who owned that agent. All of it
-- follows from the events up to that one, so it is the same whenever it is asked. Takes about a second per million events, during which
-- nothing is written.

SET LOCAL lock_timeout = '2s';
-- What writers lock first: none of them holds a part of what is locked below.
LOCK TABLE cursor IN EXCLUSIVE MODE;

-- These stay while a market's past is read: listeners read it as well.
CREATE INDEX events_claims ON events (run_id, block_number, log_index) WHERE name = 'RunClaimed';
CREATE INDEX events_transfers ON events (agent_id, block_number, log_index) WHERE name = 'Transfer';

-- Of an event of this run and agent at this place. A run is in an agent's hands from its claim on: what comes after its end is of that end.
-- An address is the last 20 bytes of its topic: of a claim, the wallet is the fourth; of a transfer, the new owner is the third.
CREATE FUNCTION event_parties(run bigint, agent bigint, block bigint, log bigint)
RETURNS TABLE (holder bigint, holder_wallet bytea, owner bytea) LANGUAGE sql STABLE AS $$
    SELECT claim.agent_id, substring(claim.topics FROM 109 FOR 20), substring(transfer.topics FROM 77 FOR 20)
    FROM (VALUES (run, agent, block, log)) AS event (run, agent, block, log)
    LEFT JOIN LATERAL (
        SELECT e.agent_id, e.topics FROM events e
        WHERE e.run_id = event.run AND e.name = 'RunClaimed' AND e.refusal IS NULL
          AND (e.block_number, e.log_index) <= (event.block, event.log)
        ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1
    ) claim ON true
    LEFT JOIN LATERAL (
        SELECT e.topics FROM events e
        WHERE e.agent_id = coalesce(event.agent, claim.agent_id) AND e.name = 'Transfer' AND e.refusal IS NULL
          AND (e.block_number, e.log_index) <= (event.block, event.log)
        ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1
    ) transfer ON true
$$;

-- What is taken back keeps what it was, whichever version writes it: the events that say so may go with it.
ALTER TABLE feed ADD COLUMN holder bigint, ADD COLUMN holder_wallet address, ADD COLUMN owner address;

CREATE FUNCTION keep_parties() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT p.holder, p.holder_wallet, p.owner INTO NEW.holder, NEW.holder_wallet, NEW.owner
    FROM event_parties(NEW.run_id, NEW.agent_id, NEW.block_number, NEW.log_index) p;
    RETURN NEW;
END $$;
CREATE TRIGGER feed_keep_parties BEFORE INSERT ON feed
    FOR EACH ROW WHEN (NEW.retracts IS NOT NULL) EXECUTE FUNCTION keep_parties();

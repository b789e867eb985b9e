-- What must hold at every commit, whoever writes. A writer that breaks one gets an error that no waiting mends.

-- Blocks that were undone, by the transaction that did it. A chain that is only shorter, or a node that is only behind, is no reason to.
-- Beside them, until the transaction ends, those that were pruned, and what was final before it.
CREATE TABLE guard_undone (
    transaction xid8 NOT NULL, number bigint NOT NULL, hash bytea NOT NULL, parent_hash bytea NOT NULL, has_events boolean NOT NULL, final bigint
);

CREATE FUNCTION guard_undone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Pruning takes headers that no event needs, below the last final one.
    IF NOT NEW.has_events AND NEW.number < (SELECT finalized FROM cursor) THEN
        DELETE FROM guard_undone WHERE transaction = NEW.transaction AND number = NEW.number;
    ELSIF NEW.number <= NEW.final THEN
        RAISE EXCEPTION 'guard: block % was undone, and % is final', NEW.number, NEW.final;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER guard_undone AFTER INSERT ON guard_undone DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION guard_undone();

CREATE FUNCTION guard_finality() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    final bigint := (SELECT finalized FROM cursor);
    height bigint;
    has_events boolean;
BEGIN
    IF TG_TABLE_NAME = 'blocks' THEN
        height := CASE WHEN TG_OP = 'DELETE' THEN OLD.number ELSE NEW.number END;
        IF TG_OP = 'DELETE' THEN
            has_events := EXISTS (SELECT FROM events WHERE block_number = height);
            INSERT INTO guard_undone VALUES (pg_current_xact_id(), OLD.number, OLD.hash, OLD.parent_hash, has_events, final);
            IF NOT has_events THEN
                RETURN OLD;
            END IF;
        END IF;
    ELSE
        height := CASE WHEN TG_OP = 'DELETE' THEN OLD.block_number ELSE NEW.block_number END;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'guard: % of block % was changed', TG_TABLE_NAME, height;
    END IF;
    IF height <= final THEN
        RAISE EXCEPTION 'guard: % in % of block %, and % is final', TG_OP, TG_TABLE_NAME, height, final;
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER guard_finality BEFORE INSERT OR UPDATE OR DELETE ON blocks FOR EACH ROW EXECUTE FUNCTION guard_finality();
CREATE TRIGGER guard_finality BEFORE INSERT OR UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION guard_finality();

CREATE FUNCTION guard_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finalized IS NOT NULL AND (NEW.finalized IS NULL OR NEW.finalized < OLD.finalized) THEN
        RAISE EXCEPTION 'guard: finality went back from % to %', OLD.finalized, NEW.finalized;
    END IF;
    IF NEW.finalized > NEW.number OR NEW.safe > NEW.number OR NEW.finalized > NEW.safe THEN
        RAISE EXCEPTION 'guard: cursor %, safe %, finalized %', NEW.number, NEW.safe, NEW.finalized;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER guard_cursor BEFORE UPDATE ON cursor FOR EACH ROW EXECUTE FUNCTION guard_cursor();

-- At the end of each transaction that moves it: the cursor is the highest block, the blocks that may be replaced are an unbroken chain, and
-- every event is of the block at its height.
CREATE FUNCTION guard_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here record;
BEGIN
    SELECT * INTO here FROM cursor;
    IF NOT EXISTS (SELECT FROM blocks WHERE number = here.number AND hash = here.hash) THEN
        RAISE EXCEPTION 'guard: the cursor is at block %, which is not there', here.number;
    END IF;
    IF EXISTS (SELECT FROM blocks WHERE number > here.number) THEN
        RAISE EXCEPTION 'guard: there are blocks above the cursor, %', here.number;
    END IF;
    IF EXISTS (SELECT FROM blocks a JOIN blocks b ON b.number = a.number + 1 WHERE b.parent_hash <> a.hash) THEN
        RAISE EXCEPTION 'guard: a block does not build on the one below';
    END IF;
    IF (SELECT count(*) <> here.number - min(number) + 1 FROM blocks WHERE number >= here.finalized) THEN
        RAISE EXCEPTION 'guard: a block between the final ones and the cursor is missing';
    END IF;
    IF EXISTS (SELECT FROM events e LEFT JOIN blocks b ON b.number = e.block_number WHERE e.block_hash IS DISTINCT FROM b.hash) THEN
        RAISE EXCEPTION 'guard: an event is of another block than its own, or of none';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER guard_chain AFTER INSERT OR UPDATE ON cursor DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION guard_chain();

-- What other tables hold beside the events and runs themselves, where it is not what those make it: counts of runs, and events that listeners
-- were told of and that were not taken back.
CREATE VIEW guard_differences AS
    SELECT 'count of runs ' || row(kept.*, counted.*)::text AS difference
    FROM (SELECT * FROM run_counts WHERE count <> 0) kept FULL JOIN (
        SELECT 'all' AS kind, '' AS key, count(*) FROM runs HAVING count(*) > 0
        UNION ALL SELECT 'state', state::text, count(*) FROM runs GROUP BY state
        UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*) FROM runs GROUP BY poster
        UNION ALL SELECT 'agent', agent_id::text, count(*) FROM runs WHERE agent_id IS NOT NULL GROUP BY agent_id
    ) counted USING (kind, key)
    WHERE kept.count IS DISTINCT FROM counted.count
    UNION ALL
    SELECT 'told ' || coalesce(told.count, 0) || ' times of event ' || coalesce(told.log_index, e.log_index) || ' of block '
        || coalesce(told.block_number, e.block_number)
    FROM events e FULL JOIN (
        SELECT f.block_number, f.log_index, count(*) FROM feed f
        WHERE f.retracts IS NULL AND NOT EXISTS (SELECT FROM feed t WHERE t.retracts = f.seq)
        GROUP BY f.block_number, f.log_index
    ) told USING (block_number, log_index)
    WHERE told.count IS DISTINCT FROM 1 OR e.block_number IS NULL
    UNION ALL
    SELECT 'the last number told is ' || cursor.feed || ', not ' || last FROM cursor, (SELECT max(seq) AS last FROM feed) fed
    WHERE cursor.feed < last;

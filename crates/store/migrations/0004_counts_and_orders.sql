-- What lists need to stay as fast at a million runs as at a thousand: how long they are without counting, and an index for each order.
-- Takes a second or two per million runs, during which nobody writes; readers go on.

SET LOCAL lock_timeout = '2s';

-- How many runs there are: in all, in each state, of each poster, of each agent. Kept by triggers, so that whoever writes runs keeps it:
-- the indexer, a rebuild, an older version. A count that has come down to zero may stay as a row.
CREATE TABLE run_counts (
    -- 'all', 'state', 'poster' or 'agent'.
    kind  text   NOT NULL,
    -- Which: nothing, the state, the address in hex, or the agent's number.
    key   text   NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 50); -- Room for each row's next version on its page, as the index does not change.

INSERT INTO run_counts
    SELECT 'all', '', count(*) FROM runs
    UNION ALL SELECT 'state', state::text, count(*) FROM runs GROUP BY state
    UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*) FROM runs GROUP BY poster
    UNION ALL SELECT 'agent', agent_id::text, count(*) FROM runs WHERE agent_id IS NOT NULL GROUP BY agent_id;

-- One call per statement, whatever the number of rows.
CREATE FUNCTION count_inserted_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts
        SELECT 'all', '', count(*) FROM after HAVING count(*) > 0
        UNION ALL SELECT 'state', state::text, count(*) FROM after GROUP BY state
        UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*) FROM after GROUP BY poster
        UNION ALL SELECT 'agent', agent_id::text, count(*) FROM after WHERE agent_id IS NOT NULL GROUP BY agent_id
    ON CONFLICT (kind, key) DO UPDATE SET count = run_counts.count + excluded.count;
    RETURN NULL;
END $$;

CREATE FUNCTION count_updated_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts
        SELECT kind, key, sum(count) FROM (
            SELECT 'state' AS kind, state::text AS key, count(*) FROM after GROUP BY state
            UNION ALL SELECT 'state', state::text, -count(*) FROM before GROUP BY state
            UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*) FROM after GROUP BY poster
            UNION ALL SELECT 'poster', encode(poster, 'hex'), -count(*) FROM before GROUP BY poster
            UNION ALL SELECT 'agent', agent_id::text, count(*) FROM after WHERE agent_id IS NOT NULL GROUP BY agent_id
            UNION ALL SELECT 'agent', agent_id::text, -count(*) FROM before WHERE agent_id IS NOT NULL GROUP BY agent_id
        ) changes GROUP BY kind, key HAVING sum(count) <> 0
    ON CONFLICT (kind, key) DO UPDATE SET count = run_counts.count + excluded.count;
    RETURN NULL;
END $$;

CREATE FUNCTION count_deleted_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts
        SELECT 'all', '', -count(*) FROM before HAVING count(*) > 0
        UNION ALL SELECT 'state', state::text, -count(*) FROM before GROUP BY state
        UNION ALL SELECT 'poster', encode(poster, 'hex'), -count(*) FROM before GROUP BY poster
        UNION ALL SELECT 'agent', agent_id::text, -count(*) FROM before WHERE agent_id IS NOT NULL GROUP BY agent_id
    ON CONFLICT (kind, key) DO UPDATE SET count = run_counts.count + excluded.count;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON runs REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION count_inserted_runs();
CREATE TRIGGER count_updated AFTER UPDATE ON runs REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION count_updated_runs();
CREATE TRIGGER count_deleted AFTER DELETE ON runs REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_runs();

-- Both directions of an order read one index, forwards or backwards: runs that tie follow their ids in that direction.
DROP INDEX runs_reward;
CREATE INDEX runs_reward ON runs (reward, id);
CREATE INDEX runs_deadline ON runs (deadline, id);

-- Indexes that only readers and reorgs need are left out while a market's past is read for the first time: made of all rows at once, they take
-- a fraction of what growing row by row takes. A later migration that changes one of them calls build_left_out_indexes() first.

SET LOCAL lock_timeout = '2s';

-- Those that are not there now, and how they are made.
CREATE TABLE left_out_indexes (
    name       text PRIMARY KEY,
    definition text NOT NULL
);

CREATE FUNCTION leave_out_indexes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    here record;
BEGIN
    -- In the order in which everybody locks them.
    LOCK TABLE events, runs IN ACCESS EXCLUSIVE MODE;
    FOR here IN
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = current_schema() AND indexname IN (
            'events_run', 'events_agent', 'runs_state', 'runs_poster', 'runs_agent', 'runs_reward', 'runs_deadline'
        )
    LOOP
        INSERT INTO left_out_indexes VALUES (here.indexname, here.indexdef);
        EXECUTE format('DROP INDEX %I', here.indexname);
    END LOOP;
END $$;

CREATE FUNCTION build_left_out_indexes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    missing text;
BEGIN
    LOCK TABLE events, runs IN SHARE MODE;
    FOR missing IN DELETE FROM left_out_indexes RETURNING definition LOOP
        EXECUTE missing;
    END LOOP;
END $$;

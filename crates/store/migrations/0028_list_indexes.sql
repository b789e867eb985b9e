-- An index for each filter of the list of runs, and for each order of the runs in one state, so that no list looks at more than it may. Takes a
-- few seconds per million runs, during which nobody writes; readers go on.

SET LOCAL lock_timeout = '2s';
LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE;

CREATE INDEX runs_state_reward ON runs (state, reward, id);
CREATE INDEX runs_state_deadline ON runs (state, deadline, id);
-- Who claimed it, whatever became of it.
CREATE INDEX runs_wallet ON runs (wallet) WHERE wallet IS NOT NULL;
-- How the content URI begins: a whole one may be too long for an index.
CREATE INDEX runs_content ON runs (substring(content_uri FROM 1 FOR 64));

CREATE OR REPLACE FUNCTION leave_out_indexes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    here record;
BEGIN
    -- In the order in which everybody locks them.
    LOCK TABLE events, runs, run_words IN ACCESS EXCLUSIVE MODE;
    FOR here IN
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = current_schema() AND indexname IN (
            'events_run', 'events_agent', 'runs_state', 'runs_poster', 'runs_agent', 'runs_reward', 'runs_deadline', 'run_words_words',
            'runs_unsettled', 'runs_held', 'runs_state_reward', 'runs_state_deadline', 'runs_wallet', 'runs_content'
        )
    LOOP
        INSERT INTO left_out_indexes VALUES (here.indexname, here.indexdef);
        EXECUTE format('DROP INDEX %I', here.indexname);
    END LOOP;
END $$;

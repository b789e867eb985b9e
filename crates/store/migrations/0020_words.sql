-- What runs with inline content are found by: the words of it, and its tags. Triggers note which runs there are to be read, whoever writes
-- them; the indexer, which knows how content is decoded, reads those. Nothing here is part of the state digest: it follows from content_uri.

SET LOCAL lock_timeout = '2s';
-- A writer that is older than this must not slip in between the runs that are there and the triggers that note new ones.
LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE run_words (
    id    bigint PRIMARY KEY,
    -- In lower case; a tag as it is, behind a `#`. Null until the content has been read, empty where it cannot be.
    words text[]
);
-- What is still to be read.
CREATE INDEX run_words_unread ON run_words (id) WHERE words IS NULL;
CREATE INDEX run_words_words ON run_words USING gin (words);

CREATE FUNCTION is_inline(content_uri bytea) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(encode(substring(content_uri FROM 1 FOR 5), 'escape')) = 'data:'
$$;

CREATE FUNCTION note_inserted_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_words SELECT id FROM after WHERE is_inline(content_uri) ON CONFLICT (id) DO UPDATE SET words = NULL;
    RETURN NULL;
END $$;

-- A content changes only where a wrong row is put right.
CREATE FUNCTION note_changed_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM run_words WHERE id = OLD.id;
    INSERT INTO run_words SELECT NEW.id WHERE is_inline(NEW.content_uri);
    RETURN NULL;
END $$;

CREATE FUNCTION forget_deleted_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM run_words USING before WHERE run_words.id = before.id;
    RETURN NULL;
END $$;

CREATE FUNCTION forget_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE run_words;
    RETURN NULL;
END $$;

CREATE TRIGGER words_inserted AFTER INSERT ON runs REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION note_inserted_words();
CREATE TRIGGER words_updated AFTER UPDATE ON runs
    FOR EACH ROW WHEN (NEW.content_uri <> OLD.content_uri) EXECUTE FUNCTION note_changed_words();
CREATE TRIGGER words_deleted AFTER DELETE ON runs REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION forget_deleted_words();
CREATE TRIGGER words_truncated AFTER TRUNCATE ON runs FOR EACH STATEMENT EXECUTE FUNCTION forget_words();

-- The runs that are there already.
INSERT INTO run_words SELECT id FROM runs WHERE is_inline(content_uri);

-- With the words' index, which grows row by row far more slowly than it is made of all rows.
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
            'runs_unsettled', 'runs_held'
        )
    LOOP
        INSERT INTO left_out_indexes VALUES (here.indexname, here.indexdef);
        EXECUTE format('DROP INDEX %I', here.indexname);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION build_left_out_indexes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    missing text;
BEGIN
    LOCK TABLE events, runs, run_words IN SHARE MODE;
    FOR missing IN DELETE FROM left_out_indexes RETURNING definition LOOP
        EXECUTE missing;
    END LOOP;
END $$;

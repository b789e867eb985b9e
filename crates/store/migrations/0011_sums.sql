-- What each poster's runs came to, and what the runs in each state hold, so that neither is summed up over all of them whenever somebody asks.
-- Takes some seconds per million runs, during which nobody writes; readers go on until the last of them.

SET LOCAL lock_timeout = '2s';
-- A writer that is older than this must not slip in between the sums and the triggers that keep them.
LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE;

-- A row whose runs have all gone may stay, with zeros.
CREATE TABLE poster_records (
    poster    address PRIMARY KEY,
    created   bigint  NOT NULL,
    funded    bigint  NOT NULL,
    -- By the poster itself; `finalized` by its silence.
    approved  bigint  NOT NULL,
    finalized bigint  NOT NULL,
    rejected  bigint  NOT NULL,
    slashed   bigint  NOT NULL,
    cancelled bigint  NOT NULL,
    -- Runs for which work was delivered at least once, and the revisions requested on those.
    delivered bigint  NOT NULL,
    revisions bigint  NOT NULL,
    -- Rewards of what was approved or finalized; a sum of amounts may be wider than any of them.
    paid      numeric NOT NULL
) WITH (fillfactor = 50); -- Room for each row's next version on its page, as the index does not change.

-- Adds the changed rows of one statement, or takes them off again: by its argument, 1 or -1.
CREATE FUNCTION record_posters() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign CONSTANT bigint := TG_ARGV[0];
BEGIN
    INSERT INTO poster_records AS r
        SELECT poster, sign * count(*), sign * count(funded_at),
               sign * count(*) FILTER (WHERE state = 'APPROVED' AND NOT finalized_by_silence),
               sign * count(*) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence),
               sign * count(*) FILTER (WHERE state = 'REJECTED'),
               sign * count(*) FILTER (WHERE state = 'SLASHED'),
               sign * count(*) FILTER (WHERE state = 'CANCELLED'),
               sign * count(submitted_at),
               sign * coalesce(sum(revisions) FILTER (WHERE submitted_at IS NOT NULL), 0),
               sign * coalesce(sum(reward) FILTER (WHERE state = 'APPROVED'), 0)
        FROM changed GROUP BY poster
    ON CONFLICT (poster) DO UPDATE SET
        created = r.created + excluded.created, funded = r.funded + excluded.funded, approved = r.approved + excluded.approved,
        finalized = r.finalized + excluded.finalized, rejected = r.rejected + excluded.rejected, slashed = r.slashed + excluded.slashed,
        cancelled = r.cancelled + excluded.cancelled, delivered = r.delivered + excluded.delivered,
        revisions = r.revisions + excluded.revisions, paid = r.paid + excluded.paid;
    RETURN NULL;
END $$;
CREATE TRIGGER record_inserted AFTER INSERT ON runs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_posters('1');
CREATE TRIGGER record_updated_from AFTER UPDATE ON runs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_posters('-1');
CREATE TRIGGER record_updated_to AFTER UPDATE ON runs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_posters('1');
CREATE TRIGGER record_deleted AFTER DELETE ON runs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_posters('-1');

-- Whoever empties the runs need not know of these.
CREATE FUNCTION forget_posters() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE poster_records;
    RETURN NULL;
END $$;
CREATE TRIGGER record_truncated AFTER TRUNCATE ON runs FOR EACH STATEMENT EXECUTE FUNCTION forget_posters();

-- The runs that are there already.
INSERT INTO poster_records
    SELECT poster, count(*), count(funded_at), count(*) FILTER (WHERE state = 'APPROVED' AND NOT finalized_by_silence),
           count(*) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence), count(*) FILTER (WHERE state = 'REJECTED'),
           count(*) FILTER (WHERE state = 'SLASHED'), count(*) FILTER (WHERE state = 'CANCELLED'), count(submitted_at),
           coalesce(sum(revisions) FILTER (WHERE submitted_at IS NOT NULL), 0), coalesce(sum(reward) FILTER (WHERE state = 'APPROVED'), 0)
    FROM runs GROUP BY poster;

-- Of the runs in each state; nothing in all other rows. Whoever asks how long a list is waits from here on, which is why this comes last.
ALTER TABLE run_counts ADD COLUMN rewards numeric NOT NULL DEFAULT 0, ADD COLUMN fees numeric NOT NULL DEFAULT 0;
UPDATE run_counts SET rewards = totals.rewards, fees = totals.fees
    FROM (SELECT state::text AS key, sum(reward) AS rewards, sum(fee) AS fees FROM runs GROUP BY state) totals
    WHERE kind = 'state' AND run_counts.key = totals.key;

CREATE OR REPLACE FUNCTION count_inserted_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts
        SELECT 'all', '', count(*), 0, 0 FROM after HAVING count(*) > 0
        UNION ALL SELECT 'state', state::text, count(*), sum(reward), sum(fee) FROM after GROUP BY state
        UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*), 0, 0 FROM after GROUP BY poster
        UNION ALL SELECT 'agent', agent_id::text, count(*), 0, 0 FROM after WHERE agent_id IS NOT NULL GROUP BY agent_id
    ON CONFLICT (kind, key) DO UPDATE SET count = run_counts.count + excluded.count,
        rewards = run_counts.rewards + excluded.rewards, fees = run_counts.fees + excluded.fees;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_updated_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts
        SELECT kind, key, sum(count), sum(rewards), sum(fees) FROM (
            SELECT 'state' AS kind, state::text AS key, count(*), sum(reward) AS rewards, sum(fee) AS fees FROM after GROUP BY state
            UNION ALL SELECT 'state', state::text, -count(*), -sum(reward), -sum(fee) FROM before GROUP BY state
            UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*), 0, 0 FROM after GROUP BY poster
            UNION ALL SELECT 'poster', encode(poster, 'hex'), -count(*), 0, 0 FROM before GROUP BY poster
            UNION ALL SELECT 'agent', agent_id::text, count(*), 0, 0 FROM after WHERE agent_id IS NOT NULL GROUP BY agent_id
            UNION ALL SELECT 'agent', agent_id::text, -count(*), 0, 0 FROM before WHERE agent_id IS NOT NULL GROUP BY agent_id
        ) changes GROUP BY kind, key HAVING sum(count) <> 0 OR sum(rewards) <> 0 OR sum(fees) <> 0
    ON CONFLICT (kind, key) DO UPDATE SET count = run_counts.count + excluded.count,
        rewards = run_counts.rewards + excluded.rewards, fees = run_counts.fees + excluded.fees;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_deleted_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts
        SELECT 'all', '', -count(*), 0, 0 FROM before HAVING count(*) > 0
        UNION ALL SELECT 'state', state::text, -count(*), -sum(reward), -sum(fee) FROM before GROUP BY state
        UNION ALL SELECT 'poster', encode(poster, 'hex'), -count(*), 0, 0 FROM before GROUP BY poster
        UNION ALL SELECT 'agent', agent_id::text, -count(*), 0, 0 FROM before WHERE agent_id IS NOT NULL GROUP BY agent_id
    ON CONFLICT (kind, key) DO UPDATE SET count = run_counts.count + excluded.count,
        rewards = run_counts.rewards + excluded.rewards, fees = run_counts.fees + excluded.fees;
    RETURN NULL;
END $$;

-- What happened on each day of the chain, so that a history is read and not counted. Takes some seconds per million runs, during which nobody
-- writes; readers go on.

SET LOCAL lock_timeout = '2s';
-- A writer that is older than this must not slip in between the sums and the triggers that keep them.
LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE;

-- A day on which all that happened has been undone may stay, with zeros.
CREATE TABLE days (
    -- Since the Unix epoch, in UTC.
    day      bigint  PRIMARY KEY,
    created  bigint  NOT NULL,
    funded   bigint  NOT NULL,
    claimed  bigint  NOT NULL,
    -- By their posters or by their silence.
    approved bigint  NOT NULL,
    slashed  bigint  NOT NULL,
    -- Rewards of what was approved.
    volume   numeric NOT NULL
) WITH (fillfactor = 50); -- Room for each row's next version on its page, as the index does not change.

-- What one run adds to which days.
CREATE FUNCTION run_days(created_at bigint, funded_at bigint, claimed_at bigint, settled_at bigint, state run_state, reward numeric)
RETURNS TABLE (day bigint, created bigint, funded bigint, claimed bigint, approved bigint, slashed bigint, volume numeric)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT fact.at / 86400, fact.created, fact.funded, fact.claimed, fact.approved, fact.slashed, fact.volume
    FROM (VALUES
        (created_at, 1::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::numeric),
        (funded_at, 0, 1, 0, 0, 0, 0),
        (claimed_at, 0, 0, 1, 0, 0, 0),
        (CASE WHEN state = 'APPROVED' THEN settled_at END, 0, 0, 0, 1, 0, reward),
        (CASE WHEN state = 'SLASHED' THEN settled_at END, 0, 0, 0, 0, 1, 0)
    ) AS fact (at, created, funded, claimed, approved, slashed, volume)
    WHERE fact.at IS NOT NULL
$$;

-- Once per statement: what changed, which for most changes of a run is one fact of one day.
CREATE FUNCTION note_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO days
            SELECT d.day, sum(d.created), sum(d.funded), sum(d.claimed), sum(d.approved), sum(d.slashed), sum(d.volume)
            FROM after r, run_days(r.created_at, r.funded_at, r.claimed_at, r.settled_at, r.state, r.reward) d GROUP BY d.day
        ON CONFLICT (day) DO UPDATE SET
            created = days.created + excluded.created, funded = days.funded + excluded.funded, claimed = days.claimed + excluded.claimed,
            approved = days.approved + excluded.approved, slashed = days.slashed + excluded.slashed, volume = days.volume + excluded.volume;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO days
            SELECT d.day, -sum(d.created), -sum(d.funded), -sum(d.claimed), -sum(d.approved), -sum(d.slashed), -sum(d.volume)
            FROM before r, run_days(r.created_at, r.funded_at, r.claimed_at, r.settled_at, r.state, r.reward) d GROUP BY d.day
        ON CONFLICT (day) DO UPDATE SET
            created = days.created + excluded.created, funded = days.funded + excluded.funded, claimed = days.claimed + excluded.claimed,
            approved = days.approved + excluded.approved, slashed = days.slashed + excluded.slashed, volume = days.volume + excluded.volume;
    ELSE
        INSERT INTO days
            SELECT day, sum(created), sum(funded), sum(claimed), sum(approved), sum(slashed), sum(volume) FROM (
                SELECT d.* FROM after r, run_days(r.created_at, r.funded_at, r.claimed_at, r.settled_at, r.state, r.reward) d
                UNION ALL
                SELECT d.day, -d.created, -d.funded, -d.claimed, -d.approved, -d.slashed, -d.volume
                FROM before r, run_days(r.created_at, r.funded_at, r.claimed_at, r.settled_at, r.state, r.reward) d
            ) changes GROUP BY day
            HAVING (sum(created), sum(funded), sum(claimed), sum(approved), sum(slashed), sum(volume)) <> (0, 0, 0, 0, 0, 0)
        ON CONFLICT (day) DO UPDATE SET
            created = days.created + excluded.created, funded = days.funded + excluded.funded, claimed = days.claimed + excluded.claimed,
            approved = days.approved + excluded.approved, slashed = days.slashed + excluded.slashed, volume = days.volume + excluded.volume;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER days_inserted AFTER INSERT ON runs REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION note_days();
CREATE TRIGGER days_updated AFTER UPDATE ON runs REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION note_days();
CREATE TRIGGER days_deleted AFTER DELETE ON runs REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION note_days();

CREATE FUNCTION forget_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE days;
    RETURN NULL;
END $$;
CREATE TRIGGER days_truncated AFTER TRUNCATE ON runs FOR EACH STATEMENT EXECUTE FUNCTION forget_days();

-- The runs that are there already.
INSERT INTO days
    SELECT d.day, sum(d.created), sum(d.funded), sum(d.claimed), sum(d.approved), sum(d.slashed), sum(d.volume)
    FROM runs r, run_days(r.created_at, r.funded_at, r.claimed_at, r.settled_at, r.state, r.reward) d GROUP BY d.day;

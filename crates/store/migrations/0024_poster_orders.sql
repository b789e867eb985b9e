-- Lists of posters in the orders that people ask for, each from an index, forwards or backwards.

SET LOCAL lock_timeout = '2s';
LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE;

CREATE INDEX poster_records_created ON poster_records (created, poster);
CREATE INDEX poster_records_funded ON poster_records (funded, poster);
CREATE INDEX poster_records_paid ON poster_records (paid, poster);

-- A change of a run changes few things of its poster's record, or none. Taken off and added again as it was, the record would be written
-- twice, and its place in each of these indexes with it.
CREATE FUNCTION record_changed_posters() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO poster_records AS r
        SELECT * FROM (
            SELECT poster, sum(sign) AS created, coalesce(sum(sign) FILTER (WHERE funded_at IS NOT NULL), 0) AS funded,
                   coalesce(sum(sign) FILTER (WHERE state = 'APPROVED' AND NOT finalized_by_silence), 0) AS approved,
                   coalesce(sum(sign) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence), 0) AS finalized,
                   coalesce(sum(sign) FILTER (WHERE state = 'REJECTED'), 0) AS rejected,
                   coalesce(sum(sign) FILTER (WHERE state = 'SLASHED'), 0) AS slashed,
                   coalesce(sum(sign) FILTER (WHERE state = 'CANCELLED'), 0) AS cancelled,
                   coalesce(sum(sign) FILTER (WHERE submitted_at IS NOT NULL), 0) AS delivered,
                   coalesce(sum(sign * revisions) FILTER (WHERE submitted_at IS NOT NULL), 0) AS revisions,
                   coalesce(sum(sign * reward) FILTER (WHERE state = 'APPROVED'), 0) AS paid
            FROM (
                SELECT 1::bigint AS sign, poster, funded_at, state, finalized_by_silence, submitted_at, revisions, reward FROM after
                UNION ALL
                SELECT -1, poster, funded_at, state, finalized_by_silence, submitted_at, revisions, reward FROM before
            ) rows GROUP BY poster
        ) changes
        WHERE (created, funded, approved, finalized, rejected, slashed, cancelled, delivered, revisions, paid)
              <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ON CONFLICT (poster) DO UPDATE SET
        created = r.created + excluded.created, funded = r.funded + excluded.funded, approved = r.approved + excluded.approved,
        finalized = r.finalized + excluded.finalized, rejected = r.rejected + excluded.rejected, slashed = r.slashed + excluded.slashed,
        cancelled = r.cancelled + excluded.cancelled, delivered = r.delivered + excluded.delivered,
        revisions = r.revisions + excluded.revisions, paid = r.paid + excluded.paid;
    RETURN NULL;
END $$;

DROP TRIGGER record_updated_from ON runs;
DROP TRIGGER record_updated_to ON runs;
CREATE TRIGGER record_updated AFTER UPDATE ON runs REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION record_changed_posters();

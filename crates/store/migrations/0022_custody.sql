-- What the contracts' own books come to, as far as no run or agent says it: payouts that the token refused and nobody has collected yet, fees
-- that were collected, and whether new business is paused. Kept by a trigger that sees the few events it is about. Takes a second or two per
-- million events, during which nobody writes; readers go on.

SET LOCAL lock_timeout = '2s';
-- A writer that is older than this must not slip in between the sums and the trigger that keeps them.
LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE;

-- What is owed to an account for payouts that did not reach it. A row may stay, with zero.
CREATE TABLE credits (
    contract address NOT NULL,
    account  address NOT NULL,
    amount   numeric NOT NULL,
    PRIMARY KEY (contract, account)
);
CREATE INDEX credits_account ON credits (account);

CREATE TABLE custody (
    contract  address PRIMARY KEY,
    -- All of its credits.
    credited  numeric NOT NULL,
    -- Fees that have left it.
    collected numeric NOT NULL,
    -- How often it was paused, less how often it was unpaused: it takes turns.
    pauses    bigint  NOT NULL
);

-- A word of the ABI as a number.
CREATE FUNCTION uint256(word bytea) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    number numeric := 0;
BEGIN
    FOR position IN 0..31 LOOP
        number := number * 256 + get_byte(word, position);
    END LOOP;
    RETURN number;
END $$;

CREATE FUNCTION note_custody(sign bigint, event events) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    amount   numeric := 0;
    -- Whom a credit is owed to, or was paid to.
    creditor bytea;
BEGIN
    IF event.name IN ('PayoutCredited', 'CreditPaid', 'FeesCollected') THEN
        IF octet_length(event.data) < 32 OR octet_length(event.topics) < 64 THEN
            RETURN;
        END IF;
        amount := sign * uint256(event.data);
    END IF;
    CASE event.name
        WHEN 'PayoutCredited' THEN
            creditor := substring(event.topics FROM 77 FOR 20);
        WHEN 'CreditPaid' THEN
            creditor := substring(event.topics FROM 45 FOR 20);
            amount := -amount;
        ELSE
            creditor := NULL;
    END CASE;
    IF octet_length(creditor) <> 20 THEN
        RETURN;
    END IF;
    IF creditor IS NOT NULL THEN
        INSERT INTO credits AS c VALUES (event.contract, creditor, amount)
        ON CONFLICT (contract, account) DO UPDATE SET amount = c.amount + excluded.amount;
    END IF;
    INSERT INTO custody AS c VALUES (
        event.contract,
        CASE WHEN creditor IS NULL THEN 0 ELSE amount END,
        CASE WHEN event.name = 'FeesCollected' THEN amount ELSE 0 END,
        CASE event.name WHEN 'Paused' THEN sign WHEN 'Unpaused' THEN -sign ELSE 0 END
    )
    ON CONFLICT (contract) DO UPDATE SET
        credited = c.credited + excluded.credited, collected = c.collected + excluded.collected, pauses = c.pauses + excluded.pauses;
END $$;

CREATE FUNCTION keep_custody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.name IN ('PayoutCredited', 'CreditPaid', 'FeesCollected', 'Paused', 'Unpaused') THEN
        PERFORM note_custody(-1, OLD);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.name IN ('PayoutCredited', 'CreditPaid', 'FeesCollected', 'Paused', 'Unpaused') THEN
        PERFORM note_custody(1, NEW);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER custody_inserted AFTER INSERT ON events FOR EACH ROW
    WHEN (NEW.name IN ('PayoutCredited', 'CreditPaid', 'FeesCollected', 'Paused', 'Unpaused')) EXECUTE FUNCTION keep_custody();
CREATE TRIGGER custody_deleted AFTER DELETE ON events FOR EACH ROW
    WHEN (OLD.name IN ('PayoutCredited', 'CreditPaid', 'FeesCollected', 'Paused', 'Unpaused')) EXECUTE FUNCTION keep_custody();
-- What is stored of an event may have been understood otherwise.
CREATE TRIGGER custody_corrected AFTER UPDATE ON events FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM OLD.name) EXECUTE FUNCTION keep_custody();

CREATE FUNCTION forget_custody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE credits, custody;
    RETURN NULL;
END $$;
CREATE TRIGGER custody_truncated AFTER TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION forget_custody();

-- The events that are there already.
SELECT note_custody(1, e) FROM events e WHERE name IN ('PayoutCredited', 'CreditPaid', 'FeesCollected', 'Paused', 'Unpaused');

-- Events still go with their blocks, but nobody asks for each new event whether its block is there: those who write put both in one
-- transaction, blocks first, and the question took longer than all the rest of writing an event.

SET LOCAL lock_timeout = '2s';

CREATE FUNCTION delete_events_of_blocks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM events USING gone WHERE events.block_number = gone.number;
    RETURN NULL;
END $$;

CREATE TRIGGER events_follow AFTER DELETE ON blocks REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION delete_events_of_blocks();

ALTER TABLE events DROP CONSTRAINT events_block_number_fkey;

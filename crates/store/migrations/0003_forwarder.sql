-- The ERC-2771 forwarder whose word on who is calling the contracts take. An index from before there was one is of contracts that trust
-- nobody; it is told apart from an index of today's contracts by that.
ALTER TABLE chain ADD COLUMN forwarder address NOT NULL DEFAULT '\x0000000000000000000000000000000000000000';
ALTER TABLE chain ALTER COLUMN forwarder DROP DEFAULT;

-- What a reorg takes back is among the last rows by number, where it is looked for now; nobody asks for a block's rows by its height.

SET LOCAL lock_timeout = '2s';

DROP INDEX feed_block;

-- What a reorg takes back is found among the last rows by number; nobody asks for a block's rows by its height.

SET LOCAL lock_timeout = '2s';

DROP INDEX feed_block;

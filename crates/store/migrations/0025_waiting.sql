-- What waits for an account, without a look at all that it ever posted or did. Takes a second or two per million runs, during which nobody
-- writes; readers go on.

SET LOCAL lock_timeout = '2s';

-- Runs that their poster may have to act on.
CREATE INDEX runs_unsettled ON runs (poster)
    WHERE state IN ('DRAFT', 'OPEN', 'CLAIMED', 'IN_PROGRESS', 'SUBMITTED', 'REVISION_REQUESTED');
-- Runs that a wallet has in hand.
CREATE INDEX runs_held ON runs (wallet) WHERE state IN ('CLAIMED', 'IN_PROGRESS', 'SUBMITTED', 'REVISION_REQUESTED');

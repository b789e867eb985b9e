-- What a relayed transaction costs its operator, and whether that bought nothing. Until it is mined it counts as what it may cost at most; then
-- as what the chain charged, by its receipt. The API's servers write it. Rows of an older version go on counting as the most they may cost.

SET LOCAL lock_timeout = '2s';

ALTER TABLE relayed
    -- Wei beside its gas that the transaction was expected to cost, as on chains that charge for the bytes they publish elsewhere.
    ADD COLUMN data_fee          numeric(78, 0) NOT NULL DEFAULT 0,
    -- Wei that it did cost, all together; null until that is known.
    ADD COLUMN charged           numeric(78, 0),
    -- Whether it registers an agent, which costs its signer nothing.
    ADD COLUMN is_registration   boolean NOT NULL DEFAULT false,
    -- Whether it reverted because of what its signer did meanwhile.
    ADD COLUMN is_signers_revert boolean NOT NULL DEFAULT false;

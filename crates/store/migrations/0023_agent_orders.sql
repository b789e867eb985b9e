-- Lists of agents in the orders that people ask for, each from an index, forwards or backwards.

SET LOCAL lock_timeout = '2s';

-- `Agent::score` says the same. A number of any size must not stop an indexer.
CREATE FUNCTION agent_score(completions bigint, rejected bigint, slashes bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT div(200 * (completions::numeric + 1) + completions::numeric + rejected + slashes + 2,
               2 * (completions::numeric + rejected + slashes + 2))::bigint
$$;

CREATE INDEX agents_wallet ON agents (wallet, id) WHERE wallet IS NOT NULL;
CREATE INDEX agents_stake ON agents (stake, id);
CREATE INDEX agents_score ON agents (agent_score(completions, rejected, slashes), id);
CREATE INDEX agents_volume ON agents (volume, id);
CREATE INDEX agents_completions ON agents (completions, id);

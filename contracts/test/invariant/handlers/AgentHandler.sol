// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Call, Verb } from "../Calls.sol";
import { MarketActors } from "../MarketActors.sol";
import { ReferenceMarket } from "../ReferenceMarket.sol";

/// @notice Agents stake, claim, work and withdraw, through their owner or their agent wallet; their tokens change hands in between.
abstract contract AgentHandler is MarketActors {
    /// @dev Several agents are asked, because few are free.
    function claim(uint256 seed) external {
        for (uint256 i = 0; i < AGENTS; ++i) {
            if (_onSomeRun(Verb.CLAIM, seed ^ i)) return;
        }
    }

    function start(uint256 seed) external {
        _onSomeRun(Verb.START, seed);
    }

    /// @dev Two at a time: most work is finished.
    function submit(uint256 seed) external {
        _onSomeRun(Verb.SUBMIT, seed);
        _onSomeRun(Verb.SUBMIT, seed >> 1);
    }

    /// @dev Any amount, or the minimum, or what is owed by the first agent that owes something; by anybody.
    function stake(uint256 seed) external {
        (Call memory call, ReferenceMarket.Facts memory facts) = _ofSomeAgent(Verb.STAKE, seed);
        uint256 kind = _roll(seed, "kind", 3);
        call.amount = kind == 0 ? 20 * USDC : 1 + _roll(seed, "amount", 30 * USDC);
        for (uint256 id = 1; kind == 1 && id <= rules.agentCount(); ++id) {
            facts = rules.factsOf(id);
            if (facts.owed == 0) continue;
            (call.agent, call.caller, call.amount, kind) = (id, facts.owner, facts.owed, 2);
        }
        if (_roll(seed, "depositor", 2) == 0) call.caller = _someone(seed, "who");
        _attempt(call, _path(Verb.STAKE, seed));
    }

    /// @dev All that may leave, or a part.
    function unstake(uint256 seed) external {
        (Call memory call,) = _ofSomeAgent(Verb.UNSTAKE, seed);
        uint256 withdrawable = rules.agent(call.agent).withdrawable;
        if (withdrawable == 0 || _roll(seed, "patience", 3) != 0) return;
        call.amount = _roll(seed, "kind", 4) == 0 ? withdrawable : 1 + _roll(seed, "amount", withdrawable);
        _attempt(call, _path(Verb.UNSTAKE, seed));
    }

    /// @dev Registers another agent, gives one away, or changes which wallet acts for it.
    function changeAgent(uint256 seed) external {
        (Call memory call,) = _ofSomeAgent(Verb(uint256(Verb.REGISTER) + _roll(seed, "verb", 4)), seed);
        call.account = _someone(seed, "who");
        if (call.verb == Verb.REGISTER) {
            if (rules.agentCount() == AGENTS) return;
            call.caller = call.account;
        }
        _attempt(call, _path(call.verb, seed));
    }

    function _ofSomeAgent(Verb verb, uint256 seed) private view returns (Call memory call, ReferenceMarket.Facts memory facts) {
        (call.verb, call.agent) = (verb, 1 + _roll(seed, "agent", rules.agentCount()));
        facts = rules.factsOf(call.agent);
        call.caller = facts.owner;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IRunEscrow, RunState } from "../../../src/interfaces/IRunEscrow.sol";
import { Call, Path, Verb } from "../Calls.sol";
import { ReferenceMarket } from "../ReferenceMarket.sol";
import { TokenHandler } from "./TokenHandler.sol";

/// @notice The end of the market, from whatever state it is in: shows that nothing is stuck and no party is needed.
abstract contract Settlement is TokenHandler {
    error Settlement_Stuck(Call call, bytes4 refusal);

    /// @notice Ends every run with the escrow paused, the owner gone and every agent and reviewer silent; then lets the token recover, pays
    /// what is owed, and lets every agent leave with its stake.
    /// @param paused Whether the token is paused while the runs end, so that every payout must become a credit; otherwise it stays as it is.
    function settle(bool paused) external {
        if (paused && !_market.usdc.paused()) _market.usdc.pause();
        if (!rules.paused()) _must(_call(Verb.PAUSE, _market.owner));
        vm.warp(vm.getBlockTimestamp() + 15 days);
        while (_live.length != 0) {
            _endRun(_live[0]);
        }

        if (_market.usdc.paused()) _market.usdc.unpause();
        _pardon();
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            _payCredits(_accounts[i]);
        }
        _must(_call(Verb.COLLECT_FEES, _stranger()));
        for (uint256 id = 1; id <= rules.agentCount(); ++id) {
            _leave(id);
        }
    }

    /// @dev A poster that waits for no agent calls off; every other run is ended by a stranger.
    function _endRun(uint256 id) private {
        IRunEscrow.Run memory run = rules.run(id);
        Call memory call = _call(Verb.FINALIZE, _stranger());
        (call.run, call.expected) = (id, run.dueAt);
        if (run.state == RunState.DRAFT || run.state == RunState.OPEN) (call.verb, call.caller) = (Verb.CANCEL, run.poster);
        else if (run.state == RunState.REVISION_REQUESTED) call.verb = Verb.REJECT;
        else if (run.state != RunState.SUBMITTED) call.verb = Verb.SLASH;
        _must(call);
    }

    function _payCredits(address account) private {
        Call memory call = _call(Verb.PAY_ESCROW_CREDIT, _stranger());
        call.account = account;
        if (rules.escrowCredit(account) != 0) _must(call);
        call.verb = Verb.PAY_STAKE_CREDIT;
        if (rules.stakeCredit(account) != 0) _must(call);
    }

    /// @dev A FROZEN agent pays what it owes first, and then gets that back too.
    function _leave(uint256 id) private {
        ReferenceMarket.Facts memory facts = rules.factsOf(id);
        Call memory call = _call(Verb.STAKE, facts.owner);
        (call.agent, call.amount) = (id, facts.owed);
        if (facts.owed != 0) {
            _mint(facts.owner, facts.owed);
            _must(call);
        }
        (call.verb, call.amount) = (Verb.UNSTAKE, facts.stake + facts.owed);
        if (call.amount != 0) _must(call);
    }

    /// @dev Posts nothing. Whatever else it has become, here it acts as anybody could.
    function _stranger() private view returns (address) {
        return _accounts[ACCOUNTS - 1];
    }

    function _call(Verb verb, address caller) private pure returns (Call memory call) {
        (call.verb, call.caller) = (verb, caller);
    }

    function _must(Call memory call) private {
        if (!_attempt(call, Path.DIRECT)) revert Settlement_Stuck(call, rules.refusal(call));
    }
}

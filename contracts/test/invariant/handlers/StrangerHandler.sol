// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Call, Verb } from "../Calls.sol";
import { MarketActors } from "../MarketActors.sol";

/// @notice People with no part in a run: they end what no party ends, pay out what is owed, collect the fees, and make mistakes.
abstract contract StrangerHandler is MarketActors {
    function finalize(uint256 seed) external {
        _onSomeRun(Verb.FINALIZE, seed);
    }

    /// @dev What the poster might have ended a week before.
    function endLate(uint256 seed) external {
        _onSomeRun(_roll(seed, "verb", 2) == 0 ? Verb.SLASH : Verb.REJECT, seed, _someone(seed, "who"));
    }

    function moveMoney(uint256 seed) external {
        uint256 kind = _roll(seed, "kind", 4);
        if (kind == 0) _payCredits(seed);
        else if (kind == 1) _collectFees(seed);
        else if (kind == 2) _sendByMistake(seed);
        else _mint(_someone(seed, "who"), 1 + _roll(seed, "amount", 500 * USDC));
    }

    function _payCredits(uint256 seed) private {
        Call memory call;
        call.caller = _someone(seed, "who");
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            call.account = _accounts[i];
            call.verb = Verb.PAY_ESCROW_CREDIT;
            _attempt(call, _path(call.verb, seed));
            call.verb = Verb.PAY_STAKE_CREDIT;
            _attempt(call, _path(call.verb, seed));
        }
    }

    function _collectFees(uint256 seed) private {
        Call memory call;
        (call.verb, call.caller) = (Verb.COLLECT_FEES, _someone(seed, "who"));
        _attempt(call, _path(call.verb, seed));
    }

    /// @dev No party's from now on, and in no party's way.
    function _sendByMistake(uint256 seed) private {
        _mint(_roll(seed, "to", 2) == 0 ? address(_market.escrow) : address(_market.stakes), 1 + _roll(seed, "amount", 100 * USDC));
    }
}

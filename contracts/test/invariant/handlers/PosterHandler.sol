// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Call, Verb } from "../Calls.sol";
import { MarketActors } from "../MarketActors.sol";

/// @notice Posters offer runs, fund them, call them off, and answer what is delivered, or do not.
abstract contract PosterHandler is MarketActors {
    /// @dev A draft one time in three. Where there are too many runs already, one that no agent claimed is called off.
    function offer(uint256 seed) external {
        if (_live.length == LIVE_RUNS) {
            _onSomeRun(Verb.CANCEL, seed);
            return;
        }
        Call memory call;
        call.verb = _roll(seed, "verb", 3) == 0 ? Verb.CREATE : Verb.CREATE_AND_FUND;
        call.caller = _accounts[_roll(seed, "poster", 3)];
        call.amount = 1 * USDC + _roll(seed, "reward", 300 * USDC);
        call.deadline = vm.getBlockTimestamp() + 1 + _roll(seed, "deadline", 45 days);
        call.maxRevisions = _roll(seed, "revisions", 4);
        call.length = 1 + _roll(seed, "length", 70);
        _attempt(call, _path(call.verb, seed));
    }

    function fund(uint256 seed) external {
        _onSomeRun(Verb.FUND, seed);
    }

    /// @dev Seldom, so that runs live to be claimed.
    function cancel(uint256 seed) external {
        if (_roll(seed, "patience", 6) == 0) _onSomeRun(Verb.CANCEL, seed);
    }

    function requestRevision(uint256 seed) external {
        _onSomeRun(Verb.REQUEST_REVISION, seed);
    }

    function approve(uint256 seed) external {
        _onSomeRun(Verb.APPROVE, seed);
    }

    function reject(uint256 seed) external {
        _onSomeRun(Verb.REJECT, seed);
    }

    function slash(uint256 seed) external {
        _onSomeRun(Verb.SLASH, seed);
    }
}

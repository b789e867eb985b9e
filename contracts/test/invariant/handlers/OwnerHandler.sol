// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Call, Path, Verb } from "../Calls.sol";
import { MarketActors } from "../MarketActors.sol";

/// @notice The escrow's owner: pauses new business for a while, and moves the treasury.
abstract contract OwnerHandler is MarketActors {
    /// @dev Paused one time in six, and then until its next turn.
    function ruleEscrow(uint256 seed) external {
        Call memory call;
        (call.verb, call.caller, call.account) = (Verb.SET_TREASURY, _market.owner, _someone(seed, "treasury"));
        if (rules.paused()) call.verb = Verb.UNPAUSE;
        else if (_roll(seed, "pause", 6) == 0) call.verb = Verb.PAUSE;
        _attempt(call, Path.DIRECT);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IRunEscrow } from "../../../src/interfaces/IRunEscrow.sol";
import { MarketActors } from "../MarketActors.sol";
import { ReferenceMarket } from "../ReferenceMarket.sol";

/// @notice Time: a few hours, sometimes days, and often exactly to, just before or just after a moment at which a party's right begins or ends.
abstract contract TimeHandler is MarketActors {
    /// @notice Bit 0: stopped the second before a deadline; bit 1: at it; bit 2: the second after.
    uint256 public stops;

    function passHours(uint256 seed) external {
        vm.warp(vm.getBlockTimestamp() + 1 + _roll(seed, "time", 6 hours));
    }

    /// @dev Seldom, so that there is time to do things: some days, or to around the second at which an agent has been staked long enough.
    function passDays(uint256 seed) external {
        if (_roll(seed, "hurry", 12) != 0) return;
        if (_roll(seed, "kind", 2) == 0) return vm.warp(vm.getBlockTimestamp() + 1 days + _roll(seed, "time", 8 days));
        ReferenceMarket.Facts memory facts = rules.factsOf(1 + _roll(seed, "agent", rules.agentCount()));
        if (facts.stakedSince != 0) _stopAround(facts.stakedSince + 30 days, seed);
    }

    function passToDeadline(uint256 seed) external {
        if (_live.length == 0 || _roll(seed, "hurry", 2) == 0) return;
        IRunEscrow.Run memory run = rules.run(_live[_roll(seed, "run", _live.length)]);
        uint256 deadline = run.deadline;
        if (run.reviewBy != 0) deadline = run.reviewBy;
        if (run.dueAt != 0) deadline = run.dueAt + (_roll(seed, "late", 3) == 0 ? 7 days : 0);
        _stopAround(deadline, seed);
    }

    function _stopAround(uint256 moment, uint256 seed) private {
        uint256 offset = _roll(seed, "offset", 3);
        uint256 time = moment + offset - 1;
        if (time < vm.getBlockTimestamp()) return;
        vm.warp(time);
        stops |= 1 << offset;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { RunRules } from "../../src/libraries/RunRules.sol";

/// @dev The rules behind calls, so that a revert can be seen.
contract Rules {
    function price(uint256 reward, uint256 feeBps) external pure returns (uint256 fee, uint256 amount) {
        fee = RunRules.fee(reward, feeBps);
        amount = reward + fee;
    }

    function deadlineAfter(uint256 timestamp, uint256 period) external pure returns (uint256) {
        return RunRules.deadlineAfter(timestamp, period);
    }
}

/// @notice the fee and the deadlines, for every value that a deployed market admits
contract RulesSymbolicTest is Test {
    /// @dev Farther away than any chain's clock, nearer than the field's end by the longest period.
    uint256 private constant LAST_TIME = (1 << 39);

    Rules private rules;

    function setUp() public {
        rules = new Rules();
    }

    /// @notice Never more than the reward, and the sum fits wherever a reward does.
    /// @dev That multiplying does not overflow needs no solver: both factors are bounded, and the product lies below 2^70.
    function check_fee_isAtMostTheReward(uint256 reward) public view {
        vm.assume(reward <= RunRules.MAX_REWARD);
        (bool ok, bytes memory answer) = address(rules).staticcall(abi.encodeCall(Rules.price, (reward, 500)));
        if (!ok) return;
        (uint256 fee, uint256 amount) = abi.decode(answer, (uint256, uint256));
        assert(fee <= reward && amount == reward + fee && amount <= 2 * RunRules.MAX_REWARD);
    }

    /// @notice At each second of a deadline exactly one side may act: what ends there has ended when what follows begins.
    function check_deadline_leavesNoGapAndNoOverlap(uint256 deadline, uint256 timestamp) public pure {
        assert(RunRules.isOpenUntil(deadline, timestamp) != RunRules.isOpenFrom(deadline, timestamp));
    }

    /// @notice The poster may act on an agent's silence from `dueAt`, others exactly one timeout later.
    function check_expiry_isThePostersFirst(uint256 dueAt, uint256 timeout, uint256 timestamp) public pure {
        vm.assume(dueAt <= type(uint40).max);
        vm.assume(timeout > 0 && timeout <= type(uint32).max);
        uint256 forPoster = RunRules.expiryFor(true, dueAt, timeout);
        uint256 forOthers = RunRules.expiryFor(false, dueAt, timeout);
        assert(forPoster == dueAt && forOthers == dueAt + timeout);
        if (RunRules.isOpenFrom(forOthers, timestamp)) assert(RunRules.isOpenFrom(forPoster, timestamp));
        if (RunRules.isOpenUntil(dueAt, timestamp)) assert(!RunRules.isOpenFrom(forPoster, timestamp));
    }

    /// @notice A wait that begins now ends exactly one period later, whatever the clock says.
    function check_deadlineAfter_isNeverTruncated(uint256 timestamp, uint256 period) public view {
        vm.assume(timestamp <= LAST_TIME);
        vm.assume(period <= type(uint32).max);
        (bool ok, bytes memory answer) = address(rules).staticcall(abi.encodeCall(Rules.deadlineAfter, (timestamp, period)));
        assert(ok);
        assert(abi.decode(answer, (uint256)) == timestamp + period);
    }

    /// @notice A claiming deadline that is allowed lies in the future, within reach, and fits its field.
    function check_claimDeadline_fitsItsField(uint256 deadline, uint256 timestamp, uint256 ahead) public pure {
        vm.assume(timestamp <= LAST_TIME);
        vm.assume(ahead <= type(uint32).max);
        uint256 latest = RunRules.latestDeadline(timestamp, ahead);
        if (!RunRules.isDeadlineAllowed(deadline, timestamp, latest)) return;
        assert(timestamp < deadline && deadline <= timestamp + ahead);
        assert(deadline < 1 << 36);
    }

    /// @notice A poster may either send work back or reject it, never both and never neither.
    function check_answer_isRevisionOrRejection(uint256 revisions, uint256 maxRevisions) public pure {
        assert(RunRules.hasRevisionsLeft(revisions, maxRevisions) == (revisions < maxRevisions));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { RunRules } from "../../src/libraries/RunRules.sol";

/// @notice the rules by themselves, where no deployed market gets to
contract RulesTest is Test {
    function test_fee_isFlooredFivePercent() public pure {
        assertEq(RunRules.fee(0, 500), 0);
        assertEq(RunRules.fee(19, 500), 0);
        assertEq(RunRules.fee(20, 500), 1);
        assertEq(RunRules.fee(39, 500), 1);
        assertEq(RunRules.fee(type(uint56).max, 500), type(uint56).max / 20);
        assertEq(RunRules.fee(123, 0), 0);
        assertEq(RunRules.fee(123, 10_000), 123);
    }

    function test_latestDeadline_neverLeavesItsField() public pure {
        uint256 last = 2 ** 36 - 1;
        assertEq(RunRules.latestDeadline(last - 11, 10), last - 1);
        assertEq(RunRules.latestDeadline(last - 10, 10), last);
        assertEq(RunRules.latestDeadline(last - 9, 10), last);
    }

    function testFuzz_deadline_atAnySecondExactlyOneSideMayAct(uint256 deadline, uint256 timestamp) public pure {
        assertTrue(RunRules.isOpenUntil(deadline, timestamp) != RunRules.isOpenFrom(deadline, timestamp));
        assertFalse(RunRules.isOpenUntil(deadline, deadline));
    }

    function test_expiry_isOneTimeoutLaterForAnybodyButThePoster() public pure {
        assertEq(RunRules.expiryFor(true, 1000, 70), 1000);
        assertEq(RunRules.expiryFor(false, 1000, 70), 1070);
    }
}

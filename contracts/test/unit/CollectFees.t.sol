// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Vm } from "forge-std/Vm.sol";

import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice collectFees
/// ├── there are none: does nothing
/// ├── the token refuses the treasury: refused, the fees stay
/// └── otherwise, by anybody: all fees go to the treasury, nothing else does
contract CollectFeesTest is ClawPayTest {
    function test_collectFees_sendsAllFeesAndNothingElseToTheTreasury() public {
        approvedRun();
        approvedRun();
        openRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.FeesCollected(treasury, 2 * FEE);
        vm.prank(stranger);
        escrow.collectFees();

        assertEq(usdc.balanceOf(treasury), 2 * FEE);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
        assertEq(escrow.uncollectedFees(), 0);
    }

    function test_collectFees_doesNothingWhenThereAreNone() public {
        openRun();
        vm.recordLogs();
        escrow.collectFees();
        approvedRun();
        escrow.collectFees();
        vm.recordLogs();
        escrow.collectFees();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 0);
        assertEq(usdc.balanceOf(treasury), FEE);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
    }

    function test_collectFees_keepsTheFeesWhileTheTokenRefusesTheTreasury() public {
        usdc.blacklist(treasury);
        approvedRun();
        vm.expectRevert("TestUSDC: account is blacklisted");
        escrow.collectFees();
        assertEq(escrow.uncollectedFees(), FEE);

        address other = makeAddr("other treasury");
        vm.prank(owner);
        escrow.setTreasury(other);
        escrow.collectFees();
        assertEq(usdc.balanceOf(other), FEE);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice cancel
/// ├── unknown run: refused
/// ├── caller is not the poster: refused
/// ├── any state but DRAFT and OPEN: refused
/// └── otherwise, at any time and also when paused: CANCELLED
///     ├── it was funded: reward and fee go back
///     └── the token refuses the poster: the refund is credited
contract CancelTest is ClawPayTest {
    function test_cancel_endsADraftWithoutMoney() public {
        uint256 runId = draftRun();
        openRun();
        vm.expectCall(address(usdc), abi.encodePacked(usdc.transfer.selector), 0);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCancelled(runId, 0);
        vm.prank(poster);
        escrow.cancel(runId);

        assertState(runId, RunState.CANCELLED);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE, "the other run's money stays");
        assertEq(escrow.creditOf(poster), 0);
    }

    function test_cancel_refundsRewardAndFeeOfAnOpenRun() public {
        uint256 runId = openRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCancelled(runId, REWARD + FEE);
        vm.prank(poster);
        escrow.cancel(runId);

        assertState(runId, RunState.CANCELLED);
        assertEq(usdc.balanceOf(poster), FUNDS);
        assertEq(usdc.balanceOf(address(escrow)), 0);
        assertEq(escrow.uncollectedFees(), 0);
    }

    function test_cancel_isPossibleAfterTheDeadlineAndWhilePaused() public {
        uint256 runId = openRun();
        vm.warp(escrow.getRun(runId).deadline + 1);
        vm.prank(owner);
        escrow.pause();
        vm.prank(poster);
        escrow.cancel(runId);
        assertEq(usdc.balanceOf(poster), FUNDS);
    }

    function test_cancel_creditsThePosterWhenTheTokenRefusesIt() public {
        uint256 runId = openRun();
        usdc.blacklist(poster);
        vm.expectEmit(address(escrow));
        emit ICustody.PayoutCredited(runId, poster, REWARD + FEE);
        vm.prank(poster);
        escrow.cancel(runId);

        assertState(runId, RunState.CANCELLED);
        assertEq(escrow.creditOf(poster), REWARD + FEE);
    }

    function test_cancel_isRefusedOnceClaimedOrOver() public {
        assertRefusedOutside(bit(RunState.DRAFT) | bit(RunState.OPEN), poster, cancelCall);
    }

    function test_cancel_isThePostersAlone() public {
        uint256 runId = claimedRun();
        assertRefused(wallet, cancelCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, wallet, poster));
        assertRefused(wallet, cancelCall(0), abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 0));
    }

    function cancelCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.cancel, (runId));
    }
}

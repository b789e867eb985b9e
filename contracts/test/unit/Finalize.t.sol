// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice finalize
/// ├── unknown run: refused
/// ├── any state but SUBMITTED: refused
/// ├── before reviewBy: refused
/// └── otherwise, by anybody: APPROVED with the same money as an approval; a refused payout is credited
contract FinalizeTest is ClawPayTest {
    function test_finalize_byAnybodyPaysAsAnApprovalWould() public {
        openRun(); // So that the run's id is not the agent's.
        uint256 runId = submittedRun();
        uint256 before = usdc.balanceOf(wallet);
        skip(WEEK);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFinalized(runId, agentId, wallet, REWARD, FEE);
        vm.prank(stranger);
        escrow.finalize(runId);

        assertState(runId, RunState.APPROVED);
        assertEq(usdc.balanceOf(wallet), before + REWARD);
        assertEq(usdc.balanceOf(stranger), FUNDS);
        assertEq(escrow.uncollectedFees(), FEE);
        assertEq(agentStake.getAgent(agentId).completions, 1);
        assertEq(agentStake.getAgent(agentId).runsInHand, 0);
    }

    function test_finalize_isPossibleFromReviewBy() public {
        uint256 runId = submittedRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.warp(reviewBy - 1);
        assertFalse(escrow.isFinalizable(runId));
        assertRefused(
            wallet, finalizeCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_TooEarly.selector, runId, reviewBy, reviewBy - 1)
        );
        uint256 snapshot = vm.snapshotState();
        vm.warp(reviewBy);
        assertTrue(escrow.isFinalizable(runId));
        escrow.finalize(runId);
        assertFalse(escrow.isFinalizable(runId));
        vm.revertToState(snapshot);
        vm.warp(reviewBy + 1);
        assertTrue(escrow.isFinalizable(runId));
        escrow.finalize(runId);
    }

    function test_finalize_creditsTheWalletWhenTheTokenRefusesIt() public {
        uint256 runId = submittedRun();
        usdc.blacklist(wallet);
        skip(WEEK);
        vm.expectEmit(address(escrow));
        emit ICustody.PayoutCredited(runId, wallet, REWARD);
        escrow.finalize(runId);
        assertEq(escrow.creditOf(wallet), REWARD);
    }

    function test_finalize_isRefusedInEveryStateButSubmitted() public {
        assertRefusedOutside(bit(RunState.SUBMITTED), stranger, finalizeCall);
    }

    function test_finalize_isRefusedForUnknownRuns() public {
        bytes memory reason = abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 3);
        assertRefused(stranger, finalizeCall(3), reason);
        assertRefused(stranger, abi.encodeCall(escrow.isFinalizable, (3)), reason);
    }

    function finalizeCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.finalize, (runId));
    }
}

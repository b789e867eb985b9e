// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice reject
/// ├── unknown run: refused
/// ├── any state but SUBMITTED and REVISION_REQUESTED: refused
/// ├── from SUBMITTED
/// │   ├── caller is not the poster: refused
/// │   ├── the submission is not the expected one: refused
/// │   ├── at reviewBy or later: refused
/// │   ├── revisions are left: refused
/// │   └── otherwise: REJECTED
/// ├── from REVISION_REQUESTED
/// │   ├── the request is not the expected one: refused
/// │   ├── before dueAt for the poster, one timeout later for anybody else: refused
/// │   └── otherwise: REJECTED
/// └── REJECTED: the poster is refunded, the stake released, no stake slashed; a refused refund is credited
contract RejectTest is ClawPayTest {
    function test_reject_refundsThePosterAndReleasesTheStakeUnslashed() public {
        uint256 runId = rejectableRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunRejected(runId, agentId, REWARD + FEE);
        vm.prank(poster);
        escrow.reject(runId, START + WEEK);

        assertState(runId, RunState.REJECTED);
        assertEq(usdc.balanceOf(poster), FUNDS);
        assertEq(usdc.balanceOf(address(escrow)), 0);
        assertEq(escrow.uncollectedFees(), 0);
        IAgentStake.Agent memory agent = agentStake.getAgent(agentId);
        assertEq(agent.stake, AGENT_STAKE);
        assertEq(agent.runsInHand, 0);
        assertEq(agent.slashes, 0);
        assertEq(agent.completions, 0);
    }

    function test_reject_ofASubmissionNeedsEveryRevisionUsed() public {
        uint256 runId = openRun(2);
        claim(runId);
        for (uint256 used = 0; used < 2; ++used) {
            submit(runId);
            assertRefused(poster, rejectCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_RevisionsLeft.selector, runId, used, 2));
            requestRevision(runId);
        }
        submit(runId);
        reject(runId, poster);
        assertState(runId, RunState.REJECTED);
    }

    function test_reject_ofASubmissionIsPossibleUntilTheSecondBeforeReviewBy() public {
        uint256 runId = rejectableRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        uint256 snapshot = vm.snapshotState();
        vm.warp(reviewBy - 1);
        reject(runId, poster);
        assertState(runId, RunState.REJECTED);
        vm.revertToState(snapshot);

        bytes4 fault = IRunEscrow.RunEscrow_TooLate.selector;
        vm.warp(reviewBy);
        assertRefused(poster, rejectCall(runId), abi.encodeWithSelector(fault, runId, reviewBy, reviewBy));
        vm.warp(reviewBy + 1);
        assertRefused(poster, rejectCall(runId), abi.encodeWithSelector(fault, runId, reviewBy, reviewBy + 1));
    }

    function test_reject_ofASubmissionIsThePostersAlone() public {
        uint256 runId = rejectableRun();
        skip(10 * WEEK);
        assertRefused(stranger, rejectCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, stranger, poster));
    }

    function test_reject_ofARevisionNeverDeliveredIsThePostersFromDueAt() public {
        uint256 runId = revisionRequestedRun();
        uint256 dueAt = escrow.getRun(runId).dueAt;
        vm.warp(dueAt - 1);
        assertRefused(poster, rejectCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_TooEarly.selector, runId, dueAt, dueAt - 1));
        uint256 snapshot = vm.snapshotState();
        vm.warp(dueAt);
        reject(runId, poster);
        assertState(runId, RunState.REJECTED);
        assertEq(agentStake.getAgent(agentId).slashes, 0, "work once delivered is never slashed");
        vm.revertToState(snapshot);
        vm.warp(dueAt + 1);
        reject(runId, poster);
        assertState(runId, RunState.REJECTED);
    }

    function test_reject_ofARevisionNeverDeliveredIsAnybodysOneTimeoutLater() public {
        uint256 runId = revisionRequestedRun();
        uint256 from = escrow.getRun(runId).dueAt + WEEK;
        vm.warp(from - 1);
        assertRefused(stranger, rejectCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_TooEarly.selector, runId, from, from - 1));
        uint256 snapshot = vm.snapshotState();
        vm.warp(from);
        reject(runId, stranger);
        assertState(runId, RunState.REJECTED);
        assertEq(usdc.balanceOf(poster), FUNDS, "whoever acts, the poster is refunded");
        assertEq(usdc.balanceOf(stranger), FUNDS);
        vm.revertToState(snapshot);
        vm.warp(from + 1);
        reject(runId, stranger);
    }

    function test_reject_creditsThePosterWhenTheTokenRefusesIt() public {
        uint256 runId = rejectableRun();
        usdc.blacklist(poster);
        vm.expectEmit(address(escrow));
        emit ICustody.PayoutCredited(runId, poster, REWARD + FEE);
        reject(runId, poster);
        assertEq(escrow.creditOf(poster), REWARD + FEE);
    }

    function test_reject_isRefusedForAnotherSubmissionOrRequestThanExpected() public {
        bytes4 fault = IRunEscrow.RunEscrow_SubmissionChanged.selector;
        uint256 runId = rejectableRun();
        assertRefused(poster, abi.encodeCall(escrow.reject, (runId, 1)), abi.encodeWithSelector(fault, runId, 1, START + WEEK));
        runId = revisionRequestedRun();
        assertRefused(stranger, abi.encodeCall(escrow.reject, (runId, 1)), abi.encodeWithSelector(fault, runId, 1, START + WEEK));
    }

    function test_reject_isRefusedInEveryOtherState() public {
        assertRefusedOutside(bit(RunState.SUBMITTED) | bit(RunState.REVISION_REQUESTED), stranger, rejectCall);
    }

    function test_reject_namesTheFirstFaultInOrder() public {
        uint256 runId = submittedRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.warp(reviewBy);
        assertRefused(poster, rejectCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_TooLate.selector, runId, reviewBy, reviewBy));
        bytes memory unexpected = abi.encodeCall(escrow.reject, (runId, 1));
        assertRefused(poster, unexpected, abi.encodeWithSelector(IRunEscrow.RunEscrow_SubmissionChanged.selector, runId, 1, reviewBy));
        assertRefused(wallet, unexpected, abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, wallet, poster));
        assertRefused(wallet, abi.encodeCall(escrow.reject, (50, 1)), abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 50));
    }

    function reject(uint256 runId, address caller) private {
        bytes memory call = rejectCall(runId);
        vm.prank(caller);
        (bool ok,) = address(escrow).call(call);
        assertTrue(ok);
    }

    function rejectCall(uint256 runId) private view returns (bytes memory) {
        IRunEscrow.Run memory run = escrow.getRun(runId);
        uint256 expected = run.state == RunState.SUBMITTED ? run.reviewBy : run.dueAt;
        return abi.encodeCall(IRunEscrow.reject, (runId, expected));
    }
}

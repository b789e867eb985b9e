// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice requestRevision
/// ├── unknown run: refused
/// ├── caller is not the poster: refused
/// ├── any state but SUBMITTED: refused
/// ├── the submission is not the expected one: refused
/// ├── at reviewBy or later: refused
/// ├── no revisions are left: refused
/// ├── feedback of more than 2048 bytes: refused
/// └── otherwise: REVISION_REQUESTED, one more revision, due one timeout later
contract RequestRevisionTest is ClawPayTest {
    function test_requestRevision_sendsTheWorkBackForOneMoreTimeout() public {
        openRun(); // So that the run's id is not the number of the revision.
        uint256 runId = submittedRun();
        skip(2 days);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RevisionRequested(runId, 1, START + 2 days + WEEK, FEEDBACK);
        vm.prank(poster);
        escrow.requestRevision(runId, START + WEEK, FEEDBACK);

        IRunEscrow.Run memory run = escrow.getRun(runId);
        assertEq(uint256(run.state), uint256(RunState.REVISION_REQUESTED));
        assertEq(run.revisions, 1);
        assertEq(run.dueAt, START + 2 days + WEEK);
        assertEq(run.reviewBy, 0);
        assertEq(run.wallet, wallet);
        assertEq(run.agentId, agentId);
    }

    function test_requestRevision_isPossibleAsOftenAsTheRunAllows() public {
        for (uint256 limit = 0; limit <= 3; ++limit) {
            uint256 runId = openRun(limit);
            claim(runId);
            for (uint256 i = 0; i < limit; ++i) {
                submit(runId);
                requestRevision(runId);
                assertEq(escrow.getRun(runId).revisions, i + 1);
                skip(1 days);
            }
            submit(runId);
            assertRefused(poster, reviseCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_NoRevisionsLeft.selector, runId, limit));
            approve(runId);
        }
    }

    function test_requestRevision_isPossibleUntilTheSecondBeforeReviewBy() public {
        uint256 runId = submittedRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        uint256 snapshot = vm.snapshotState();
        vm.warp(reviewBy - 1);
        requestRevision(runId);
        vm.revertToState(snapshot);

        bytes4 fault = IRunEscrow.RunEscrow_TooLate.selector;
        vm.warp(reviewBy);
        assertRefused(poster, reviseCall(runId), abi.encodeWithSelector(fault, runId, reviewBy, reviewBy));
        vm.warp(reviewBy + 1);
        assertRefused(poster, reviseCall(runId), abi.encodeWithSelector(fault, runId, reviewBy, reviewBy + 1));
    }

    function test_requestRevision_isRefusedForAnotherSubmissionThanExpected() public {
        uint256 runId = revisionRequestedRun();
        skip(1);
        submit(runId);
        assertRefused(
            poster,
            abi.encodeCall(escrow.requestRevision, (runId, START + WEEK, FEEDBACK)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_SubmissionChanged.selector, runId, START + WEEK, START + 1 + WEEK)
        );
    }

    function test_requestRevision_takesFeedbackOfNoneTo2048Bytes() public {
        uint256 runId = submittedRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        assertRefused(
            poster,
            abi.encodeCall(escrow.requestRevision, (runId, reviewBy, string(new bytes(2049)))),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_LengthOutOfRange.selector, 2049, 0, 2048)
        );
        uint256 snapshot = vm.snapshotState();
        vm.prank(poster);
        escrow.requestRevision(runId, reviewBy, string(new bytes(2048)));
        vm.revertToState(snapshot);
        vm.prank(poster);
        escrow.requestRevision(runId, reviewBy, "");
    }

    function test_requestRevision_isRefusedInEveryStateButSubmitted() public {
        assertRefusedOutside(bit(RunState.SUBMITTED), poster, reviseCall);
    }

    function test_requestRevision_namesTheFirstFaultInOrder() public {
        uint256 runId = rejectableRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        bytes memory faulty = abi.encodeCall(escrow.requestRevision, (runId, reviewBy, string(new bytes(2049))));
        assertRefused(poster, faulty, abi.encodeWithSelector(IRunEscrow.RunEscrow_NoRevisionsLeft.selector, runId, 0));
        vm.warp(reviewBy);
        assertRefused(poster, faulty, abi.encodeWithSelector(IRunEscrow.RunEscrow_TooLate.selector, runId, reviewBy, reviewBy));
        assertRefused(
            poster,
            abi.encodeCall(escrow.requestRevision, (runId, 1, FEEDBACK)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_SubmissionChanged.selector, runId, 1, reviewBy)
        );
        assertRefused(wallet, faulty, abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, wallet, poster));
        assertRefused(
            wallet,
            abi.encodeCall(escrow.requestRevision, (50, 1, FEEDBACK)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 50)
        );
    }

    function reviseCall(uint256 runId) private view returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.requestRevision, (runId, escrow.getRun(runId).reviewBy, FEEDBACK));
    }
}

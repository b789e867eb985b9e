// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Vm } from "forge-std/Vm.sol";

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice submit
/// ├── unknown run: refused
/// ├── any state but CLAIMED, IN_PROGRESS and REVISION_REQUESTED: refused
/// ├── caller is neither the recorded wallet nor the agent's current owner: refused
/// ├── at dueAt or later: refused
/// ├── deliverable of no bytes, or of more than 2048: refused
/// └── otherwise: SUBMITTED, to be answered within the review period
///     └── from CLAIMED: passes through IN_PROGRESS and says so
contract SubmitTest is ClawPayTest {
    function test_submit_fromClaimedReportsTheStartToo() public {
        uint256 runId = claimedRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunStarted(runId);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunSubmitted(runId, START + WEEK, DELIVERABLE);
        submit(runId);

        IRunEscrow.Run memory run = escrow.getRun(runId);
        assertEq(uint256(run.state), uint256(RunState.SUBMITTED));
        assertEq(run.reviewBy, START + WEEK);
        assertEq(run.dueAt, 0);
        assertEq(run.wallet, wallet);
        assertEq(run.agentId, agentId);
    }

    function test_submit_afterStartReportsOnlyTheSubmission() public {
        assertReportsOnlyTheSubmission(startedRun());
    }

    function test_submit_ofARevisionReportsOnlyTheSubmissionAndKeepsTheCount() public {
        uint256 runId = revisionRequestedRun();
        skip(1 days);
        assertReportsOnlyTheSubmission(runId);
        assertEq(escrow.getRun(runId).revisions, 1);
        assertEq(escrow.getRun(runId).reviewBy, START + 1 days + WEEK);
    }

    /// @dev Seconds that have no bit in common.
    function test_submit_keepsNothingOfDueAt() public {
        uint256 reviewBy = 2 ** 31;
        vm.warp(reviewBy - 1 - WEEK);
        uint256 runId = claimedRun();
        assertEq(escrow.getRun(runId).dueAt, reviewBy - 1);
        skip(1);
        submit(runId);
        assertEq(escrow.getRun(runId).reviewBy, reviewBy);
    }

    function test_submit_isPossibleUntilTheSecondBeforeDueAt() public {
        assertPossibleUntilDueAt(claimedRun());
        assertPossibleUntilDueAt(startedRun());
        assertPossibleUntilDueAt(revisionRequestedRun());
    }

    function test_submit_takesOneTo2048Bytes() public {
        uint256 runId = claimedRun();
        bytes4 fault = IRunEscrow.RunEscrow_LengthOutOfRange.selector;
        assertRefused(wallet, abi.encodeCall(escrow.submit, (runId, "")), abi.encodeWithSelector(fault, 0, 1, 2048));
        assertRefused(wallet, abi.encodeCall(escrow.submit, (runId, string(new bytes(2049)))), abi.encodeWithSelector(fault, 2049, 1, 2048));
        vm.prank(wallet);
        escrow.submit(runId, string(new bytes(2048)));
        uint256 other = claimedRun();
        vm.prank(wallet);
        escrow.submit(other, "x");
    }

    function test_submit_isOpenToTheNewOwnerAndTheRecordedWalletAfterATransfer() public {
        uint256 first = claimedRun();
        uint256 second = claimedRun();
        vm.prank(wallet);
        registry.transferFrom(wallet, stranger, agentId);
        submit(first);
        vm.prank(stranger);
        escrow.submit(second, DELIVERABLE);
        assertEq(escrow.getRun(second).wallet, wallet, "the recorded wallet is paid");
    }

    function test_submit_isRefusedToAnAgentWalletThatDidNotClaim() public {
        (address hot, uint256 key) = makeAddrAndKey("hot wallet");
        uint256 runId = claimedRun();
        setAgentWallet(agentId, wallet, hot, key);
        assertRefused(hot, submitCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_NotRunAgent.selector, runId, hot, wallet));
    }

    function test_submit_isRefusedInEveryOtherState() public {
        assertRefusedOutside(bit(RunState.CLAIMED) | bit(RunState.IN_PROGRESS) | bit(RunState.REVISION_REQUESTED), stranger, submitCall);
    }

    function test_submit_namesTheFirstFaultInOrder() public {
        uint256 runId = claimedRun();
        uint256 dueAt = escrow.getRun(runId).dueAt;
        vm.warp(dueAt);
        bytes memory empty = abi.encodeCall(escrow.submit, (runId, ""));
        assertRefused(stranger, empty, abi.encodeWithSelector(IRunEscrow.RunEscrow_NotRunAgent.selector, runId, stranger, wallet));
        assertRefused(wallet, empty, abi.encodeWithSelector(IRunEscrow.RunEscrow_TooLate.selector, runId, dueAt, dueAt));
        assertRefused(stranger, submitCall(9), abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 9));
    }

    function test_submit_isPossibleWhilePaused() public {
        uint256 runId = claimedRun();
        vm.prank(owner);
        escrow.pause();
        submit(runId);
        assertState(runId, RunState.SUBMITTED);
    }

    function assertReportsOnlyTheSubmission(uint256 runId) private {
        vm.recordLogs();
        submit(runId);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        assertEq(logs[0].topics[0], IRunEscrow.RunSubmitted.selector);
        assertState(runId, RunState.SUBMITTED);
    }

    function assertPossibleUntilDueAt(uint256 runId) private {
        uint256 dueAt = escrow.getRun(runId).dueAt;
        uint256 snapshot = vm.snapshotState();
        vm.warp(dueAt - 1);
        submit(runId);
        assertEq(escrow.getRun(runId).reviewBy, dueAt - 1 + WEEK);
        vm.revertToState(snapshot);

        bytes4 fault = IRunEscrow.RunEscrow_TooLate.selector;
        vm.warp(dueAt);
        assertRefused(wallet, submitCall(runId), abi.encodeWithSelector(fault, runId, dueAt, dueAt));
        vm.warp(dueAt + 1);
        assertRefused(wallet, submitCall(runId), abi.encodeWithSelector(fault, runId, dueAt, dueAt + 1));
        vm.revertToState(snapshot);
    }

    function submitCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.submit, (runId, DELIVERABLE));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice start
/// ├── unknown run: refused
/// ├── any state but CLAIMED: refused
/// ├── caller is neither the recorded wallet nor the agent's current owner: refused
/// ├── at dueAt or later: refused
/// └── otherwise: IN_PROGRESS, everything else as it was
contract StartTest is ClawPayTest {
    function test_start_changesTheStateAndNothingElse() public {
        uint256 runId = claimedRun();
        IRunEscrow.Run memory expected = escrow.getRun(runId);
        expected.state = RunState.IN_PROGRESS;
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunStarted(runId);
        vm.prank(wallet);
        escrow.start(runId);
        assertEq(abi.encode(escrow.getRun(runId)), abi.encode(expected));
    }

    function test_start_isPossibleUntilTheSecondBeforeDueAt() public {
        uint256 runId = claimedRun();
        uint256 dueAt = escrow.getRun(runId).dueAt;
        uint256 snapshot = vm.snapshotState();
        vm.warp(dueAt - 1);
        vm.prank(wallet);
        escrow.start(runId);
        vm.revertToState(snapshot);

        bytes4 fault = IRunEscrow.RunEscrow_TooLate.selector;
        vm.warp(dueAt);
        assertRefused(wallet, startCall(runId), abi.encodeWithSelector(fault, runId, dueAt, dueAt));
        vm.warp(dueAt + 1);
        assertRefused(wallet, startCall(runId), abi.encodeWithSelector(fault, runId, dueAt, dueAt + 1));
    }

    function test_start_isOpenToTheNewOwnerAndTheRecordedWalletAfterATransfer() public {
        uint256 first = claimedRun();
        uint256 second = claimedRun();
        vm.prank(wallet);
        registry.transferFrom(wallet, stranger, agentId);
        vm.prank(wallet);
        escrow.start(first);
        vm.prank(stranger);
        escrow.start(second);
        assertEq(escrow.getRun(second).wallet, wallet, "the recorded wallet stays");
    }

    function test_start_isRefusedToAnybodyElse() public {
        uint256 runId = claimedRun();
        bytes memory reason = abi.encodeWithSelector(IRunEscrow.RunEscrow_NotRunAgent.selector, runId, poster, wallet);
        assertRefused(poster, startCall(runId), reason);
        vm.warp(escrow.getRun(runId).dueAt);
        assertRefused(poster, startCall(runId), reason);
    }

    function test_start_isRefusedInEveryStateButClaimed() public {
        assertRefusedOutside(bit(RunState.CLAIMED), stranger, startCall);
    }

    function test_start_isRefusedForUnknownRuns() public {
        assertRefused(wallet, startCall(1), abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 1));
    }

    function startCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.start, (runId));
    }
}

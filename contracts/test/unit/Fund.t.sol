// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice fund
/// ├── paused: refused
/// ├── unknown run: refused
/// ├── caller is not the poster: refused
/// ├── any state but DRAFT: refused
/// ├── at the deadline or later: refused
/// └── otherwise: OPEN, reward and fee escrowed
contract FundTest is ClawPayTest {
    function test_fund_opensTheDraftAndEscrowsRewardAndFee() public {
        uint256 runId = draftRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFunded(runId, REWARD + FEE);
        vm.prank(poster);
        escrow.fund(runId);

        assertState(runId, RunState.OPEN);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
    }

    function test_fund_changesNothingOfTheTermsButTheStage() public {
        uint256 runId = draftRun();
        IRunEscrow.Run memory before = escrow.getRun(runId);
        uint256 termsBefore = escrow.termsOf(runId);
        vm.prank(poster);
        escrow.fund(runId);
        before.state = RunState.OPEN;
        assertEq(abi.encode(escrow.getRun(runId)), abi.encode(before));
        assertNotEq(escrow.termsOf(runId), termsBefore, "the stage is part of the terms");
    }

    function test_fund_isPossibleUntilTheSecondBeforeTheDeadline() public {
        uint256 runId = draftRun();
        uint256 deadline = escrow.getRun(runId).deadline;
        uint256 snapshot = vm.snapshotState();
        vm.warp(deadline - 1);
        vm.prank(poster);
        escrow.fund(runId);
        assertState(runId, RunState.OPEN);
        vm.revertToState(snapshot);

        bytes4 fault = IRunEscrow.RunEscrow_DeadlinePassed.selector;
        vm.warp(deadline);
        assertRefused(poster, fundCall(runId), abi.encodeWithSelector(fault, runId, deadline, deadline));
        vm.warp(deadline + 1);
        assertRefused(poster, fundCall(runId), abi.encodeWithSelector(fault, runId, deadline, deadline + 1));
    }

    function test_fund_isRefusedInEveryStateButDraft() public {
        assertRefusedOutside(bit(RunState.DRAFT), poster, fundCall);
    }

    function test_fund_isThePostersAlone() public {
        uint256 runId = draftRun();
        assertRefused(stranger, fundCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, stranger, poster));
    }

    function test_fund_namesTheFirstFaultInOrder() public {
        uint256 runId = cancelledRun();
        vm.warp(START + 31 days);
        assertRefused(stranger, fundCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, stranger, poster));
        assertRefused(
            poster,
            fundCall(runId),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_WrongState.selector, runId, RunState.CANCELLED, bit(RunState.DRAFT))
        );
        assertRefused(stranger, fundCall(99), abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 99));
        vm.prank(owner);
        escrow.pause();
        assertRefused(stranger, fundCall(99), abi.encodeWithSelector(Pausable.EnforcedPause.selector));
    }

    function fundCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.fund, (runId));
    }
}

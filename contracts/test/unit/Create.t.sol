// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice create
/// ├── paused: refused
/// ├── reward below the minimum, or 2^56 and above: refused
/// ├── deadline now or before, or more than 365 days ahead: refused
/// ├── more than three revisions: refused
/// ├── content of no bytes, or of more than 2048: refused
/// ├── several faults at once: the first in this order is named
/// └── otherwise: a DRAFT with the next id, no money moved
contract CreateTest is ClawPayTest {
    function test_create_writesDownADraftAndMovesNoMoney() public {
        uint256 deadline = claimDeadline();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCreated(1, poster, REWARD, FEE, deadline, 2, CONTENT);
        vm.prank(poster);
        uint256 runId = escrow.create(REWARD, deadline, 2, CONTENT);

        assertEq(runId, 1);
        assertEq(escrow.runCount(), 1);
        IRunEscrow.Run memory run = escrow.getRun(runId);
        assertEq(run.poster, poster);
        assertEq(run.reward, REWARD);
        assertEq(run.fee, FEE);
        assertEq(run.deadline, deadline);
        assertEq(run.maxRevisions, 2);
        assertEq(uint256(run.state), uint256(RunState.DRAFT));
        assertEq(run.wallet, address(0));
        assertEq(run.agentId, 0);
        assertEq(run.revisions, 0);
        assertEq(run.dueAt, 0);
        assertEq(run.reviewBy, 0);
        assertEq(usdc.balanceOf(poster), FUNDS);
        assertEq(usdc.balanceOf(address(escrow)), 0);
    }

    function test_create_countsIdsFromOne() public {
        assertEq(draftRun(), 1);
        assertEq(openRun(), 2);
        assertEq(draftRun(), 3);
        assertEq(escrow.runCount(), 3);
    }

    function test_create_takesRewardsFromTheMinimumToBelowTwoToThe56() public {
        uint256 maximum = 2 ** 56 - 1;
        assertAccepted(1 * USDC, claimDeadline(), 3, CONTENT);
        assertAccepted(maximum, claimDeadline(), 3, CONTENT);
        bytes4 fault = IRunEscrow.RunEscrow_RewardOutOfRange.selector;
        assertNotCreated(0, claimDeadline(), 3, CONTENT, abi.encodeWithSelector(fault, 0, 1 * USDC, maximum));
        assertNotCreated(1 * USDC - 1, claimDeadline(), 3, CONTENT, abi.encodeWithSelector(fault, 1 * USDC - 1, 1 * USDC, maximum));
        assertNotCreated(maximum + 1, claimDeadline(), 3, CONTENT, abi.encodeWithSelector(fault, maximum + 1, 1 * USDC, maximum));
        assertNotCreated(
            type(uint256).max, claimDeadline(), 3, CONTENT, abi.encodeWithSelector(fault, type(uint256).max, 1 * USDC, maximum)
        );
    }

    function test_create_keepsAllOfTheLargestReward() public {
        vm.prank(poster);
        uint256 runId = escrow.create(2 ** 56 - 1, claimDeadline(), 3, CONTENT);
        assertEq(escrow.getRun(runId).reward, 2 ** 56 - 1);
        assertEq(escrow.getRun(runId).fee, uint256(2 ** 56 - 1) * 500 / 10_000);
    }

    function test_create_roundsTheFeeDown() public {
        vm.prank(poster);
        uint256 runId = escrow.create(1 * USDC + 19, claimDeadline(), 3, CONTENT);
        assertEq(escrow.getRun(runId).fee, 50_000);
    }

    function test_create_takesDeadlinesFromTheNextSecondTo365DaysAhead() public {
        uint256 latest = START + 365 days;
        assertAccepted(REWARD, START + 1, 3, CONTENT);
        assertAccepted(REWARD, latest, 3, CONTENT);
        bytes4 fault = IRunEscrow.RunEscrow_DeadlineOutOfRange.selector;
        assertNotCreated(REWARD, START - 1, 3, CONTENT, abi.encodeWithSelector(fault, START - 1, START, latest));
        assertNotCreated(REWARD, START, 3, CONTENT, abi.encodeWithSelector(fault, START, START, latest));
        assertNotCreated(REWARD, latest + 1, 3, CONTENT, abi.encodeWithSelector(fault, latest + 1, START, latest));
        assertNotCreated(REWARD, type(uint256).max, 3, CONTENT, abi.encodeWithSelector(fault, type(uint256).max, START, latest));
    }

    /// @dev A deadline has 36 bits.
    function test_create_takesDeadlinesBelowTwoToThe36() public {
        uint256 last = 2 ** 36 - 1;
        vm.warp(last - 1);
        vm.prank(poster);
        assertEq(escrow.getRun(escrow.create(REWARD, last, 3, CONTENT)).deadline, last);
        bytes4 fault = IRunEscrow.RunEscrow_DeadlineOutOfRange.selector;
        assertNotCreated(REWARD, last + 1, 3, CONTENT, abi.encodeWithSelector(fault, last + 1, last - 1, last));
    }

    function test_create_takesZeroToThreeRevisions() public {
        assertAccepted(REWARD, claimDeadline(), 0, CONTENT);
        assertAccepted(REWARD, claimDeadline(), 3, CONTENT);
        bytes4 fault = IRunEscrow.RunEscrow_TooManyRevisions.selector;
        assertNotCreated(REWARD, claimDeadline(), 4, CONTENT, abi.encodeWithSelector(fault, 4, 3));
        assertNotCreated(REWARD, claimDeadline(), 2 ** 128, CONTENT, abi.encodeWithSelector(fault, 2 ** 128, 3));
    }

    function test_create_takesContentOfOneTo2048Bytes() public {
        assertAccepted(REWARD, claimDeadline(), 3, "x");
        assertAccepted(REWARD, claimDeadline(), 3, string(new bytes(2048)));
        bytes4 fault = IRunEscrow.RunEscrow_LengthOutOfRange.selector;
        assertNotCreated(REWARD, claimDeadline(), 3, "", abi.encodeWithSelector(fault, 0, 1, 2048));
        assertNotCreated(REWARD, claimDeadline(), 3, string(new bytes(2049)), abi.encodeWithSelector(fault, 2049, 1, 2048));
    }

    function test_create_namesTheFirstFaultInOrder() public {
        bytes memory deadlineFault = abi.encodeWithSelector(IRunEscrow.RunEscrow_DeadlineOutOfRange.selector, 0, START, START + 365 days);
        bytes memory revisionsFault = abi.encodeWithSelector(IRunEscrow.RunEscrow_TooManyRevisions.selector, 9, 3);
        bytes memory rewardFault = abi.encodeWithSelector(IRunEscrow.RunEscrow_RewardOutOfRange.selector, 0, 1 * USDC, 2 ** 56 - 1);
        assertNotCreated(0, 0, 9, "", rewardFault);
        assertNotCreated(REWARD, 0, 9, "", deadlineFault);
        assertNotCreated(REWARD, claimDeadline(), 9, "", revisionsFault);
        vm.prank(owner);
        escrow.pause();
        assertNotCreated(0, 0, 9, "", abi.encodeWithSelector(Pausable.EnforcedPause.selector));
    }

    function assertAccepted(uint256 reward, uint256 deadline, uint256 maxRevisions, string memory content) private {
        vm.prank(stranger);
        uint256 runId = escrow.create(reward, deadline, maxRevisions, content);
        assertState(runId, RunState.DRAFT);
        assertEq(escrow.getRun(runId).reward, reward);
        assertEq(escrow.getRun(runId).deadline, deadline);
        assertEq(escrow.getRun(runId).maxRevisions, maxRevisions);
    }

    /// @dev Both verbs that create judge alike.
    function assertNotCreated(uint256 reward, uint256 deadline, uint256 maxRevisions, string memory content, bytes memory reason) private {
        assertRefused(poster, abi.encodeCall(escrow.create, (reward, deadline, maxRevisions, content)), reason);
        assertRefused(poster, abi.encodeCall(escrow.createAndFund, (reward, deadline, maxRevisions, content)), reason);
    }
}

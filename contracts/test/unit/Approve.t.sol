// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice approve
/// ├── unknown run: refused
/// ├── caller is not the poster: refused
/// ├── any state but SUBMITTED: refused
/// ├── the submission is not the expected one: refused
/// └── otherwise, also after reviewBy and while paused: APPROVED
///     ├── the recorded wallet is paid, even if the agent has moved on
///     ├── the fee is kept, the stake released, a completion counted
///     └── the token refuses the wallet: the reward is credited
contract ApproveTest is ClawPayTest {
    function test_approve_paysTheWalletKeepsTheFeeAndReleasesTheStake() public {
        uint256 runId = submittedRun();
        uint256 before = usdc.balanceOf(wallet);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunApproved(runId, agentId, wallet, REWARD, FEE);
        vm.prank(poster);
        escrow.approve(runId, START + WEEK);

        assertState(runId, RunState.APPROVED);
        assertEq(usdc.balanceOf(wallet), before + REWARD);
        assertEq(usdc.balanceOf(address(escrow)), FEE);
        assertEq(escrow.uncollectedFees(), FEE);
        IAgentStake.Agent memory agent = agentStake.getAgent(agentId);
        assertEq(agent.completions, 1);
        assertEq(agent.runsInHand, 0);
        assertEq(agent.stake, AGENT_STAKE);
        assertEq(agent.slashes, 0);
        assertEq(escrow.getRun(runId).reviewBy, 0, "nothing is awaited any more");
        assertEq(escrow.getRun(runId).dueAt, 0);
    }

    function test_approve_isPossibleAtAnyTimeAndWhilePaused() public {
        uint256 first = submittedRun();
        uint256 second = submittedRun();
        uint256 third = submittedRun();
        uint256 reviewBy = START + WEEK;
        vm.prank(owner);
        escrow.pause();
        vm.startPrank(poster);
        vm.warp(reviewBy - 1);
        escrow.approve(first, reviewBy);
        vm.warp(reviewBy);
        escrow.approve(second, reviewBy);
        vm.warp(reviewBy + 1000 days);
        escrow.approve(third, reviewBy);
    }

    function test_approve_paysTheRecordedWalletAfterTheAgentMoved() public {
        uint256 runId = submittedRun();
        uint256 before = usdc.balanceOf(wallet);
        vm.prank(wallet);
        registry.transferFrom(wallet, stranger, agentId);
        approve(runId);
        assertEq(usdc.balanceOf(wallet), before + REWARD);
        assertEq(usdc.balanceOf(stranger), FUNDS);
    }

    function test_approve_creditsTheWalletWhenTheTokenRefusesIt() public {
        uint256 runId = submittedRun();
        usdc.blacklist(wallet);
        vm.expectEmit(address(escrow));
        emit ICustody.PayoutCredited(runId, wallet, REWARD);
        approve(runId);
        assertState(runId, RunState.APPROVED);
        assertEq(escrow.creditOf(wallet), REWARD);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
        assertEq(agentStake.getAgent(agentId).completions, 1);
    }

    function test_approve_goesThroughWhileTheTokenIsPaused() public {
        uint256 runId = submittedRun();
        usdc.pause();
        approve(runId);
        assertState(runId, RunState.APPROVED);
        assertEq(escrow.creditOf(wallet), REWARD);
    }

    function test_approve_ofSeveralRunsAddsFeesUp() public {
        uint256 first = submittedRun();
        uint256 second = submittedRun();
        approve(first);
        approve(second);
        assertEq(escrow.uncollectedFees(), 2 * FEE);
        assertEq(agentStake.getAgent(agentId).completions, 2);
    }

    function test_approve_countsForAnAgentThatWasSlashedMeanwhile() public {
        uint256 late = claimedRun();
        uint256 done = submittedRun();
        skip(WEEK);
        vm.prank(poster);
        escrow.slash(late);
        uint256 before = usdc.balanceOf(wallet);
        approve(done);
        assertEq(usdc.balanceOf(wallet), before + REWARD);
        assertEq(agentStake.getAgent(agentId).completions, 1);
    }

    function test_approve_isRefusedForAnotherSubmissionThanExpected() public {
        uint256 runId = submittedRun();
        bytes4 fault = IRunEscrow.RunEscrow_SubmissionChanged.selector;
        for (uint256 i = 0; i < 3; i += 2) {
            uint256 expected = START + WEEK - 1 + i;
            assertRefused(
                poster, abi.encodeCall(escrow.approve, (runId, expected)), abi.encodeWithSelector(fault, runId, expected, START + WEEK)
            );
        }
    }

    function test_approve_isRefusedInEveryStateButSubmitted() public {
        assertRefusedOutside(bit(RunState.SUBMITTED), poster, approveCall);
    }

    function test_approve_namesTheFirstFaultInOrder() public {
        uint256 runId = claimedRun();
        bytes memory faulty = abi.encodeCall(escrow.approve, (runId, 1));
        assertRefused(wallet, faulty, abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, runId, wallet, poster));
        assertRefused(
            poster,
            faulty,
            abi.encodeWithSelector(IRunEscrow.RunEscrow_WrongState.selector, runId, RunState.CLAIMED, bit(RunState.SUBMITTED))
        );
        assertRefused(
            wallet, abi.encodeCall(escrow.approve, (50, 1)), abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 50)
        );
    }

    function approveCall(uint256 runId) private view returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.approve, (runId, escrow.getRun(runId).reviewBy));
    }
}

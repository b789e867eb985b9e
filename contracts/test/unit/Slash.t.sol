// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice slash
/// ├── unknown run: refused
/// ├── any state but CLAIMED and IN_PROGRESS: refused, SUBMITTED at whatever time
/// ├── before dueAt for the poster, one timeout later for anybody else: refused
/// └── otherwise: SLASHED
///     ├── the poster gets reward, fee and the stake at risk, whichever account called
///     ├── the agent owes what was taken: FROZEN, and BANNED the third time
///     ├── falling below the minimum ends the uninterrupted time
///     └── the token refuses the poster: refund and stake are credited, each where it lies
contract SlashTest is ClawPayTest {
    function test_slash_refundsThePosterAndPaysItTheStakeAtRisk() public {
        uint256 runId = claimedRun();
        skip(WEEK);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunSlashed(runId, agentId, REWARD + FEE, AT_RISK);
        vm.prank(poster);
        escrow.slash(runId);

        assertState(runId, RunState.SLASHED);
        assertEq(usdc.balanceOf(poster), FUNDS + AT_RISK);
        assertEq(usdc.balanceOf(address(escrow)), 0);
        assertEq(usdc.balanceOf(address(agentStake)), AGENT_STAKE - AT_RISK);
        assertEq(escrow.uncollectedFees(), 0);
        IAgentStake.Agent memory agent = agentStake.getAgent(agentId);
        assertEq(uint256(agent.status), uint256(AgentStatus.FROZEN));
        assertEq(agent.stake, AGENT_STAKE - AT_RISK);
        assertEq(agent.owed, AT_RISK);
        assertEq(agent.slashes, 1);
        assertEq(agent.runsInHand, 0);
        assertEq(agent.completions, 0);
        assertEq(agent.stakedSince, START, "still above the minimum");
    }

    function test_slash_isThePostersFromDueAt() public {
        assertPossibleFrom(claimedRun(), poster, 0);
        assertPossibleFrom(startedRun(), poster, 0);
    }

    function test_slash_isAnybodysOneTimeoutLater() public {
        assertPossibleFrom(claimedRun(), stranger, WEEK);
        assertPossibleFrom(startedRun(), wallet, WEEK);
    }

    function test_slash_paysThePosterWhoeverCalls() public {
        uint256 runId = claimedRun();
        skip(2 * WEEK);
        vm.prank(stranger);
        escrow.slash(runId);
        assertEq(usdc.balanceOf(poster), FUNDS + AT_RISK);
        assertEq(usdc.balanceOf(stranger), FUNDS);
    }

    function test_slash_neverReachesDeliveredWork() public {
        uint256 submitted = submittedRun();
        uint256 sentBack = revisionRequestedRun();
        skip(1000 days);
        uint256 accepted = bit(RunState.CLAIMED) | bit(RunState.IN_PROGRESS);
        bytes4 fault = IRunEscrow.RunEscrow_WrongState.selector;
        assertRefused(poster, slashCall(submitted), abi.encodeWithSelector(fault, submitted, RunState.SUBMITTED, accepted));
        assertRefused(poster, slashCall(sentBack), abi.encodeWithSelector(fault, sentBack, RunState.REVISION_REQUESTED, accepted));
        assertFalse(escrow.isSlashable(submitted));
        assertFalse(escrow.isSlashable(sentBack));
    }

    function test_slash_takesEachRunsStakeInFullHoweverManyAreInHand() public {
        uint256[] memory runs = new uint256[](10);
        for (uint256 i = 0; i < runs.length; ++i) {
            runs[i] = claimedRun();
        }
        skip(WEEK);
        vm.startPrank(poster);
        for (uint256 i = 0; i < runs.length; ++i) {
            escrow.slash(runs[i]);
            IAgentStake.Agent memory agent = agentStake.getAgent(agentId);
            assertEq(agent.stake, AGENT_STAKE - (i + 1) * AT_RISK);
            assertEq(agent.committed, AGENT_STAKE - (i + 1) * AT_RISK);
            assertEq(agent.owed, (i + 1) * AT_RISK);
            assertEq(uint256(agent.status), uint256(i < 2 ? AgentStatus.FROZEN : AgentStatus.BANNED));
            assertEq(agent.stakedSince, agent.stake >= MINIMUM_STAKE ? START : 0);
        }
        assertEq(usdc.balanceOf(poster), FUNDS + AGENT_STAKE);
        assertEq(usdc.balanceOf(address(agentStake)), 0);
    }

    function test_slash_creditsThePosterInBothContractsWhenTheTokenRefusesIt() public {
        uint256 runId = claimedRun();
        skip(WEEK);
        usdc.blacklist(poster);
        vm.expectEmit(address(agentStake));
        emit ICustody.PayoutCredited(runId, poster, AT_RISK);
        vm.expectEmit(address(escrow));
        emit ICustody.PayoutCredited(runId, poster, REWARD + FEE);
        vm.prank(poster);
        escrow.slash(runId);

        assertState(runId, RunState.SLASHED);
        assertEq(agentStake.creditOf(poster), AT_RISK);
        assertEq(escrow.creditOf(poster), REWARD + FEE);
        assertEq(agentStake.getAgent(agentId).stake, AGENT_STAKE - AT_RISK);
        assertEq(usdc.balanceOf(address(agentStake)), AGENT_STAKE);
    }

    function test_slash_reachesAnAgentWhoseTokenHasMoved() public {
        uint256 runId = claimedRun();
        vm.prank(wallet);
        registry.transferFrom(wallet, stranger, agentId);
        skip(WEEK);
        vm.prank(poster);
        escrow.slash(runId);
        assertEq(agentStake.getAgent(agentId).slashes, 1);
    }

    function test_slash_isRefusedInEveryOtherState() public {
        assertRefusedOutside(bit(RunState.CLAIMED) | bit(RunState.IN_PROGRESS), stranger, slashCall);
    }

    function test_slash_isRefusedForUnknownRuns() public {
        bytes memory reason = abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 3);
        assertRefused(poster, slashCall(3), reason);
        assertRefused(poster, abi.encodeCall(escrow.isSlashable, (3)), reason);
    }

    function assertPossibleFrom(uint256 runId, address caller, uint256 afterDueAt) private {
        uint256 dueAt = escrow.getRun(runId).dueAt;
        uint256 from = dueAt + afterDueAt;
        vm.warp(from - 1);
        assertEq(escrow.isSlashable(runId), from - 1 >= dueAt);
        assertRefused(caller, slashCall(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_TooEarly.selector, runId, from, from - 1));
        uint256 snapshot = vm.snapshotState();
        vm.warp(from);
        assertTrue(escrow.isSlashable(runId));
        vm.prank(caller);
        escrow.slash(runId);
        assertState(runId, RunState.SLASHED);
        assertFalse(escrow.isSlashable(runId));
        vm.revertToState(snapshot);
        vm.warp(from + 1);
        vm.prank(caller);
        escrow.slash(runId);
        vm.revertToState(snapshot);
        vm.warp(START);
    }

    function slashCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.slash, (runId));
    }
}

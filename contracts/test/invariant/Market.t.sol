// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { MarketHandler } from "./MarketHandler.sol";

/// @notice What holds after any sequence of legal calls:
/// 1. the escrow holds at least reward and fee of every funded, unfinished run, the uncollected fees and its credits;
/// 2. the stake holds at least all stakes and its credits;
/// 3. no agent has more committed than staked, and its runs in hand are the runs that name it and are not over;
/// 4. every change of state is an arrow of the lifecycle.
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.show-metrics = false
contract MarketInvariantTest is ClawPayTest {
    MarketHandler private handler;
    uint256[2] private agents;
    address[2] private wallets;

    function setUp() public override {
        super.setUp();
        agents = [agentId, registerAgent(stranger)];
        wallets = [wallet, stranger];
        handler = new MarketHandler(escrow, agentStake, usdc, poster, wallets, agents);
        targetContract(address(handler));
    }

    function invariant_escrowIsSolvent() public view {
        uint256 owed = escrow.uncollectedFees() + escrow.creditOf(poster);
        for (uint256 i = 0; i < wallets.length; ++i) {
            owed += escrow.creditOf(wallets[i]);
        }
        for (uint256 runId = 1; runId <= escrow.runCount(); ++runId) {
            IRunEscrow.Run memory run = escrow.getRun(runId);
            if (holdsMoney(run.state)) owed += run.reward + run.fee;
        }
        assertGe(usdc.balanceOf(address(escrow)), owed);
    }

    function invariant_stakeIsSolvent() public view {
        uint256 owed = agentStake.creditOf(poster);
        for (uint256 i = 0; i < agents.length; ++i) {
            owed += agentStake.getAgent(agents[i]).stake;
        }
        assertGe(usdc.balanceOf(address(agentStake)), owed);
    }

    function invariant_commitmentsAreCoveredAndAreTheRunsInHand() public view {
        for (uint256 i = 0; i < agents.length; ++i) {
            IAgentStake.Agent memory agent = agentStake.getAgent(agents[i]);
            assertLe(agent.committed, agent.stake);
            uint256 inHand;
            for (uint256 runId = 1; runId <= escrow.runCount(); ++runId) {
                IRunEscrow.Run memory run = escrow.getRun(runId);
                if (run.agentId == agents[i] && holdsMoney(run.state)) ++inHand;
            }
            assertEq(agent.runsInHand, inHand);
            assertEq(agent.stakedSince != 0, agent.stake >= MINIMUM_STAKE);
        }
    }

    function invariant_everyEdgeIsAnArrowOfTheLifecycle() public view {
        uint256 legal = (bit(RunState.DRAFT) | bit(RunState.OPEN)) << (16 * handler.NOT_THERE());
        legal |= edges(RunState.DRAFT, bit(RunState.OPEN) | bit(RunState.CANCELLED));
        legal |= edges(RunState.OPEN, bit(RunState.CLAIMED) | bit(RunState.CANCELLED));
        legal |= edges(RunState.CLAIMED, bit(RunState.IN_PROGRESS) | bit(RunState.SUBMITTED) | bit(RunState.SLASHED));
        legal |= edges(RunState.IN_PROGRESS, bit(RunState.SUBMITTED) | bit(RunState.SLASHED));
        legal |= edges(RunState.SUBMITTED, bit(RunState.APPROVED) | bit(RunState.REVISION_REQUESTED) | bit(RunState.REJECTED));
        legal |= edges(RunState.REVISION_REQUESTED, bit(RunState.SUBMITTED) | bit(RunState.REJECTED));
        assertEq(handler.edges() & ~legal, 0);
    }

    function holdsMoney(RunState state) private pure returns (bool) {
        return state == RunState.OPEN || state == RunState.CLAIMED || state == RunState.IN_PROGRESS || state == RunState.SUBMITTED
            || state == RunState.REVISION_REQUESTED;
    }

    function edges(RunState from, uint256 to) private pure returns (uint256) {
        return to << (16 * uint256(from));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { AgentStake } from "../../src/AgentStake.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { ForeignRegistry } from "../mocks/ForeignRegistry.sol";

/// @notice claim
/// ├── paused: refused
/// ├── unknown run: refused
/// ├── any state but OPEN: refused
/// ├── at the deadline or later: refused
/// ├── the terms are not those expected: refused
/// ├── the caller is the poster: refused
/// ├── agent id beyond 48 bits, or unknown: refused
/// ├── the caller is neither the agent's owner nor its agent wallet: refused
/// ├── UNVERIFIED, FROZEN or BANNED: refused
/// ├── the free stake does not cover the stake at risk: refused
/// └── otherwise: CLAIMED, caller recorded, stake committed, due one timeout later
contract ClaimTest is ClawPayTest {
    function test_claim_recordsTheCallerCommitsStakeAndSetsTheDueDate() public {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunClaimed(runId, agentId, wallet, AT_RISK, START + WEEK);
        vm.prank(wallet);
        escrow.claim(runId, agentId, terms);

        IRunEscrow.Run memory run = escrow.getRun(runId);
        assertEq(uint256(run.state), uint256(RunState.CLAIMED));
        assertEq(run.agentId, agentId);
        assertEq(run.wallet, wallet);
        assertEq(run.dueAt, START + WEEK);
        assertEq(run.reviewBy, 0);
        assertEq(run.revisions, 0);
        assertEq(escrow.termsOf(runId), terms, "a claim changes no terms");

        IAgentStake.Agent memory agent = agentStake.getAgent(agentId);
        assertEq(agent.runsInHand, 1);
        assertEq(agent.committed, AT_RISK);
        assertEq(agent.free, AGENT_STAKE - AT_RISK);
        assertEq(agent.stake, AGENT_STAKE);
    }

    function test_claim_isPossibleUntilTheSecondBeforeTheDeadline() public {
        uint256 runId = openRun();
        uint256 deadline = escrow.getRun(runId).deadline;
        uint256 snapshot = vm.snapshotState();
        vm.warp(deadline - 1);
        claim(runId);
        assertEq(escrow.getRun(runId).dueAt, deadline - 1 + WEEK, "the timeout counts from the claim, not from the deadline");
        vm.revertToState(snapshot);

        bytes4 fault = IRunEscrow.RunEscrow_DeadlinePassed.selector;
        vm.warp(deadline);
        assertRefused(wallet, claimCall(runId), abi.encodeWithSelector(fault, runId, deadline, deadline));
        vm.warp(deadline + 1);
        assertRefused(wallet, claimCall(runId), abi.encodeWithSelector(fault, runId, deadline, deadline + 1));
    }

    function test_claim_isRefusedInEveryStateButOpen() public {
        assertRefusedOutside(bit(RunState.OPEN), wallet, claimCall);
    }

    function test_claim_isRefusedOnOtherTermsThanExpected() public {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        assertRefused(
            wallet,
            abi.encodeCall(escrow.claim, (runId, agentId, terms ^ 1)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_TermsChanged.selector, runId, terms ^ 1, terms)
        );
    }

    function test_claim_bindsEveryTerm() public {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        uint256 deadline = claimDeadline();
        vm.startPrank(poster);
        assertNotEq(escrow.termsOf(escrow.createAndFund(REWARD - 1, deadline, 3, CONTENT)), terms, "reward");
        assertNotEq(escrow.termsOf(escrow.createAndFund(REWARD, deadline - 1, 3, CONTENT)), terms, "deadline");
        assertNotEq(escrow.termsOf(escrow.createAndFund(REWARD, deadline, 2, CONTENT)), terms, "maxRevisions");
        vm.stopPrank();
        vm.prank(stranger);
        assertNotEq(escrow.termsOf(escrow.createAndFund(REWARD, deadline, 3, CONTENT)), terms, "poster");
    }

    function test_claim_isRefusedToThePoster() public {
        uint256 postersAgent = registerAgent(poster);
        stakeFor(postersAgent, poster, AGENT_STAKE);
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        assertRefused(
            poster,
            abi.encodeCall(escrow.claim, (runId, postersAgent, terms)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_PosterCannotClaim.selector, runId, poster)
        );
    }

    function test_claim_isForTheAgentsOwnerOrItsWalletAlone() public {
        uint256 runId = openRun();
        assertRefused(stranger, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, agentId, stranger));
        vm.startPrank(wallet);
        registry.approve(stranger, agentId);
        registry.setApprovalForAll(stranger, true);
        vm.stopPrank();
        assertRefused(stranger, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, agentId, stranger));
    }

    function test_claim_byTheAgentWalletRecordsThatWallet() public {
        (address hot, uint256 key) = makeAddrAndKey("hot wallet");
        setAgentWallet(agentId, wallet, hot, key);
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        vm.prank(hot);
        escrow.claim(runId, agentId, terms);
        assertEq(escrow.getRun(runId).wallet, hot);
    }

    function test_claim_isLostToTheOldOwnerOnceTheAgentMoved() public {
        uint256 runId = openRun();
        vm.prank(wallet);
        registry.transferFrom(wallet, stranger, agentId);
        assertRefused(wallet, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, agentId, wallet));
        uint256 terms = escrow.termsOf(runId);
        vm.prank(stranger);
        escrow.claim(runId, agentId, terms);
        assertEq(escrow.getRun(runId).wallet, stranger);
    }

    function test_claim_isRefusedForUnknownAgentsAndIdsBeyond48Bits() public {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        assertRefused(
            wallet,
            abi.encodeCall(escrow.claim, (runId, 77, terms)),
            abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 77)
        );
        uint256 tooLarge = 2 ** 48 + agentId; // its low 48 bits are a staked agent's
        assertRefused(
            wallet,
            abi.encodeCall(escrow.claim, (runId, tooLarge, terms)),
            abi.encodeWithSelector(IAgentStake.AgentStake_AgentIdOutOfRange.selector, tooLarge, 2 ** 48 - 1)
        );
    }

    function test_claim_reachesTheLastIdOf48Bits() public {
        ForeignRegistry foreign = new ForeignRegistry();
        uint256 last = 2 ** 48 - 1;
        foreign.set(last, wallet, address(0));
        (agentStake, escrow) = deployPair(address(usdc), address(foreign));
        fundAndApprove(poster);
        fundAndApprove(wallet);
        stakeFor(last, wallet, MINIMUM_STAKE);
        uint256 runId = openRun();
        claimFor(last, runId);
        assertEq(escrow.getRun(runId).agentId, last);
    }

    function test_claim_isRefusedToUnverifiedFrozenAndBannedAgents() public {
        uint256 newcomer = registerAgent(wallet);
        assertNotEligible(newcomer, AgentStatus.UNVERIFIED);
        stakeFor(newcomer, wallet, MINIMUM_STAKE - 1);
        assertNotEligible(newcomer, AgentStatus.UNVERIFIED);

        slashedRun();
        assertNotEligible(agentId, AgentStatus.FROZEN);
        stakeFor(agentId, wallet, AT_RISK);
        slashedRun();
        stakeFor(agentId, wallet, AT_RISK);
        slashedRun();
        assertNotEligible(agentId, AgentStatus.BANNED);
        stakeFor(agentId, wallet, AGENT_STAKE);
        assertNotEligible(agentId, AgentStatus.BANNED);
    }

    function test_claim_lets20UsdcHoldTwoRunsAtOnce() public {
        uint256 newcomer = registerAgent(wallet);
        stakeFor(newcomer, wallet, MINIMUM_STAKE);
        claimFor(newcomer, openRun());
        uint256 second = openRun();
        claimFor(newcomer, second);

        uint256 third = openRun();
        uint256 terms = escrow.termsOf(third);
        assertRefused(
            wallet,
            abi.encodeCall(escrow.claim, (third, newcomer, terms)),
            abi.encodeWithSelector(IAgentStake.AgentStake_StakeCommitted.selector, newcomer, 0, AT_RISK)
        );
        submit(second);
        approve(second);
        claimFor(newcomer, third);
    }

    function test_claim_needsTheWholeStakeAtRiskFree() public {
        uint256 newcomer = registerAgent(wallet);
        stakeFor(newcomer, wallet, MINIMUM_STAKE + AT_RISK - 1);
        claimFor(newcomer, openRun());
        claimFor(newcomer, openRun());
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        assertRefused(
            wallet,
            abi.encodeCall(escrow.claim, (runId, newcomer, terms)),
            abi.encodeWithSelector(IAgentStake.AgentStake_StakeCommitted.selector, newcomer, AT_RISK - 1, AT_RISK)
        );
        stakeFor(newcomer, wallet, 1);
        claimFor(newcomer, runId);
    }

    function test_claim_namesTheFirstFaultInOrder() public {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        bytes memory wrongTerms = abi.encodeCall(escrow.claim, (runId, 77, 0));
        bytes memory rightTerms = abi.encodeCall(escrow.claim, (runId, 77, terms));
        assertRefused(poster, rightTerms, abi.encodeWithSelector(IRunEscrow.RunEscrow_PosterCannotClaim.selector, runId, poster));
        assertRefused(poster, wrongTerms, abi.encodeWithSelector(IRunEscrow.RunEscrow_TermsChanged.selector, runId, 0, terms));
        uint256 deadline = escrow.getRun(runId).deadline;
        vm.warp(deadline);
        assertRefused(poster, wrongTerms, abi.encodeWithSelector(IRunEscrow.RunEscrow_DeadlinePassed.selector, runId, deadline, deadline));
        vm.prank(poster);
        escrow.cancel(runId);
        assertRefused(
            poster,
            wrongTerms,
            abi.encodeWithSelector(IRunEscrow.RunEscrow_WrongState.selector, runId, RunState.CANCELLED, bit(RunState.OPEN))
        );
        bytes memory unknown = abi.encodeCall(escrow.claim, (99, 77, 0));
        assertRefused(poster, unknown, abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 99));
        vm.prank(owner);
        escrow.pause();
        assertRefused(poster, unknown, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
    }

    function test_claim_worksForAgentZeroOfAForeignRegistry() public {
        ForeignRegistry foreign = new ForeignRegistry();
        foreign.set(0, wallet, address(0));
        (agentStake, escrow) = deployPair(address(usdc), address(foreign));
        fundAndApprove(poster);
        fundAndApprove(wallet);
        stakeFor(0, wallet, AGENT_STAKE);
        uint256 runId = openRun();
        claimFor(0, runId);
        assertState(runId, RunState.CLAIMED);
        assertEq(escrow.getRun(runId).agentId, 0);
        submit(runId);
        approve(runId);
        assertEq(agentStake.getAgent(0).completions, 1);
    }

    function assertNotEligible(uint256 id, AgentStatus status) private {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        assertEq(uint256(agentStake.statusOf(id)), uint256(status));
        assertRefused(
            wallet,
            abi.encodeCall(escrow.claim, (runId, id, terms)),
            abi.encodeWithSelector(IAgentStake.AgentStake_NotEligible.selector, id, status)
        );
    }

    function claimFor(uint256 id, uint256 runId) private {
        uint256 terms = escrow.termsOf(runId);
        vm.prank(wallet);
        escrow.claim(runId, id, terms);
    }

    function claimCall(uint256 runId) private view returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.claim, (runId, agentId, escrow.termsOf(runId)));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IAgentStake, AgentStatus } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";
import { IndependentRegistry } from "../mocks/IndependentRegistry.sol";

/// @notice the market over a foreign ERC-8004 registry, with agent 0 in it
/// ├── stake: agent 0 like any other; unknown or burned agent: refused in the registry's words
/// ├── claim
/// │   ├── owner: its wallet until the token moves
/// │   ├── agent wallet, once it agreed: like the owner
/// │   ├── approved or operator, old owner, old agent wallet, unknown agent, zero caller: refused
/// │   └── new owner: at once
/// ├── a run in hand
/// │   ├── delivered and paid to the wallet that claimed, though the token moved
/// │   ├── delivered by the new owner, paid to the wallet that claimed
/// │   ├── revised, rejected: stake released
/// │   ├── slashed: from agent 0's stake, FROZEN, thawed by staking again
/// │   └── the agent burned meanwhile: slashed all the same
/// └── unstake: to the current owner alone; nothing of a burned agent
contract ForeignIdentityTest is Signing {
    IndependentRegistry private identities;
    address private hot;
    uint256 private hotKey;

    function setUp() public override {
        super.setUp();
        (hot, hotKey) = makeAddrAndKey("hot wallet");
        identities = new IndependentRegistry();
        (agentStake, escrow) = deployPair(address(usdc), address(identities));
        vm.prank(wallet);
        agentId = identities.register(CONTENT);
        fundAndApprove(poster);
        fundAndApprove(wallet);
        fundAndApprove(stranger);
        stakeFor(agentId, wallet, AGENT_STAKE);
    }

    function test_foreign_agentZeroStakesLikeAnyOther() public {
        assertEq(agentId, 0);
        assertEq(agentStake.agentRegistry(), address(identities));
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(0, stranger, 1, AGENT_STAKE + 1, 0);
        stakeFor(0, stranger, 1);
        IAgentStake.Agent memory agent = agentStake.getAgent(0);
        assertEq(agent.stake, AGENT_STAKE + 1);
        assertEq(uint256(agent.status), uint256(AgentStatus.PROVISIONAL));
        assertTrue(agentStake.isAgent(0, wallet));
    }

    function test_foreign_unknownAgentsAreRefusedInTheRegistrysWords() public {
        bytes memory unknown = abi.encodeWithSelector(IndependentRegistry.NoSuchAgent.selector, 1);
        assertRefusedBy(address(agentStake), wallet, abi.encodeCall(agentStake.stake, (1, 1)), unknown);
        assertRefusedBy(address(agentStake), wallet, abi.encodeCall(agentStake.unstake, (1, 1)), unknown);
        assertRefusedBy(address(agentStake), wallet, abi.encodeCall(agentStake.isAgent, (1, wallet)), unknown);
        uint256 runId = openRun();
        assertRefused(wallet, abi.encodeCall(escrow.claim, (runId, 1, escrow.termsOf(runId))), unknown);
        assertEq(uint256(agentStake.statusOf(1)), uint256(AgentStatus.UNVERIFIED));

        vm.prank(wallet);
        identities.burn(0);
        bytes memory burned = abi.encodeWithSelector(IndependentRegistry.NoSuchAgent.selector, 0);
        assertRefused(wallet, claimCall(runId), burned);
        assertRefusedBy(address(agentStake), wallet, abi.encodeCall(agentStake.unstake, (0, 1)), burned);
        assertRefusedBy(address(agentStake), wallet, abi.encodeCall(agentStake.stake, (0, 1)), burned);
    }

    function test_foreign_claimByTheOwner() public {
        uint256 runId = openRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunClaimed(runId, 0, wallet, AT_RISK, START + WEEK);
        claim(runId);
        IRunEscrow.Run memory run = escrow.getRun(runId);
        assertEq(uint256(run.state), uint256(RunState.CLAIMED));
        assertEq(run.agentId, 0);
        assertEq(run.wallet, wallet);
        assertEq(agentStake.getAgent(0).committed, AT_RISK);
    }

    function test_foreign_claimByTheAgentWalletOnceItAgreed() public {
        uint256 runId = openRun();
        assertRefused(hot, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, 0, hot));
        agreeToHotWallet();
        uint256 terms = escrow.termsOf(runId);
        vm.prank(hot);
        escrow.claim(runId, 0, terms);
        assertEq(escrow.getRun(runId).wallet, hot);
        vm.prank(hot);
        escrow.submit(runId, DELIVERABLE);
        approve(runId);
        assertEq(usdc.balanceOf(hot), REWARD);
    }

    function test_foreign_theOwnerActsWithAndWithoutAnAgentWallet() public {
        vm.prank(wallet);
        identities.unsetAgentWallet(0);
        assertEq(identities.getAgentWallet(0), address(0));
        assertTrue(agentStake.isAgent(0, wallet));
        assertFalse(agentStake.isAgent(0, address(0)), "an unset wallet is nobody");
        claimedRun();
    }

    function test_foreign_approvalsGrantNothing() public {
        uint256 runId = openRun();
        vm.startPrank(wallet);
        identities.approve(stranger, 0);
        identities.setApprovalForAll(stranger, true);
        vm.stopPrank();
        assertRefused(stranger, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, 0, stranger));
        assertRefusedBy(
            address(agentStake),
            stranger,
            abi.encodeCall(agentStake.unstake, (0, 1)),
            abi.encodeWithSelector(IAgentStake.AgentStake_NotOwner.selector, 0, stranger, wallet)
        );
    }

    function test_foreign_aTransferMovesTheAgentAtOnceAndItsOldWalletsWithIt() public {
        agreeToHotWallet();
        uint256 runId = openRun();
        moveAgentTo(stranger);
        assertRefused(wallet, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, 0, wallet));
        assertRefused(hot, claimCall(runId), abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, 0, hot));
        uint256 terms = escrow.termsOf(runId);
        vm.prank(stranger);
        escrow.claim(runId, 0, terms);
        assertEq(escrow.getRun(runId).wallet, stranger);

        assertRefusedBy(
            address(agentStake),
            wallet,
            abi.encodeCall(agentStake.unstake, (0, 1)),
            abi.encodeWithSelector(IAgentStake.AgentStake_NotOwner.selector, 0, wallet, stranger)
        );
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Unstaked(0, stranger, AGENT_STAKE - MINIMUM_STAKE, MINIMUM_STAKE);
        vm.prank(stranger);
        agentStake.unstake(0, AGENT_STAKE - MINIMUM_STAKE);
    }

    function test_foreign_whoClaimedIsPaidThoughTheAgentMoved() public {
        uint256 runId = claimedRun();
        moveAgentTo(stranger);
        uint256 before = usdc.balanceOf(wallet);
        vm.prank(wallet);
        escrow.start(runId);
        vm.prank(stranger);
        escrow.submit(runId, DELIVERABLE);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunApproved(runId, 0, wallet, REWARD, FEE);
        approve(runId);
        assertEq(usdc.balanceOf(wallet) - before, REWARD);
        assertEq(agentStake.getAgent(0).completions, 1);
        assertEq(agentStake.getAgent(0).committed, 0);
    }

    function test_foreign_strangersDeliverNothing() public {
        uint256 runId = claimedRun();
        assertRefused(
            stranger,
            abi.encodeCall(escrow.submit, (runId, DELIVERABLE)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_NotRunAgent.selector, runId, stranger, wallet)
        );
    }

    function test_foreign_wholeLifecycleWithARevisionAndARejection() public {
        uint256 runId = openRun(1);
        claim(runId);
        vm.prank(wallet);
        escrow.start(runId);
        submit(runId);
        requestRevision(runId);
        skip(1);
        submit(runId);
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        uint256 before = usdc.balanceOf(poster);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunRejected(runId, 0, REWARD + FEE);
        vm.prank(poster);
        escrow.reject(runId, reviewBy);
        assertEq(usdc.balanceOf(poster) - before, REWARD + FEE);
        IAgentStake.Agent memory agent = agentStake.getAgent(0);
        assertEq(agent.stake, AGENT_STAKE);
        assertEq(agent.committed, 0);
        assertEq(agent.completions, 0);
    }

    function test_foreign_agentZeroIsSlashedFrozenAndThawed() public {
        uint256 runId = claimedRun();
        skip(WEEK);
        uint256 before = usdc.balanceOf(poster);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunSlashed(runId, 0, REWARD + FEE, AT_RISK);
        vm.prank(poster);
        escrow.slash(runId);
        assertEq(usdc.balanceOf(poster) - before, REWARD + FEE + AT_RISK);
        IAgentStake.Agent memory agent = agentStake.getAgent(0);
        assertEq(agent.stake, AGENT_STAKE - AT_RISK);
        assertEq(agent.slashes, 1);
        assertEq(uint256(agent.status), uint256(AgentStatus.FROZEN));
        uint256 next = openRun();
        assertRefused(wallet, claimCall(next), abi.encodeWithSelector(IAgentStake.AgentStake_NotEligible.selector, 0, AgentStatus.FROZEN));
        stakeFor(0, stranger, AT_RISK);
        claim(next);
        assertState(next, RunState.CLAIMED);
    }

    function test_foreign_aBurnedAgentIsSlashedAllTheSame() public {
        uint256 runId = claimedRun();
        vm.prank(wallet);
        identities.burn(0);
        skip(WEEK);
        vm.prank(poster);
        escrow.slash(runId);
        assertState(runId, RunState.SLASHED);
        assertEq(agentStake.getAgent(0).stake, AGENT_STAKE - AT_RISK);
    }

    function test_foreign_aBurnedAgentsWalletStillDeliversAndIsPaid() public {
        uint256 runId = claimedRun();
        vm.prank(wallet);
        identities.burn(0);
        submit(runId);
        uint256 before = usdc.balanceOf(wallet);
        approve(runId);
        assertEq(usdc.balanceOf(wallet) - before, REWARD);
    }

    /// @dev The registry is worth its name only if it keeps to the standard where the market relies on it.
    function test_foreign_theRegistryItselfKeepsToTheStandard() public {
        IndependentRegistry.MetadataEntry[] memory entries = new IndependentRegistry.MetadataEntry[](1);
        entries[0] = IndependentRegistry.MetadataEntry("skill", "solidity");
        vm.startPrank(stranger);
        uint256 second = identities.register(CONTENT, entries);
        assertEq(second, 1);
        assertEq(identities.getMetadata(second, "skill"), "solidity");
        assertEq(identities.getMetadata(second, "agentWallet"), abi.encodePacked(stranger));
        assertEq(identities.tokenURI(second), CONTENT);
        identities.setAgentURI(second, "ipfs://new");
        assertEq(identities.tokenURI(second), "ipfs://new");
        vm.expectRevert(IndependentRegistry.WalletKeyIsReserved.selector);
        identities.setMetadata(second, "agentWallet", abi.encodePacked(wallet));
        identities.safeTransferFrom(stranger, wallet, second);
        vm.stopPrank();
        assertEq(identities.balanceOf(wallet), 2);
        assertEq(identities.getAgentWallet(second), address(0));
        assertTrue(identities.supportsInterface(0x80ac58cd));
        vm.expectRevert(abi.encodeWithSelector(IndependentRegistry.NotYours.selector, second, stranger));
        vm.prank(stranger);
        identities.transferFrom(wallet, stranger, second);

        bytes memory forAnother = sign(hotKey, consent(second, hot, wallet, START));
        vm.expectRevert(abi.encodeWithSelector(IndependentRegistry.ConsentMissing.selector, hot));
        vm.prank(wallet);
        identities.setAgentWallet(0, hot, START, forAnother);
        vm.expectRevert(abi.encodeWithSelector(IndependentRegistry.ConsentOverdue.selector, START - 1));
        vm.prank(wallet);
        identities.setAgentWallet(0, hot, START - 1, forAnother);
    }

    function agreeToHotWallet() private {
        bytes memory signature = sign(hotKey, consent(0, hot, wallet, START));
        vm.prank(wallet);
        identities.setAgentWallet(0, hot, START, signature);
    }

    function consent(uint256 id, address newWallet, address agentOwner, uint256 deadline) private view returns (bytes32) {
        bytes32 type_ = keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
        return keccak256(
            abi.encodePacked(
                hex"1901",
                domainSeparator("IndependentRegistry", "7", address(identities)),
                keccak256(abi.encode(type_, id, newWallet, agentOwner, deadline))
            )
        );
    }

    function moveAgentTo(address to) private {
        vm.prank(wallet);
        identities.transferFrom(wallet, to, 0);
    }

    function claimCall(uint256 runId) private view returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.claim, (runId, 0, escrow.termsOf(runId)));
    }
}

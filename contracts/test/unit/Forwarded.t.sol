// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";

/// @notice every verb through the forwarder, signed by its caller and sent by an account without a part in it
/// ├── poster: create, fund, createAndFund, cancel, requestRevision, approve, reject, slash, and the variants with a permit
/// ├── agent: register, its metadata, URI, wallet and transfers, stake, unstake, claim, start, submit
/// ├── anyone: finalize, payCredit, collectFees, and the variants with an authorization
/// ├── owner: pause, unpause, setTreasury, the two steps of a transfer of ownership
/// └── in each case the signer is recorded, pays and is paid; the sender and the forwarder are no party
contract ForwardedTest is Signing {
    address private relayer = makeAddr("relayer");

    function test_forwarded_createAndFundAreThePosters() public {
        bytes memory create = abi.encodeCall(IRunEscrow.create, (REWARD, claimDeadline(), 3, CONTENT));
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCreated(1, poster, REWARD, FEE, claimDeadline(), 3, CONTENT);
        vm.expectEmit(address(forwarder));
        emit ERC2771Forwarder.ExecutedForwardRequest(poster, 0, true);
        relay("poster", address(escrow), create);
        assertEq(escrow.getRun(1).poster, poster);
        assertState(1, RunState.DRAFT);

        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.fund, (1)));
        assertState(1, RunState.OPEN);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);

        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.cancel, (1)));
        assertState(1, RunState.CANCELLED);
        assertEq(usdc.balanceOf(poster), FUNDS);
        assertEq(forwarder.nonces(poster), 3);
    }

    function test_forwarded_createAndFundIsThePosters() public {
        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.createAndFund, (REWARD, claimDeadline(), 3, CONTENT)));
        assertEq(escrow.getRun(1).poster, poster);
        assertState(1, RunState.OPEN);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
    }

    function test_forwarded_permitsNeedNoEtherAtAll() public {
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
        ICustody.Permit memory p = permitFor(keyOf("poster"), poster, address(escrow), REWARD + FEE);
        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, p)));
        assertEq(escrow.getRun(1).poster, poster);

        uint256 runId = draftRun();
        p = permitFor(keyOf("poster"), poster, address(escrow), REWARD + FEE);
        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.fundWithPermit, (runId, p)));
        assertState(runId, RunState.OPEN);
        assertEq(usdc.balanceOf(poster), FUNDS - 2 * (REWARD + FEE));

        vm.prank(wallet);
        usdc.approve(address(agentStake), 0);
        p = permitFor(keyOf("wallet"), wallet, address(agentStake), AT_RISK);
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(agentId, wallet, AT_RISK, AGENT_STAKE + AT_RISK, 0);
        relay("wallet", address(agentStake), abi.encodeCall(IAgentStake.stakeWithPermit, (agentId, AT_RISK, p)));
    }

    function test_forwarded_claimStartAndSubmitAreTheAgents() public {
        uint256 runId = openRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunClaimed(runId, agentId, wallet, AT_RISK, START + WEEK);
        relay("wallet", address(escrow), abi.encodeCall(IRunEscrow.claim, (runId, agentId, escrow.termsOf(runId))));
        assertEq(escrow.getRun(runId).wallet, wallet);
        relay("wallet", address(escrow), abi.encodeCall(IRunEscrow.start, (runId)));
        assertState(runId, RunState.IN_PROGRESS);
        relay("wallet", address(escrow), abi.encodeCall(IRunEscrow.submit, (runId, DELIVERABLE)));
        assertState(runId, RunState.SUBMITTED);

        uint256 before = usdc.balanceOf(wallet);
        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.approve, (runId, START + WEEK)));
        assertState(runId, RunState.APPROVED);
        assertEq(usdc.balanceOf(wallet) - before, REWARD);
    }

    function test_forwarded_requestRevisionAndRejectAreThePosters() public {
        uint256 runId = openRun(1);
        claim(runId);
        submit(runId);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RevisionRequested(runId, 1, START + WEEK, FEEDBACK);
        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.requestRevision, (runId, START + WEEK, FEEDBACK)));
        submit(runId);
        relay("poster", address(escrow), abi.encodeCall(IRunEscrow.reject, (runId, START + WEEK)));
        assertState(runId, RunState.REJECTED);
        assertEq(usdc.balanceOf(poster), FUNDS);
    }

    function test_forwarded_slashIsThePostersFromTheFirstSecond() public {
        uint256 runId = claimedRun();
        skip(WEEK);
        bytes memory slash = abi.encodeCall(IRunEscrow.slash, (runId));
        bytes memory early = abi.encodeWithSelector(IRunEscrow.RunEscrow_TooEarly.selector, runId, START + 2 * WEEK, START + WEEK);
        assertRefusedBy(address(escrow), address(forwarder), abi.encodePacked(slash, stranger), early);
        relay("poster", address(escrow), slash);
        assertState(runId, RunState.SLASHED);
        assertEq(usdc.balanceOf(poster), FUNDS + AT_RISK);
    }

    function test_forwarded_whatIsAnyonesIsAnyones() public {
        uint256 approved = submittedRun();
        skip(WEEK);
        relay("stranger", address(escrow), abi.encodeCall(IRunEscrow.finalize, (approved)));
        assertState(approved, RunState.APPROVED);
        relay("stranger", address(escrow), abi.encodeCall(IRunEscrow.collectFees, ()));
        assertEq(usdc.balanceOf(treasury), FEE);

        uint256 slashed = claimedRun();
        skip(WEEK);
        usdc.blacklist(poster);
        vm.prank(poster);
        escrow.slash(slashed);
        usdc.unBlacklist(poster);
        uint256 before = usdc.balanceOf(poster);
        vm.expectEmit(address(escrow));
        emit ICustody.CreditPaid(poster, REWARD + FEE);
        relay("stranger", address(escrow), abi.encodeCall(ICustody.payCredit, (poster)));
        vm.expectEmit(address(agentStake));
        emit ICustody.CreditPaid(poster, AT_RISK);
        relay("stranger", address(agentStake), abi.encodeCall(ICustody.payCredit, (poster)));
        assertEq(usdc.balanceOf(poster) - before, REWARD + FEE + AT_RISK);
    }

    function test_forwarded_authorizationsTakeTheirSignersMoneyNotTheRequests() public {
        Offer memory offer = standardOffer();
        bytes32 nonce = createAndFundNonce(poster, offer, SALT);
        ICustody.Authorization memory a = authorize(keyOf("poster"), termsFor(poster, address(escrow), REWARD + FEE, nonce), SALT);
        relay(
            "stranger",
            address(escrow),
            abi.encodeCall(IRunEscrow.createAndFundWithAuthorization, (poster, REWARD, offer.deadline, 3, CONTENT, a))
        );
        assertEq(escrow.getRun(1).poster, poster);

        uint256 runId = draftRun();
        nonce = fundNonce(poster, runId, offer, SALT);
        a = authorize(keyOf("poster"), termsFor(poster, address(escrow), REWARD + FEE, nonce), SALT);
        relay("stranger", address(escrow), abi.encodeCall(IRunEscrow.fundWithAuthorization, (runId, a)));
        assertState(runId, RunState.OPEN);

        nonce = stakeNonce(poster, agentId, 1, SALT);
        a = authorize(keyOf("poster"), termsFor(poster, address(agentStake), 1, nonce), SALT);
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(agentId, poster, 1, AGENT_STAKE + 1, 0);
        relay("stranger", address(agentStake), abi.encodeCall(IAgentStake.stakeWithAuthorization, (poster, agentId, 1, a)));
        assertEq(usdc.balanceOf(stranger), FUNDS);
    }

    function test_forwarded_stakeAndUnstakeAreTheSigners() public {
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(agentId, stranger, MINIMUM_STAKE, AGENT_STAKE + MINIMUM_STAKE, 0);
        relay("stranger", address(agentStake), abi.encodeCall(IAgentStake.stake, (agentId, MINIMUM_STAKE)));
        assertEq(usdc.balanceOf(stranger), FUNDS - MINIMUM_STAKE);

        vm.expectEmit(address(agentStake));
        emit IAgentStake.Unstaked(agentId, wallet, MINIMUM_STAKE, AGENT_STAKE);
        relay("wallet", address(agentStake), abi.encodeCall(IAgentStake.unstake, (agentId, MINIMUM_STAKE)));
        assertEq(usdc.balanceOf(wallet), FUNDS - AGENT_STAKE + MINIMUM_STAKE);
    }

    function test_forwarded_registerIsTheSigners() public {
        address newcomer = makeAddr("newcomer");
        relay("newcomer", address(registry), abi.encodeWithSignature("register()"));
        relay("newcomer", address(registry), abi.encodeWithSignature("register(string)", CONTENT));
        IAgentRegistry.MetadataEntry[] memory entries = new IAgentRegistry.MetadataEntry[](1);
        entries[0] = IAgentRegistry.MetadataEntry("skill", "solidity");
        vm.expectEmit(address(registry));
        emit IAgentRegistry.Registered(agentId + 3, CONTENT, newcomer);
        relay("newcomer", address(registry), abi.encodeWithSignature("register(string,(string,bytes)[])", CONTENT, entries));
        for (uint256 id = agentId + 1; id <= agentId + 3; ++id) {
            assertEq(registry.ownerOf(id), newcomer);
            assertEq(registry.getAgentWallet(id), newcomer);
        }
        assertEq(registry.tokenURI(agentId + 2), CONTENT);
        assertEq(registry.getMetadata(agentId + 3, "skill"), "solidity");
    }

    function test_forwarded_theAgentsFactsAreItsOwners() public {
        vm.expectEmit(address(registry));
        emit IAgentRegistry.URIUpdated(agentId, "ipfs://new", wallet);
        relay("wallet", address(registry), abi.encodeCall(IAgentRegistry.setAgentURI, (agentId, "ipfs://new")));
        relay("wallet", address(registry), abi.encodeCall(IAgentRegistry.setMetadata, (agentId, "skill", "solidity")));
        assertEq(registry.getMetadata(agentId, "skill"), "solidity");

        address hot = makeAddr("hot wallet");
        bytes memory consent = signConsent(agentId, hot, wallet, START, keyOf("hot wallet"));
        relay("wallet", address(registry), abi.encodeCall(IAgentRegistry.setAgentWallet, (agentId, hot, START, consent)));
        assertEq(registry.getAgentWallet(agentId), hot);
        relay("wallet", address(registry), abi.encodeCall(IAgentRegistry.unsetAgentWallet, (agentId)));
        assertEq(registry.getAgentWallet(agentId), address(0));
    }

    function test_forwarded_transfersOfTheAgentAreItsOwners() public {
        relay("wallet", address(registry), abi.encodeWithSignature("approve(address,uint256)", stranger, agentId));
        assertEq(registry.getApproved(agentId), stranger);
        relay("stranger", address(registry), abi.encodeCall(IAgentRegistry.setAgentURI, (agentId, "ipfs://by the approved")));
        relay("wallet", address(registry), abi.encodeWithSignature("setApprovalForAll(address,bool)", poster, true));
        assertTrue(registry.isApprovedForAll(wallet, poster));
        relay("poster", address(registry), abi.encodeWithSignature("transferFrom(address,address,uint256)", wallet, stranger, agentId));
        assertEq(registry.ownerOf(agentId), stranger);
        relay(
            "stranger", address(registry), abi.encodeWithSignature("safeTransferFrom(address,address,uint256)", stranger, wallet, agentId)
        );
        relay(
            "wallet",
            address(registry),
            abi.encodeWithSignature("safeTransferFrom(address,address,uint256,bytes)", wallet, poster, agentId, bytes("x"))
        );
        assertEq(registry.ownerOf(agentId), poster);
    }

    function test_forwarded_theOwnersVerbsAreTheOwners() public {
        relay("owner", address(escrow), abi.encodeWithSignature("pause()"));
        assertTrue(escrow.paused());
        relay("owner", address(escrow), abi.encodeWithSignature("unpause()"));
        assertFalse(escrow.paused());
        address chest = makeAddr("chest");
        relay("owner", address(escrow), abi.encodeCall(IRunEscrow.setTreasury, (chest)));
        assertEq(escrow.treasury(), chest);
        relay("owner", address(escrow), abi.encodeWithSignature("transferOwnership(address)", stranger));
        relay("stranger", address(escrow), abi.encodeWithSignature("acceptOwnership()"));
        assertEq(escrow.owner(), stranger);
    }

    function test_forwarded_aBatchCarriesSeveralSigners() public {
        uint256 runId = openRun();
        ERC2771Forwarder.ForwardRequestData[] memory requests = new ERC2771Forwarder.ForwardRequestData[](3);
        requests[0] = forwarded(
            keyOf("wallet"), wallet, address(escrow), abi.encodeCall(IRunEscrow.claim, (runId, agentId, escrow.termsOf(runId)))
        );
        requests[1] = forwarded(keyOf("stranger"), stranger, address(escrow), abi.encodeCall(IRunEscrow.cancel, (runId)));
        requests[2] = forwarded(keyOf("poster"), poster, address(agentStake), abi.encodeCall(IAgentStake.stake, (agentId, 1)));
        vm.expectEmit(address(forwarder));
        emit ERC2771Forwarder.ExecutedForwardRequest(wallet, 0, true);
        vm.expectEmit(address(forwarder));
        emit ERC2771Forwarder.ExecutedForwardRequest(stranger, 0, false);
        vm.expectEmit(address(forwarder));
        emit ERC2771Forwarder.ExecutedForwardRequest(poster, 0, true);
        vm.prank(relayer);
        forwarder.executeBatch(requests, payable(relayer));
        assertEq(escrow.getRun(runId).wallet, wallet);
        assertEq(agentStake.getAgent(agentId).stake, AGENT_STAKE + 1);
    }

    function test_forwarded_aWholeRunCostsItsPartiesNoEther() public {
        (address client, uint256 clientKey) = makeAddrAndKey("client");
        address worker = makeAddr("worker");
        usdc.mint(client, REWARD + FEE);
        usdc.mint(worker, MINIMUM_STAKE);
        relay("worker", address(registry), abi.encodeWithSignature("register(string)", CONTENT));
        uint256 id = registry.agentCount();
        ICustody.Permit memory p = permitFor(keyOf("worker"), worker, address(agentStake), MINIMUM_STAKE);
        relay("worker", address(agentStake), abi.encodeCall(IAgentStake.stakeWithPermit, (id, MINIMUM_STAKE, p)));
        p = permitFor(clientKey, client, address(escrow), REWARD + FEE);
        relay("client", address(escrow), abi.encodeCall(IRunEscrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, p)));
        uint256 runId = escrow.runCount();
        relay("worker", address(escrow), abi.encodeCall(IRunEscrow.claim, (runId, id, escrow.termsOf(runId))));
        relay("worker", address(escrow), abi.encodeCall(IRunEscrow.submit, (runId, DELIVERABLE)));
        relay("client", address(escrow), abi.encodeCall(IRunEscrow.approve, (runId, START + WEEK)));
        relay("worker", address(agentStake), abi.encodeCall(IAgentStake.unstake, (id, MINIMUM_STAKE)));
        assertEq(usdc.balanceOf(worker), REWARD + MINIMUM_STAKE);
        assertEq(usdc.balanceOf(client), 0);
        assertEq(client.balance + worker.balance, 0);
        assertEq(vm.getNonce(client) + vm.getNonce(worker), 0, "neither sent a transaction");
        assertEq(uint256(agentStake.statusOf(id)), uint256(AgentStatus.UNVERIFIED));
    }

    function relay(string memory signer, address to, bytes memory call) private {
        (address from, uint256 key) = makeAddrAndKey(signer);
        ERC2771Forwarder.ForwardRequestData memory request = forwarded(key, from, to, call);
        assertTrue(forwarder.verify(request));
        vm.prank(relayer);
        forwarder.execute(request);
    }
}

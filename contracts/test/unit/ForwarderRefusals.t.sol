// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";
import { Errors } from "@openzeppelin/contracts/utils/Errors.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";

/// @notice what the forwarder does not do
/// ├── request
/// │   ├── expired, sent before, signed by another or for another forwarder or chain: refused
/// │   ├── changed in its sender, target, value, gas, deadline or data: refused
/// │   ├── to a contract that does not trust it, the token included: refused
/// │   ├── refused by the contract: refused as a whole, and good for another time
/// │   └── with ether: refused, these contracts take none
/// ├── caller
/// │   ├── an address behind the calldata, without the forwarder: not believed
/// │   ├── the forwarder, with an address behind the calldata: believed, and refused like the caller itself
/// │   ├── the forwarder, with less than an address: the forwarder
/// │   └── another forwarder: not believed
/// └── commit, release and slash of the stake: the escrow's alone, whatever a request says
contract ForwarderRefusalsTest is Signing {
    uint256 private posterKey = keyOf("poster");
    address private relayer = makeAddr("relayer");

    function test_forwarder_isNamedAsSignersExpect() public view {
        (, string memory name, string memory version, uint256 chainId, address verifier,,) = forwarder.eip712Domain();
        assertEq(name, "ClawPay Runs");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifier, address(forwarder));
        assertTrue(escrow.isTrustedForwarder(address(forwarder)));
        assertTrue(agentStake.isTrustedForwarder(address(forwarder)));
        assertTrue(registry.isTrustedForwarder(address(forwarder)));
        assertFalse(escrow.isTrustedForwarder(address(escrow)));
    }

    function test_forwarder_takesARequestUntilItsDeadline() public {
        ERC2771Forwarder.ForwardRequestData memory request = cancellation();
        vm.warp(uint256(request.deadline) + 1);
        assertNotExecuted(request, abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderExpiredRequest.selector, request.deadline));
        vm.warp(request.deadline);
        vm.prank(relayer);
        forwarder.execute(request);
        assertState(1, RunState.CANCELLED);
    }

    function test_forwarder_takesARequestOnce() public {
        bytes memory stake = abi.encodeCall(IAgentStake.stake, (agentId, 1));
        ERC2771Forwarder.ForwardRequestData memory request = forwarded(posterKey, poster, address(agentStake), stake);
        vm.prank(relayer);
        forwarder.execute(request);
        assertInvalidSigner(request);
        assertEq(agentStake.getAgent(agentId).stake, AGENT_STAKE + 1);
    }

    function test_forwarder_takesARequestFromItsSignerAlone() public {
        openRun();
        bytes memory cancel = abi.encodeCall(IRunEscrow.cancel, (1));
        ERC2771Forwarder.ForwardRequestData memory request = forwarded(keyOf("stranger"), poster, address(escrow), cancel);
        assertNotExecuted(request, abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderInvalidSigner.selector, stranger, poster));
        request.signature = "";
        assertNotExecuted(request, abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderInvalidSigner.selector, address(0), poster));
        request = forwarded(posterKey, poster, address(escrow), cancel);
        request.signature = malleated(request.signature);
        assertNotExecuted(request, abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderInvalidSigner.selector, address(0), poster));
    }

    function test_forwarder_takesARequestAsItWasSigned() public {
        ERC2771Forwarder.ForwardRequestData memory request = cancellation();
        request.from = stranger;
        assertInvalidSigner(request);
        request = forwarded(posterKey, poster, address(escrow), request.data);
        request.to = address(agentStake);
        assertInvalidSigner(request);
        request = forwarded(posterKey, poster, address(escrow), request.data);
        request.gas += 1;
        assertInvalidSigner(request);
        request = forwarded(posterKey, poster, address(escrow), request.data);
        request.deadline += 1;
        assertInvalidSigner(request);
        request = forwarded(posterKey, poster, address(escrow), request.data);
        request.data = abi.encodeCall(IRunEscrow.cancel, (2));
        assertInvalidSigner(request);
        request = forwarded(posterKey, poster, address(escrow), abi.encodeCall(IRunEscrow.cancel, (1)));
        vm.chainId(block.chainid + 1);
        assertInvalidSigner(request);
        assertState(1, RunState.OPEN);
    }

    function test_forwarder_takesNoRequestToWhatDoesNotTrustIt() public {
        ERC2771Forwarder other = new ERC2771Forwarder("ClawPay Runs");
        ERC2771Forwarder.ForwardRequestData memory request = cancellation();
        vm.expectRevert(abi.encodeWithSelector(ERC2771Forwarder.ERC2771UntrustfulTarget.selector, address(escrow), address(other)));
        vm.prank(relayer);
        other.execute(request);

        request = forwarded(posterKey, poster, address(usdc), abi.encodeCall(usdc.approve, (stranger, FUNDS)));
        assertNotExecuted(
            request, abi.encodeWithSelector(ERC2771Forwarder.ERC2771UntrustfulTarget.selector, address(usdc), address(forwarder))
        );
    }

    function test_forwarder_keepsARequestThatTheContractRefused() public {
        ERC2771Forwarder.ForwardRequestData memory request =
            forwarded(posterKey, poster, address(escrow), abi.encodeCall(IRunEscrow.cancel, (1)));
        assertNotExecuted(request, abi.encodeWithSelector(Errors.FailedCall.selector));
        assertEq(forwarder.nonces(poster), 0);
        openRun();
        vm.prank(relayer);
        forwarder.execute(request);
        assertState(1, RunState.CANCELLED);
    }

    function test_forwarder_bringsNoEther() public {
        openRun();
        ERC2771Forwarder.ForwardRequestData memory request =
            forwarded(posterKey, poster, address(escrow), abi.encodeCall(IRunEscrow.cancel, (1)));
        request.value = 1;
        request.signature = sign(posterKey, forwardDigest(request, 0));
        vm.deal(relayer, 1);
        vm.expectRevert(Errors.FailedCall.selector);
        vm.prank(relayer);
        forwarder.execute{ value: 1 }(request);
        assertEq(address(escrow).balance + address(forwarder).balance, 0);
    }

    function test_appendedAddress_isNotBelievedWithoutTheForwarder() public {
        uint256 open = openRun();
        uint256 terms = escrow.termsOf(open);
        assertRefused(
            stranger,
            abi.encodePacked(abi.encodeCall(IRunEscrow.cancel, (open)), poster),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, open, stranger, poster)
        );
        assertRefused(
            stranger,
            abi.encodePacked(abi.encodeCall(IRunEscrow.claim, (open, agentId, terms)), wallet),
            abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, agentId, stranger)
        );
        assertRefusedBy(
            address(agentStake),
            stranger,
            abi.encodePacked(abi.encodeCall(IAgentStake.unstake, (agentId, 1)), wallet),
            abi.encodeWithSelector(IAgentStake.AgentStake_NotOwner.selector, agentId, stranger, wallet)
        );
        assertRefusedBy(
            address(registry),
            stranger,
            abi.encodePacked(abi.encodeCall(IAgentRegistry.setAgentURI, (agentId, "x")), wallet),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_NotAuthorized.selector, agentId, stranger)
        );
        assertRefused(
            stranger,
            abi.encodePacked(abi.encodeWithSignature("pause()"), owner),
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger)
        );

        // Nor is it in the way of who is calling.
        send(poster, address(escrow), abi.encodePacked(abi.encodeCall(IRunEscrow.cancel, (open)), stranger));
        assertState(open, RunState.CANCELLED);
        send(stranger, address(agentStake), abi.encodePacked(abi.encodeCall(IAgentStake.stake, (agentId, 1)), poster));
        assertEq(usdc.balanceOf(poster), FUNDS);
        assertEq(usdc.balanceOf(stranger), FUNDS - 1);
    }

    function test_appendedAddress_byTheForwarderIsRefusedLikeTheCallerItself() public {
        uint256 open = openRun();
        uint256 terms = escrow.termsOf(open);
        address sender = stranger;
        assertForwardRefused(
            address(escrow),
            abi.encodeCall(IRunEscrow.cancel, (open)),
            sender,
            abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, open, sender, poster)
        );
        assertForwardRefused(
            address(escrow),
            abi.encodeCall(IRunEscrow.claim, (open, agentId, terms)),
            sender,
            abi.encodeWithSelector(IAgentStake.AgentStake_NotAgent.selector, agentId, sender)
        );
        assertForwardRefused(
            address(escrow),
            abi.encodeCall(IRunEscrow.claim, (open, agentId, terms)),
            poster,
            abi.encodeWithSelector(IRunEscrow.RunEscrow_PosterCannotClaim.selector, open, poster)
        );
        assertForwardRefused(
            address(agentStake),
            abi.encodeCall(IAgentStake.unstake, (agentId, 1)),
            sender,
            abi.encodeWithSelector(IAgentStake.AgentStake_NotOwner.selector, agentId, sender, wallet)
        );
        assertForwardRefused(
            address(registry),
            abi.encodeCall(IAgentRegistry.unsetAgentWallet, (agentId)),
            sender,
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_NotAuthorized.selector, agentId, sender)
        );
        bytes memory notOwner = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, sender);
        assertForwardRefused(address(escrow), abi.encodeWithSignature("pause()"), sender, notOwner);
        assertForwardRefused(address(escrow), abi.encodeWithSignature("unpause()"), sender, notOwner);
        assertForwardRefused(address(escrow), abi.encodeCall(IRunEscrow.setTreasury, (sender)), sender, notOwner);
        assertForwardRefused(address(escrow), abi.encodeWithSignature("transferOwnership(address)", sender), sender, notOwner);
        assertForwardRefused(address(escrow), abi.encodeWithSignature("acceptOwnership()"), sender, notOwner);
        assertForwardRefused(address(escrow), abi.encodeWithSignature("renounceOwnership()"), sender, notOwner);
    }

    function test_appendedAddress_byTheForwarderIsRefusedToStrangersOfARun() public {
        uint256 claimed = claimedRun();
        bytes memory notAgent = abi.encodeWithSelector(IRunEscrow.RunEscrow_NotRunAgent.selector, claimed, poster, wallet);
        assertForwardRefused(address(escrow), abi.encodeCall(IRunEscrow.start, (claimed)), poster, notAgent);
        assertForwardRefused(address(escrow), abi.encodeCall(IRunEscrow.submit, (claimed, DELIVERABLE)), poster, notAgent);
        uint256 submitted = submittedRun();
        uint256 reviewBy = escrow.getRun(submitted).reviewBy;
        bytes memory notPoster = abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, submitted, wallet, poster);
        assertForwardRefused(address(escrow), abi.encodeCall(IRunEscrow.approve, (submitted, reviewBy)), wallet, notPoster);
        assertForwardRefused(address(escrow), abi.encodeCall(IRunEscrow.reject, (submitted, reviewBy)), wallet, notPoster);
        assertForwardRefused(
            address(escrow), abi.encodeCall(IRunEscrow.requestRevision, (submitted, reviewBy, FEEDBACK)), wallet, notPoster
        );
        uint256 draft = draftRun();
        notPoster = abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, draft, wallet, poster);
        assertForwardRefused(address(escrow), abi.encodeCall(IRunEscrow.fund, (draft)), wallet, notPoster);
    }

    function test_forwarder_withoutAnAddressBehindTheCallIsItself() public {
        assertRefused(
            address(forwarder),
            abi.encodeWithSignature("pause()"),
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(forwarder))
        );
        assertEq(registry.balanceOf(address(forwarder)), 0);
        send(address(forwarder), address(registry), abi.encodeWithSignature("register()"));
        assertEq(registry.balanceOf(address(forwarder)), 1);
    }

    function test_anotherForwarder_isNotBelieved() public {
        address other = address(new ERC2771Forwarder("ClawPay Runs"));
        openRun();
        assertRefused(
            other,
            abi.encodePacked(abi.encodeCall(IRunEscrow.cancel, (1)), poster),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, 1, other, poster)
        );
    }

    function test_escrowsOwnCalls_areNotForwarded() public {
        uint256 runId = claimedRun();
        bytes[3] memory calls = [
            abi.encodeCall(IAgentStake.commit, (agentId, wallet)),
            abi.encodeCall(IAgentStake.release, (agentId, true)),
            abi.encodeCall(IAgentStake.slash, (agentId, runId, stranger))
        ];
        bytes memory reason = abi.encodeWithSelector(IAgentStake.AgentStake_NotEscrow.selector, address(forwarder));
        for (uint256 i = 0; i < calls.length; ++i) {
            assertForwardRefused(address(agentStake), calls[i], address(escrow), reason);
            assertForwardRefused(address(agentStake), calls[i], poster, reason);
            ERC2771Forwarder.ForwardRequestData memory request = forwarded(posterKey, poster, address(agentStake), calls[i]);
            assertNotExecuted(request, abi.encodeWithSelector(Errors.FailedCall.selector));
        }
        assertEq(agentStake.getAgent(agentId).runsInHand, 1);
        assertEq(agentStake.getAgent(agentId).stake, AGENT_STAKE);
    }

    /// @dev The poster's wish to cancel run 1, which is open.
    function cancellation() private returns (ERC2771Forwarder.ForwardRequestData memory) {
        uint256 runId = openRun();
        return forwarded(posterKey, poster, address(escrow), abi.encodeCall(IRunEscrow.cancel, (runId)));
    }

    function assertForwardRefused(address target, bytes memory call, address sender, bytes memory reason) private {
        assertRefusedBy(target, address(forwarder), abi.encodePacked(call, sender), reason);
    }

    function assertNotExecuted(ERC2771Forwarder.ForwardRequestData memory request, bytes memory reason) private {
        assertRefusedBy(address(forwarder), relayer, abi.encodeCall(forwarder.execute, (request)), reason);
    }

    /// @dev Whichever account the signature seems to be of: not the one whom the request names.
    function assertInvalidSigner(ERC2771Forwarder.ForwardRequestData memory request) private {
        address recovered = ECDSA.recover(forwardDigest(request, forwarder.nonces(request.from)), request.signature);
        assertNotEq(recovered, request.from);
        assertFalse(forwarder.verify(request));
        assertNotExecuted(request, abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderInvalidSigner.selector, recovered, request.from));
    }
}

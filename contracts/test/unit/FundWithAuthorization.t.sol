// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC3009 } from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { RunEscrow } from "../../src/RunEscrow.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";
import { SkimmingUSDC } from "../mocks/SkimmingUSDC.sol";

/// @notice fundWithAuthorization
/// ├── paused: refused
/// ├── unknown run: refused
/// ├── any state but DRAFT: refused
/// ├── at the deadline or later: refused
/// ├── the draft differs from what was signed, in its id, poster, reward, deadline, revisions or content: refused
/// ├── another salt, chain or escrow, or signed for another verb: refused
/// ├── used before: refused
/// ├── poster blacklisted, token paused: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise, whichever account sends it: OPEN, reward and fee escrowed, no allowance needed
contract FundWithAuthorizationTest is Signing {
    string private constant INVALID = "TestUSDC: invalid signature";
    uint256 private posterKey = keyOf("poster");

    function setUp() public override {
        super.setUp();
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
    }

    function test_fundWithAuthorization_opensTheDraftWhoeverSendsIt() public {
        uint256 runId = draftRun();
        bytes32 nonce = fundNonce(poster, runId, standardOffer(), SALT);
        bytes memory call = signedCall(runId, standardOffer());
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFunded(runId, REWARD + FEE);
        vm.expectEmit(address(usdc));
        emit IERC3009.AuthorizationUsed(poster, nonce);
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(poster, address(escrow), REWARD + FEE);
        send(stranger, address(escrow), call);

        assertState(runId, RunState.OPEN);
        assertEq(escrow.getRun(runId).poster, poster);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
        assertEq(usdc.balanceOf(stranger), FUNDS);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
        assertTrue(usdc.authorizationState(poster, nonce));
    }

    function testFuzz_fundNonce_isTheHashOfChainContractPosterRunTermsAndSalt(
        uint256 reward,
        uint256 ahead,
        uint256 maxRevisions,
        bytes32 salt
    ) public {
        Offer memory offer = Offer({
            reward: bound(reward, 1 * USDC, 2 ** 56 - 1),
            deadline: START + bound(ahead, 1, 365 days),
            maxRevisions: bound(maxRevisions, 0, 3),
            contentURI: CONTENT
        });
        vm.prank(stranger);
        uint256 runId = escrow.create(offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI);
        assertEq(escrow.fundNonce(runId, salt), fundNonce(stranger, runId, offer, salt));
    }

    function test_fundNonce_existsForDraftsAlone() public {
        bytes memory unknown = abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 9);
        assertRefused(stranger, abi.encodeCall(escrow.fundNonce, (9, SALT)), unknown);
        vm.prank(poster);
        usdc.approve(address(escrow), type(uint256).max);
        assertRefusedOutside(bit(RunState.DRAFT), stranger, nonceCall);
    }

    function test_fundWithAuthorization_isRefusedForAnyDraftOtherThanSigned() public {
        Offer memory offer = standardOffer();
        uint256 other = draftRun(); // the same terms under another id
        uint256 runId = draftRun();
        assertSays(callFor(other, authorization(runId, offer)), INVALID);

        offer.deadline += 1;
        assertSays(callFor(runId, authorization(runId, offer)), INVALID);
        offer = standardOffer();
        offer.maxRevisions = 2;
        assertSays(callFor(runId, authorization(runId, offer)), INVALID);
        offer = standardOffer();
        offer.contentURI = "ipfs://other";
        assertSays(callFor(runId, authorization(runId, offer)), INVALID);
        offer = standardOffer();
        offer.reward += 1; // its fee is the same
        assertSays(callFor(runId, authorization(runId, offer)), INVALID);

        // The money is right, the terms behind the nonce are not.
        bytes32 nonce = fundNonce(poster, runId, offer, SALT);
        assertSays(callFor(runId, authorize(posterKey, termsFor(poster, address(escrow), REWARD + FEE, nonce), SALT)), INVALID);
        assertState(runId, RunState.DRAFT);
        assertState(other, RunState.DRAFT);
    }

    function test_fundWithAuthorization_isRefusedOnAnotherAmountSaltOrTime() public {
        uint256 runId = draftRun();
        bytes32 nonce = fundNonce(poster, runId, standardOffer(), SALT);
        assertSays(callFor(runId, authorize(posterKey, termsFor(poster, address(escrow), REWARD, nonce), SALT)), INVALID);
        assertSays(callFor(runId, authorize(posterKey, termsFor(poster, address(escrow), REWARD + FEE + 1, nonce), SALT)), INVALID);
        ICustody.Authorization memory a = authorization(runId, standardOffer());
        a.salt = keccak256("other salt");
        assertSays(callFor(runId, a), INVALID);
        a = authorization(runId, standardOffer());
        a.validAfter -= 1;
        assertSays(callFor(runId, a), INVALID);
        a = authorization(runId, standardOffer());
        a.validBefore += 1;
        assertSays(callFor(runId, a), INVALID);
    }

    function test_fundWithAuthorization_takesThePostersMoneyAlone() public {
        uint256 runId = draftRun();
        Offer memory offer = standardOffer();
        bytes32 nonce = fundNonce(poster, runId, offer, SALT);
        ICustody.Authorization memory a = authorize(keyOf("stranger"), termsFor(stranger, address(escrow), REWARD + FEE, nonce), SALT);
        assertSays(callFor(runId, a), INVALID);
        nonce = fundNonce(stranger, runId, offer, SALT);
        a = authorize(keyOf("stranger"), termsFor(stranger, address(escrow), REWARD + FEE, nonce), SALT);
        assertSays(callFor(runId, a), INVALID);
        a = authorize(posterKey, termsFor(poster, address(escrow), REWARD + FEE, nonce), SALT);
        assertSays(callFor(runId, a), INVALID);
    }

    function test_fundWithAuthorization_isRefusedWithAnotherVerbsAuthorization() public {
        uint256 runId = draftRun();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), REWARD + FEE, createAndFundNonce(poster, standardOffer(), SALT));
        assertSays(callFor(runId, authorize(posterKey, terms, SALT)), INVALID);
        terms.nonce = stakeNonce(poster, agentId, REWARD + FEE, SALT);
        assertSays(callFor(runId, authorize(posterKey, terms, SALT)), INVALID);
        terms.nonce = fundNonce(poster, runId, standardOffer(), SALT);
        assertSays(callFor(runId, authorized(terms, SALT, sign(posterKey, transferDigest(terms)))), INVALID);
    }

    function test_fundWithAuthorization_isRefusedOnAnotherChainOrEscrow() public {
        uint256 runId = draftRun();
        bytes memory call = signedCall(runId, standardOffer());
        (, RunEscrow other) = deployPair(address(usdc), address(registry));
        vm.prank(poster);
        assertEq(other.create(REWARD, claimDeadline(), 3, CONTENT), runId, "the same draft there");
        assertTokenRefuses(address(other), stranger, call, INVALID);

        bytes32 nonce = fundNonce(poster, runId, standardOffer(), SALT);
        vm.chainId(block.chainid + 1);
        assertSays(call, INVALID);
        assertSays(callFor(runId, authorize(posterKey, termsFor(poster, address(escrow), REWARD + FEE, nonce), SALT)), INVALID);
        assertEq(escrow.fundNonce(runId, SALT), fundNonce(poster, runId, standardOffer(), SALT), "follows the chain");
    }

    function test_fundWithAuthorization_isNoUseForADraftThatTookTheIdOfAnother() public {
        // What a reorganization of the chain can do to ids: run 1 is there again, of another poster's making.
        uint256 snapshot = vm.snapshotState();
        uint256 runId = draftRun();
        bytes memory call = signedCall(runId, standardOffer());
        assertTrue(vm.revertToState(snapshot));
        vm.prank(stranger);
        assertEq(escrow.create(REWARD, claimDeadline(), 3, CONTENT), runId);
        assertSays(call, INVALID);
    }

    function test_fundWithAuthorization_isRefusedOutsideDraft() public {
        bytes memory call = signedCall(1, standardOffer());
        assertRefused(stranger, call, abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 1));
        uint256 runId = draftRun();
        send(stranger, address(escrow), call);
        assertRefused(
            stranger, call, abi.encodeWithSelector(IRunEscrow.RunEscrow_WrongState.selector, runId, RunState.OPEN, bit(RunState.DRAFT))
        );
        vm.prank(poster);
        usdc.approve(address(escrow), type(uint256).max);
        assertRefusedOutside(bit(RunState.DRAFT), stranger, emptyCall);
    }

    function test_fundWithAuthorization_isRefusedOnceTheDraftWasCancelled() public {
        uint256 runId = draftRun();
        bytes memory call = signedCall(runId, standardOffer());
        vm.prank(poster);
        escrow.cancel(runId);
        assertRefused(
            stranger, call, abi.encodeWithSelector(IRunEscrow.RunEscrow_WrongState.selector, runId, RunState.CANCELLED, bit(RunState.DRAFT))
        );
        assertEq(usdc.balanceOf(poster), FUNDS);
    }

    function test_fundWithAuthorization_isUsedOnce() public {
        uint256 runId = draftRun();
        ICustody.Authorization memory a = authorization(runId, standardOffer());
        uint256 snapshot = vm.snapshotState();
        bytes32 nonce = fundNonce(poster, runId, standardOffer(), SALT);
        usdc.cancelAuthorization(poster, nonce, sign(posterKey, cancelDigest(poster, nonce)));
        assertSays(callFor(runId, a), "TestUSDC: authorization was used or cancelled");
        assertTrue(vm.revertToState(snapshot));
        send(stranger, address(escrow), callFor(runId, a));
    }

    function test_fundWithAuthorization_isPossibleUntilTheSecondBeforeTheDeadline() public {
        uint256 runId = draftRun();
        uint256 deadline = claimDeadline();
        bytes32 nonce = fundNonce(poster, runId, standardOffer(), SALT);
        TokenAuthorization memory terms = termsFor(poster, address(escrow), REWARD + FEE, nonce);
        terms.validBefore = type(uint256).max;
        bytes memory call = callFor(runId, authorize(posterKey, terms, SALT));
        bytes4 fault = IRunEscrow.RunEscrow_DeadlinePassed.selector;
        vm.warp(deadline);
        assertRefused(stranger, call, abi.encodeWithSelector(fault, runId, deadline, deadline));
        vm.warp(deadline + 1);
        assertRefused(stranger, call, abi.encodeWithSelector(fault, runId, deadline, deadline + 1));
        vm.warp(deadline - 1);
        send(stranger, address(escrow), call);
        assertState(runId, RunState.OPEN);
    }

    function test_fundWithAuthorization_countsStrictlyBetweenItsTimes() public {
        uint256 runId = draftRun();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), REWARD + FEE, fundNonce(poster, runId, standardOffer(), SALT));
        (terms.validAfter, terms.validBefore) = (START + 10, START + 12);
        bytes memory call = callFor(runId, authorize(posterKey, terms, SALT));
        vm.warp(START + 10);
        assertSays(call, "TestUSDC: authorization is not valid yet");
        vm.warp(START + 12);
        assertSays(call, "TestUSDC: authorization has expired");
        vm.warp(START + 11);
        send(stranger, address(escrow), call);
    }

    function test_fundWithAuthorization_isRefusedByTheTokenAsAnyPayment() public {
        uint256 runId = draftRun();
        bytes memory call = signedCall(runId, standardOffer());
        usdc.blacklist(poster);
        assertSays(call, "TestUSDC: account is blacklisted");
        usdc.unBlacklist(poster);
        usdc.pause();
        assertSays(call, "TestUSDC: paused");
        usdc.unpause();
        send(stranger, address(escrow), call);
    }

    function test_fundWithAuthorization_isRefusedWhilePaused() public {
        bytes memory call = signedCall(draftRun(), standardOffer());
        vm.prank(owner);
        escrow.pause();
        assertRefused(stranger, call, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        vm.prank(owner);
        escrow.unpause();
        send(stranger, address(escrow), call);
    }

    function test_fundWithAuthorization_insistsOnEveryUnitItAskedFor() public {
        usdc = TestUSDC(address(new SkimmingUSDC()));
        (, escrow) = deployPair(address(usdc), address(registry));
        usdc.mint(poster, FUNDS);
        assertRefused(
            stranger,
            signedCall(draftRun(), standardOffer()),
            abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, REWARD + FEE, REWARD + FEE - 1)
        );
    }

    function authorization(uint256 runId, Offer memory offer) private view returns (ICustody.Authorization memory) {
        bytes32 nonce = fundNonce(poster, runId, offer, SALT);
        return authorize(posterKey, termsFor(poster, address(escrow), priceOf(offer), nonce), SALT);
    }

    function signedCall(uint256 runId, Offer memory offer) private view returns (bytes memory) {
        return callFor(runId, authorization(runId, offer));
    }

    function callFor(uint256 runId, ICustody.Authorization memory a) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.fundWithAuthorization, (runId, a));
    }

    function emptyCall(uint256 runId) private pure returns (bytes memory) {
        return callFor(runId, ICustody.Authorization(0, 0, SALT, ""));
    }

    function nonceCall(uint256 runId) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.fundNonce, (runId, SALT));
    }

    function assertSays(bytes memory call, string memory reason) private {
        assertTokenRefuses(address(escrow), stranger, call, reason);
    }
}

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

/// @notice createAndFundWithAuthorization
/// ├── paused: refused
/// ├── what create refuses: refused alike
/// ├── any term other than signed, the poster, the chain or the escrow included: refused
/// ├── signed for another verb, for a transfer, or by another key: refused
/// ├── at `validAfter` or before, at `validBefore` or after: refused
/// ├── used before, cancelled: refused
/// ├── poster blacklisted, token paused, too little money: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise, whichever account sends it: an OPEN run of the poster's, reward and fee escrowed, no allowance needed or touched
contract CreateAndFundWithAuthorizationTest is Signing {
    string private constant INVALID = "TestUSDC: invalid signature";
    uint256 private posterKey = keyOf("poster");

    function setUp() public override {
        super.setUp();
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
    }

    function test_createAndFundWithAuthorization_opensTheSignersRunWhoeverSendsIt() public {
        Offer memory offer = standardOffer();
        bytes32 nonce = createAndFundNonce(poster, offer, SALT);
        bytes memory call = signedCall(offer);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCreated(1, poster, REWARD, FEE, offer.deadline, 3, CONTENT);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFunded(1, REWARD + FEE);
        vm.expectEmit(address(usdc));
        emit IERC3009.AuthorizationUsed(poster, nonce);
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(poster, address(escrow), REWARD + FEE);
        assertEq(abi.decode(send(stranger, address(escrow), call), (uint256)), 1);

        IRunEscrow.Run memory run = escrow.getRun(1);
        assertEq(uint256(run.state), uint256(RunState.OPEN));
        assertEq(run.poster, poster);
        assertEq(run.reward, REWARD);
        assertEq(run.fee, FEE);
        assertEq(run.deadline, offer.deadline);
        assertEq(run.maxRevisions, 3);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
        assertEq(usdc.balanceOf(stranger), FUNDS);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
        assertTrue(usdc.authorizationState(poster, nonce));
    }

    function test_createAndFundWithAuthorization_leavesAnAllowanceAlone() public {
        vm.prank(poster);
        usdc.approve(address(escrow), 7);
        assertSent(signedCall(standardOffer()));
        assertEq(usdc.allowance(poster, address(escrow)), 7);
    }

    function test_createAndFundWithAuthorization_givesThePosterItsVerbs() public {
        assertSent(signedCall(standardOffer()));
        assertRefused(
            stranger,
            abi.encodeCall(escrow.cancel, (1)),
            abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, 1, stranger, poster)
        );
        vm.prank(poster);
        escrow.cancel(1);
        assertEq(usdc.balanceOf(poster), FUNDS);
    }

    function testFuzz_createAndFundNonce_isTheHashOfChainContractPosterTermsAndSalt(address from, Offer memory offer, bytes32 salt)
        public
        view
    {
        bytes32 nonce = escrow.createAndFundNonce(from, offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI, salt);
        assertEq(nonce, createAndFundNonce(from, offer, salt));
    }

    function test_createAndFundWithAuthorization_isRefusedOnAnyTermOtherThanSigned() public {
        ICustody.Authorization memory a = authorization(standardOffer());
        Offer memory changed = standardOffer();
        changed.reward = REWARD - 1;
        assertSays(callFor(poster, changed, a), INVALID);
        changed = standardOffer();
        changed.reward = REWARD + 1; // its fee is the same
        assertSays(callFor(poster, changed, a), INVALID);
        changed = standardOffer();
        changed.deadline += 1;
        assertSays(callFor(poster, changed, a), INVALID);
        changed = standardOffer();
        changed.maxRevisions = 2;
        assertSays(callFor(poster, changed, a), INVALID);
        changed = standardOffer();
        changed.contentURI = "ipfs://other";
        assertSays(callFor(poster, changed, a), INVALID);
        assertSays(callFor(stranger, standardOffer(), a), INVALID);
        a.salt = keccak256("other salt");
        assertSays(callFor(poster, standardOffer(), a), INVALID);
        a = authorization(standardOffer());
        a.validAfter -= 1;
        assertSays(callFor(poster, standardOffer(), a), INVALID);
        a = authorization(standardOffer());
        a.validBefore += 1;
        assertSays(callFor(poster, standardOffer(), a), INVALID);
        assertEq(escrow.runCount(), 0);
    }

    function test_createAndFundWithAuthorization_isRefusedOnTermsOfTheSamePrice() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, SALT));
        ICustody.Authorization memory a = authorize(posterKey, terms, SALT);
        offer.maxRevisions = 0;
        assertSays(callFor(poster, offer, a), INVALID);
    }

    function test_createAndFundWithAuthorization_isRefusedOnAnotherChainOrEscrow() public {
        Offer memory offer = standardOffer();
        bytes memory call = signedCall(offer);
        (, RunEscrow other) = deployPair(address(usdc), address(registry));
        assertTokenRefuses(address(other), stranger, call, INVALID);

        // Signed for the other escrow's money but with this escrow's nonce, and the other way round.
        bytes32 nonce = createAndFundNonce(poster, offer, SALT);
        ICustody.Authorization memory a = authorize(posterKey, termsFor(poster, address(other), priceOf(offer), nonce), SALT);
        assertTokenRefuses(address(other), stranger, callFor(poster, offer, a), INVALID);
        assertSays(callFor(poster, offer, a), INVALID);

        vm.chainId(block.chainid + 1);
        assertSays(call, INVALID);
        // A token that did not look at the chain would still find another nonce.
        a = authorize(posterKey, termsFor(poster, address(escrow), priceOf(offer), nonce), SALT);
        assertSays(callFor(poster, offer, a), INVALID);
        assertEq(escrow.createAndFundNonce(poster, offer.reward, offer.deadline, 3, CONTENT, SALT), createAndFundNonce(poster, offer, SALT));
    }

    function test_createAndFundWithAuthorization_isRefusedWithAnotherVerbsAuthorization() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), fundNonce(poster, 1, offer, SALT));
        assertSays(callFor(poster, offer, authorize(posterKey, terms, SALT)), INVALID);
        terms.nonce = stakeNonce(poster, agentId, terms.value, SALT);
        assertSays(callFor(poster, offer, authorize(posterKey, terms, SALT)), INVALID);
        terms.nonce = SALT;
        assertSays(callFor(poster, offer, authorize(posterKey, terms, SALT)), INVALID);
    }

    function test_createAndFundWithAuthorization_isRefusedWithATransfersSignature() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, SALT));
        assertSays(callFor(poster, offer, authorized(terms, SALT, sign(posterKey, transferDigest(terms)))), INVALID);
    }

    function test_createAndFundWithAuthorization_isSignedWithThePostersKeyAndCanonically() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, SALT));
        assertSays(callFor(poster, offer, authorize(keyOf("stranger"), terms, SALT)), INVALID);
        bytes memory signature = sign(posterKey, receiveDigest(terms));
        assertSays(callFor(poster, offer, authorized(terms, SALT, malleated(signature))), INVALID);
        assertSays(callFor(poster, offer, authorized(terms, SALT, abi.encodePacked(signature, uint8(0)))), INVALID);
        assertSays(callFor(poster, offer, authorized(terms, SALT, "")), INVALID);
        assertSent(callFor(poster, offer, authorized(terms, SALT, signature)));
    }

    function test_createAndFundWithAuthorization_cannotBeTakenByTheTokensOwnVerbs() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, SALT));
        bytes memory signature = sign(posterKey, receiveDigest(terms));
        string memory head = "address,address,uint256,uint256,uint256,bytes32";
        bytes[2] memory transfers = inBothEncodings("transferWithAuthorization", head, abi.encode(terms), signature);
        bytes[2] memory receipts = inBothEncodings("receiveWithAuthorization", head, abi.encode(terms), signature);
        for (uint256 i = 0; i < 2; ++i) {
            assertTokenRefuses(address(usdc), stranger, transfers[i], INVALID);
            assertTokenRefuses(address(usdc), stranger, receipts[i], "TestUSDC: caller is not the payee");
        }
        assertSent(callFor(poster, offer, authorized(terms, SALT, signature)));
        assertState(1, RunState.OPEN);
    }

    function test_createAndFundWithAuthorization_isUsedOnceAndAnotherSaltIsAnotherRun() public {
        bytes memory call = signedCall(standardOffer());
        assertSent(call);
        assertSays(call, "TestUSDC: authorization was used or cancelled");
        assertEq(escrow.runCount(), 1);

        bytes32 salt = keccak256("other salt");
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, salt));
        assertSent(callFor(poster, offer, authorize(posterKey, terms, salt)));
        assertEq(escrow.runCount(), 2);
    }

    function test_createAndFundWithAuthorization_isRefusedOnceCancelled() public {
        bytes memory call = signedCall(standardOffer());
        bytes32 nonce = createAndFundNonce(poster, standardOffer(), SALT);
        usdc.cancelAuthorization(poster, nonce, sign(posterKey, cancelDigest(poster, nonce)));
        assertSays(call, "TestUSDC: authorization was used or cancelled");
    }

    function test_createAndFundWithAuthorization_countsStrictlyBetweenItsTimes() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, SALT));
        (terms.validAfter, terms.validBefore) = (START + 10, START + 12);
        bytes memory call = callFor(poster, offer, authorize(posterKey, terms, SALT));
        vm.warp(START + 9);
        assertSays(call, "TestUSDC: authorization is not valid yet");
        vm.warp(START + 10);
        assertSays(call, "TestUSDC: authorization is not valid yet");
        vm.warp(START + 12);
        assertSays(call, "TestUSDC: authorization has expired");
        vm.warp(START + 13);
        assertSays(call, "TestUSDC: authorization has expired");
        vm.warp(START + 11);
        assertSent(call);
    }

    function test_createAndFundWithAuthorization_isRefusedByTheTokenAsAnyPayment() public {
        bytes memory call = signedCall(standardOffer());
        usdc.blacklist(poster);
        assertSays(call, "TestUSDC: account is blacklisted");
        usdc.unBlacklist(poster);
        usdc.pause();
        assertSays(call, "TestUSDC: paused");
        usdc.unpause();
        vm.prank(poster);
        assertTrue(usdc.transfer(wallet, FUNDS - REWARD - FEE + 1));
        assertSays(call, "TestUSDC: transfer exceeds balance");
        assertEq(escrow.runCount(), 0);

        usdc.mint(poster, 1);
        usdc.blacklist(stranger); // the sender is no party to it
        assertSent(call);
    }

    function test_createAndFundWithAuthorization_isRefusedWhilePaused() public {
        bytes memory call = signedCall(standardOffer());
        vm.prank(owner);
        escrow.pause();
        assertRefused(stranger, call, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        vm.prank(owner);
        escrow.unpause();
        assertSent(call);
    }

    function test_createAndFundWithAuthorization_refusesWhatCreateRefuses() public {
        Offer memory offer = standardOffer();
        offer.reward = 1 * USDC - 1;
        assertRefusedWith(
            offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_RewardOutOfRange.selector, 1 * USDC - 1, 1 * USDC, 2 ** 56 - 1)
        );
        offer.reward = 2 ** 56;
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_RewardOutOfRange.selector, 2 ** 56, 1 * USDC, 2 ** 56 - 1));
        offer = standardOffer();
        offer.deadline = START;
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_DeadlineOutOfRange.selector, START, START, START + 365 days));
        offer.deadline = START + 365 days + 1;
        assertRefusedWith(
            offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_DeadlineOutOfRange.selector, START + 365 days + 1, START, START + 365 days)
        );
        offer = standardOffer();
        offer.maxRevisions = 4;
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_TooManyRevisions.selector, 4, 3));
        offer = standardOffer();
        offer.contentURI = "";
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_LengthOutOfRange.selector, 0, 1, 2048));
        offer.contentURI = string(new bytes(2049));
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_LengthOutOfRange.selector, 2049, 1, 2048));
    }

    function test_createAndFundWithAuthorization_insistsOnEveryUnitItAskedFor() public {
        usdc = TestUSDC(address(new SkimmingUSDC()));
        (, escrow) = deployPair(address(usdc), address(registry));
        usdc.mint(poster, FUNDS);
        assertRefused(
            stranger,
            signedCall(standardOffer()),
            abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, REWARD + FEE, REWARD + FEE - 1)
        );
    }

    function authorization(Offer memory offer) private view returns (ICustody.Authorization memory) {
        bytes32 nonce = createAndFundNonce(poster, offer, SALT);
        return authorize(posterKey, termsFor(poster, address(escrow), priceOf(offer), nonce), SALT);
    }

    function signedCall(Offer memory offer) private view returns (bytes memory) {
        return callFor(poster, offer, authorization(offer));
    }

    function callFor(address from, Offer memory offer, ICustody.Authorization memory a) private pure returns (bytes memory) {
        return abi.encodeCall(
            IRunEscrow.createAndFundWithAuthorization, (from, offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI, a)
        );
    }

    function assertSent(bytes memory call) private {
        send(stranger, address(escrow), call);
    }

    function assertSays(bytes memory call, string memory reason) private {
        assertTokenRefuses(address(escrow), stranger, call, reason);
    }

    function assertRefusedWith(Offer memory offer, bytes memory reason) private {
        assertRefused(stranger, signedCall(offer), reason);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC3009, IERC3009Cancel } from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { Signing } from "../base/Signing.sol";
import { BatchDelegate } from "../mocks/BatchDelegate.sol";
import { ConsentingDelegate } from "../mocks/ConsentingDelegate.sol";
import { PairWallet } from "../mocks/PairWallet.sol";
import { SigningWallet } from "../mocks/SigningWallet.sol";

/// @notice TestUSDC's authorizations, the signature as v, r, s and as bytes
/// ├── transferWithAuthorization, sent by anybody; receiveWithAuthorization, sent by the payee alone
/// │   ├── paused: refused
/// │   ├── payer or payee blacklisted: refused; sender blacklisted: not
/// │   ├── at `validAfter` or before, at `validBefore` or after: refused
/// │   ├── used or cancelled: refused
/// │   ├── changed term, other verb, other chain, other key: refused
/// │   ├── malleated, odd v, wrong length, a signature of no key for the zero address: refused
/// │   ├── to the zero address, beyond the balance: refused
/// │   ├── payer with code: asked by ERC-1271, whatever the length; its key counts for nothing
/// │   └── otherwise: moved, and used up
/// └── cancelAuthorization, sent by anybody
///     ├── paused: refused; authorizer blacklisted: not
///     ├── used or cancelled, other key: refused
///     └── otherwise: cancelled
contract TestUSDCAuthorizationTest is Signing {
    bytes4 private constant ERROR = bytes4(keccak256("Error(string)"));
    string private constant INVALID = "TestUSDC: invalid signature";
    string private constant USED = "TestUSDC: authorization was used or cancelled";
    string private constant BLACKLISTED = "TestUSDC: account is blacklisted";
    string private constant HEAD_TYPES = "address,address,uint256,uint256,uint256,bytes32";
    uint256 private constant VALUE = 123;
    bytes32 private constant NONCE = keccak256("nonce");

    address private signer;
    uint256 private key;
    address private payee = makeAddr("payee");

    function setUp() public override {
        super.setUp();
        (signer, key) = makeAddrAndKey("signer");
        usdc.mint(signer, FUNDS);
    }

    function test_authorization_typesAreThoseOfTheStandard() public pure {
        assertEq(TRANSFER_TYPE, 0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267);
        assertEq(RECEIVE_TYPE, 0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8);
        assertEq(CANCEL_TYPE, 0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429);
    }

    function test_authorization_movesWhatWasSigned() public {
        bytes[4] memory calls = signed(terms());
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            assertFalse(usdc.authorizationState(signer, NONCE));
            vm.expectEmit(address(usdc));
            emit IERC3009.AuthorizationUsed(signer, NONCE);
            vm.expectEmit(address(usdc));
            emit IERC20.Transfer(signer, payee, VALUE);
            assertTrue(sent(payee, calls[i]));
            assertTrue(usdc.authorizationState(signer, NONCE));
            assertFalse(usdc.authorizationState(payee, NONCE), "nonces are each authorizer's own");
            assertEq(usdc.balanceOf(payee), VALUE);
            assertEq(usdc.balanceOf(signer), FUNDS - VALUE);
            assertEq(usdc.allowance(signer, payee), 0);
            for (uint256 j = 0; j < calls.length; ++j) {
                assertSays(payee, calls[j], USED);
            }
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_authorization_toReceiveIsForThePayeeAlone() public {
        bytes[4] memory calls = signed(terms());
        assertTransfersSend(stranger, calls);
        assertSays(stranger, calls[2], "TestUSDC: caller is not the payee");
        assertSays(stranger, calls[3], "TestUSDC: caller is not the payee");
        assertSays(signer, calls[2], "TestUSDC: caller is not the payee");
    }

    function test_authorization_countsStrictlyBetweenItsTimes() public {
        TokenAuthorization memory a = terms();
        (a.validAfter, a.validBefore) = (START + 100, START + 102);
        bytes[4] memory calls = signed(a);
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.warp(START + 99);
            assertSays(payee, calls[i], "TestUSDC: authorization is not valid yet");
            vm.warp(START + 100);
            assertSays(payee, calls[i], "TestUSDC: authorization is not valid yet");
            vm.warp(START + 102);
            assertSays(payee, calls[i], "TestUSDC: authorization has expired");
            vm.warp(START + 103);
            assertSays(payee, calls[i], "TestUSDC: authorization has expired");
            vm.warp(START + 101);
            uint256 snapshot = vm.snapshotState();
            assertTrue(sent(payee, calls[i]));
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_authorization_isRefusedOnOtherTermsThanSigned() public {
        TokenAuthorization memory a = terms();
        bytes memory toTransfer = sign(key, transferDigest(a));
        bytes memory toReceive = sign(key, receiveDigest(a));
        assertAllSay(callsOf(a, toReceive, toTransfer), INVALID); // each verb with the other's signature

        TokenAuthorization memory changed = terms();
        changed.value += 1;
        assertAllSay(callsOf(changed, toTransfer, toReceive), INVALID);
        changed = terms();
        changed.from = poster;
        assertAllSay(callsOf(changed, toTransfer, toReceive), INVALID);
        changed = terms();
        changed.validAfter -= 1;
        assertAllSay(callsOf(changed, toTransfer, toReceive), INVALID);
        changed = terms();
        changed.validBefore += 1;
        assertAllSay(callsOf(changed, toTransfer, toReceive), INVALID);
        changed = terms();
        changed.nonce = keccak256("another nonce");
        assertAllSay(callsOf(changed, toTransfer, toReceive), INVALID);
        changed = terms();
        changed.to = stranger;
        bytes[4] memory calls = callsOf(changed, toTransfer, toReceive);
        for (uint256 i = 0; i < calls.length; ++i) {
            assertSays(stranger, calls[i], INVALID);
        }

        vm.chainId(block.chainid + 1);
        assertAllSay(callsOf(a, toTransfer, toReceive), INVALID);
    }

    function test_authorization_isSignedWithThePayersKey() public {
        (, uint256 otherKey) = makeAddrAndKey("other signer");
        TokenAuthorization memory a = terms();
        assertAllSay(callsOf(a, sign(otherKey, transferDigest(a)), sign(otherKey, receiveDigest(a))), INVALID);
        assertFalse(usdc.authorizationState(signer, NONCE));
    }

    function test_authorization_takesCanonicalSignaturesAlone() public {
        TokenAuthorization memory a = terms();
        bytes memory toTransfer = sign(key, transferDigest(a));
        bytes memory toReceive = sign(key, receiveDigest(a));
        assertAllSay(callsOf(a, malleated(toTransfer), malleated(toReceive)), INVALID);
        (, bytes32 r, bytes32 s) = split(toReceive);
        assertSays(payee, callsOf(a, toTransfer, abi.encodePacked(r, s, uint8(29)))[2], INVALID);
        assertSays(payee, callsOf(a, toTransfer, abi.encodePacked(toReceive, uint8(0)))[3], INVALID);
        assertSays(payee, callsOf(a, toTransfer, abi.encodePacked(r, s))[3], INVALID);
        assertSays(payee, callsOf(a, toTransfer, "")[3], INVALID);
    }

    function test_authorization_isSignedByNobodyForTheZeroAddress() public {
        TokenAuthorization memory a = terms();
        (a.from, a.value) = (address(0), 0);
        bytes memory nobodys = abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(27));
        assertAllSay(callsOf(a, nobodys, nobodys), INVALID);
        assertAllSay(callsOf(a, new bytes(65), new bytes(65)), INVALID);
    }

    function test_authorization_isRefusedForTheBlacklisted() public {
        bytes[4] memory calls = signed(terms());
        usdc.blacklist(signer);
        assertAllSay(calls, BLACKLISTED);
        usdc.unBlacklist(signer);
        usdc.blacklist(payee);
        assertAllSay(calls, BLACKLISTED);
        usdc.unBlacklist(payee);
        usdc.blacklist(stranger);
        assertTransfersSend(stranger, calls);
    }

    function test_authorization_isRefusedBeyondTheBalanceAndToTheZeroAddress() public {
        TokenAuthorization memory a = terms();
        a.value = FUNDS + 1;
        assertAllSay(signed(a), "TestUSDC: transfer exceeds balance");
        assertFalse(usdc.authorizationState(signer, NONCE));
        a.to = address(0);
        bytes[4] memory calls = signed(a);
        assertSays(payee, calls[0], "TestUSDC: transfer to the zero address");
        assertSays(payee, calls[1], "TestUSDC: transfer to the zero address");
    }

    function test_authorization_namesTheFirstFaultInOrder() public {
        TokenAuthorization memory a = terms();
        (a.validAfter, a.validBefore, a.value) = (START, START, FUNDS + 1);
        bytes[4] memory calls = callsOf(a, new bytes(65), new bytes(65));
        usdc.pause();
        usdc.blacklist(signer);
        assertSays(stranger, calls[2], "TestUSDC: paused");
        usdc.unpause();
        assertSays(stranger, calls[2], BLACKLISTED);
        usdc.unBlacklist(signer);
        assertSays(stranger, calls[2], "TestUSDC: caller is not the payee");
        assertSays(payee, calls[2], "TestUSDC: authorization is not valid yet");
        vm.warp(START + 1);
        assertSays(payee, calls[2], "TestUSDC: authorization has expired");
        vm.warp(START);
        assertTrue(sent(stranger, cancels(signer, NONCE, sign(key, cancelDigest(signer, NONCE)))[0]));
        a.validAfter = START - 1;
        a.validBefore = START + 1;
        assertAllSay(callsOf(a, new bytes(65), new bytes(65)), USED);
        a.nonce = keccak256("another nonce");
        assertAllSay(callsOf(a, new bytes(65), new bytes(65)), INVALID);
        assertAllSay(signed(a), "TestUSDC: transfer exceeds balance");
    }

    function test_authorization_ofAContractWalletIsWhatTheWalletSays() public {
        TokenAuthorization memory a = terms();
        a.from = address(new SigningWallet(signer));
        usdc.mint(a.from, VALUE);
        (, uint256 otherKey) = makeAddrAndKey("other signer");
        assertAllSay(callsOf(a, sign(otherKey, transferDigest(a)), sign(otherKey, receiveDigest(a))), INVALID);
        bytes[4] memory calls = signed(a);
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            assertTrue(sent(payee, calls[i]));
            assertEq(usdc.balanceOf(payee), VALUE);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_authorization_ofAContractWalletMayBeOfAnyLength() public {
        (address second, uint256 secondKey) = makeAddrAndKey("second signer");
        TokenAuthorization memory a = terms();
        a.from = address(new PairWallet(signer, second));
        usdc.mint(a.from, VALUE);
        bytes memory both = abi.encodePacked(sign(key, receiveDigest(a)), sign(secondKey, receiveDigest(a)));
        assertSays(payee, callsOf(a, both, sign(key, receiveDigest(a)))[3], INVALID);
        assertTrue(sent(payee, callsOf(a, both, both)[3]));
        assertEq(usdc.balanceOf(payee), VALUE);
    }

    function test_authorization_ofADelegatedKeyIsWhatItsDelegateSays() public {
        bytes[4] memory calls = signed(terms());
        vm.signAndAttachDelegation(address(new BatchDelegate()), key);
        assertAllSay(calls, INVALID);
        vm.signAndAttachDelegation(address(new ConsentingDelegate()), key);
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            assertTrue(sent(payee, calls[i]));
            assertEq(usdc.balanceOf(payee), VALUE);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_cancelAuthorization_usesItUpWithoutMovingAnything() public {
        bytes[2] memory cancel = cancels(signer, NONCE, sign(key, cancelDigest(signer, NONCE)));
        usdc.blacklist(signer);
        for (uint256 i = 0; i < cancel.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.expectEmit(address(usdc));
            emit IERC3009Cancel.AuthorizationCanceled(signer, NONCE);
            assertTrue(sent(stranger, cancel[i]));
            assertTrue(usdc.authorizationState(signer, NONCE));
            assertEq(usdc.balanceOf(signer), FUNDS);
            assertSays(stranger, cancel[1 - i], USED);
            usdc.unBlacklist(signer);
            assertAllSay(signed(terms()), USED);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_cancelAuthorization_isRefusedOnceUsedPausedOrSignedByAnother() public {
        bytes memory signature = sign(key, cancelDigest(signer, NONCE));
        bytes[2] memory cancel = cancels(signer, NONCE, signature);
        (, uint256 otherKey) = makeAddrAndKey("other signer");
        for (uint256 i = 0; i < cancel.length; ++i) {
            assertSays(stranger, cancels(signer, NONCE, sign(otherKey, cancelDigest(signer, NONCE)))[i], INVALID);
            assertSays(stranger, cancels(signer, NONCE, malleated(signature))[i], INVALID);
            assertSays(stranger, cancels(signer, bytes32(0), signature)[i], INVALID);
            assertSays(stranger, cancels(address(0), NONCE, new bytes(65))[i], INVALID);
        }
        usdc.pause();
        assertAllSay(signed(terms()), "TestUSDC: paused");
        assertSays(stranger, cancel[0], "TestUSDC: paused");
        assertSays(stranger, cancel[1], "TestUSDC: paused");
        usdc.unpause();
        assertTrue(sent(payee, signed(terms())[2]));
        assertSays(stranger, cancel[0], USED);
        assertSays(stranger, cancel[1], USED);
    }

    function terms() private view returns (TokenAuthorization memory) {
        return TokenAuthorization({ from: signer, to: payee, value: VALUE, validAfter: START - 1, validBefore: START + 1, nonce: NONCE });
    }

    function signed(TokenAuthorization memory a) private view returns (bytes[4] memory) {
        return callsOf(a, sign(key, transferDigest(a)), sign(key, receiveDigest(a)));
    }

    /// @dev transferWithAuthorization twice, then receiveWithAuthorization twice: v, r, s, then bytes.
    function callsOf(TokenAuthorization memory a, bytes memory toTransfer, bytes memory toReceive)
        private
        pure
        returns (bytes[4] memory calls)
    {
        bytes[2] memory transfers = inBothEncodings("transferWithAuthorization", HEAD_TYPES, abi.encode(a), toTransfer);
        bytes[2] memory receipts = inBothEncodings("receiveWithAuthorization", HEAD_TYPES, abi.encode(a), toReceive);
        return [transfers[0], transfers[1], receipts[0], receipts[1]];
    }

    function cancels(address authorizer, bytes32 nonce, bytes memory signature) private pure returns (bytes[2] memory) {
        return inBothEncodings("cancelAuthorization", "address,bytes32", abi.encode(authorizer, nonce), signature);
    }

    function sent(address sender, bytes memory call) private returns (bool ok) {
        vm.prank(sender);
        (ok,) = address(usdc).call(call);
    }

    function assertTransfersSend(address sender, bytes[4] memory calls) private {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            assertTrue(sent(sender, calls[i]));
            assertEq(usdc.balanceOf(payee), VALUE);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function assertSays(address sender, bytes memory call, string memory reason) private {
        assertRefusedBy(address(usdc), sender, call, abi.encodeWithSelector(ERROR, reason));
    }

    function assertAllSay(bytes[4] memory calls, string memory reason) private {
        for (uint256 i = 0; i < calls.length; ++i) {
            assertSays(payee, calls[i], reason);
        }
    }
}

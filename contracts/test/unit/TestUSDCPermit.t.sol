// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { Signing } from "../base/Signing.sol";
import { BatchDelegate } from "../mocks/BatchDelegate.sol";
import { ConsentingDelegate } from "../mocks/ConsentingDelegate.sol";
import { PairWallet } from "../mocks/PairWallet.sol";
import { SigningWallet } from "../mocks/SigningWallet.sol";

/// @notice TestUSDC.permit, the signature as v, r, s and as bytes
/// ├── paused: refused
/// ├── after the deadline: refused; at it, or without one: not
/// ├── changed term, used or future nonce, other chain, other token, other key: refused
/// ├── malleated, odd v, wrong length, a signature of no key for the zero address: refused
/// ├── spender is the zero address: refused
/// ├── blacklisted owner or spender: not refused
/// ├── owner with code: asked by ERC-1271, whatever the length; its key counts for nothing
/// └── otherwise, sent by anybody: the allowance is what was signed, the nonce one more
contract TestUSDCPermitTest is Signing {
    bytes4 private constant ERROR = bytes4(keccak256("Error(string)"));
    string private constant INVALID = "TestUSDC: invalid signature";
    uint256 private constant VALUE = 123;

    address private signer;
    uint256 private key;

    function setUp() public override {
        super.setUp();
        (signer, key) = makeAddrAndKey("signer");
    }

    function test_permit_domainIsThatOfTheRealToken() public {
        assertEq(usdc.DOMAIN_SEPARATOR(), domainSeparator("USD Coin", "2", address(usdc)));
        vm.chainId(8453);
        assertEq(usdc.DOMAIN_SEPARATOR(), domainSeparator("USD Coin", "2", address(usdc)), "follows the chain");
    }

    function test_permit_typeIsThatOfTheStandard() public pure {
        assertEq(PERMIT_TYPE, 0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9);
    }

    function test_permit_allowsWhatWasSignedWhoeverSendsIt() public {
        bytes[2] memory calls = permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)));
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.expectEmit(address(usdc));
            emit IERC20.Approval(signer, stranger, VALUE);
            assertTrue(sent(calls[i]));
            assertEq(usdc.allowance(signer, stranger), VALUE);
            assertEq(usdc.nonces(signer), 1);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_permit_countsUntilItsDeadlineAndForeverWithoutOne() public {
        bytes[2] memory ending = permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)));
        uint256 forever = type(uint256).max;
        bytes[2] memory endless = permits(signer, VALUE, forever, sign(key, permitDigest(signer, stranger, VALUE, 0, forever)));
        for (uint256 i = 0; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.warp(START + 1);
            assertSays(ending[i], "TestUSDC: permit is expired");
            assertTrue(sent(endless[i]));
            assertTrue(vm.revertToState(snapshot));

            vm.warp(START);
            assertTrue(sent(ending[i]));
            assertTrue(vm.revertToState(snapshot));

            vm.warp(START - 1);
            assertTrue(sent(ending[i]));
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_permit_isUsedOnce() public {
        bytes[2] memory calls = permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)));
        assertTrue(sent(calls[0]));
        assertSays(calls[0], INVALID);
        assertSays(calls[1], INVALID);
        assertAllSay(permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 2, START))), INVALID);
        assertTrue(sent(permits(signer, 0, START, sign(key, permitDigest(signer, stranger, 0, 1, START)))[1]));
        assertEq(usdc.allowance(signer, stranger), 0);
        assertEq(usdc.nonces(signer), 2);
    }

    function test_permit_isRefusedOnOtherTermsThanSigned() public {
        bytes memory signature = sign(key, permitDigest(signer, stranger, VALUE, 0, START));
        assertAllSay(permits(poster, VALUE, START, signature), INVALID);
        assertAllSay(permits(signer, VALUE + 1, START, signature), INVALID);
        assertAllSay(permits(signer, VALUE, START + 1, signature), INVALID);
        assertAllSay(permits(signer, VALUE, START, sign(key, permitDigest(signer, poster, VALUE, 0, START))), INVALID);

        vm.chainId(block.chainid + 1);
        assertAllSay(permits(signer, VALUE, START, signature), INVALID);
    }

    function test_permit_isRefusedWhenSignedForAnotherToken() public {
        bytes[2] memory calls = permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)));
        address other = deploy("TestUSDC", "");
        for (uint256 i = 0; i < calls.length; ++i) {
            assertRefusedBy(other, stranger, calls[i], abi.encodeWithSelector(ERROR, INVALID));
        }
    }

    function test_permit_takesCanonicalSignaturesAlone() public {
        bytes memory signature = sign(key, permitDigest(signer, stranger, VALUE, 0, START));
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        assertAllSay(permits(signer, VALUE, START, malleated(signature)), INVALID);
        assertAllSay(permits(signer, VALUE, START, abi.encodePacked(r, s, v - 27)), INVALID);
        assertAllSay(permits(signer, VALUE, START, abi.encodePacked(r, s, uint8(29))), INVALID);
        assertSays(permits(signer, VALUE, START, abi.encodePacked(signature, uint8(0)))[1], INVALID);
        assertSays(permits(signer, VALUE, START, abi.encodePacked(r, s))[1], INVALID);
        assertSays(permits(signer, VALUE, START, "")[1], INVALID);
    }

    function test_permit_isSignedByNobodyForTheZeroAddress() public {
        assertAllSay(permits(address(0), VALUE, START, abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(27))), INVALID);
        assertAllSay(permits(address(0), VALUE, START, new bytes(65)), INVALID);
    }

    function test_permit_isRefusedForTheZeroSpender() public {
        bytes memory head = abi.encode(signer, address(0), VALUE, START);
        bytes memory signature = sign(key, permitDigest(signer, address(0), VALUE, 0, START));
        assertAllSay(permits(head, signature), "TestUSDC: approve to the zero address");
    }

    function test_permit_isRefusedWhilePaused() public {
        bytes[2] memory calls = permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)));
        usdc.pause();
        vm.warp(START + 1);
        assertAllSay(calls, "TestUSDC: paused");
        usdc.unpause();
        assertAllSay(calls, "TestUSDC: permit is expired");
    }

    function test_permit_isGivenAndTakenByTheBlacklisted() public {
        usdc.blacklist(signer);
        usdc.blacklist(stranger);
        assertTrue(sent(permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)))[0]));
        assertEq(usdc.allowance(signer, stranger), VALUE);
    }

    function test_permit_ofAContractWalletIsWhatTheWalletSays() public {
        address own = address(new SigningWallet(signer));
        bytes32 digest = permitDigest(own, stranger, VALUE, 0, START);
        (, uint256 otherKey) = makeAddrAndKey("other signer");
        assertAllSay(permits(own, VALUE, START, sign(otherKey, digest)), INVALID);
        bytes[2] memory calls = permits(own, VALUE, START, sign(key, digest));
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            assertTrue(sent(calls[i]));
            assertEq(usdc.allowance(own, stranger), VALUE);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_permit_ofAContractWalletMayBeOfAnyLength() public {
        (address second, uint256 secondKey) = makeAddrAndKey("second signer");
        address pair = address(new PairWallet(signer, second));
        bytes32 digest = permitDigest(pair, stranger, VALUE, 0, START);
        assertSays(permits(pair, VALUE, START, abi.encodePacked(sign(secondKey, digest), sign(key, digest)))[1], INVALID);
        assertTrue(sent(permits(pair, VALUE, START, abi.encodePacked(sign(key, digest), sign(secondKey, digest)))[1]));
        assertEq(usdc.allowance(pair, stranger), VALUE);
    }

    function test_permit_ofADelegatedKeyIsWhatItsDelegateSays() public {
        bytes[2] memory calls = permits(signer, VALUE, START, sign(key, permitDigest(signer, stranger, VALUE, 0, START)));
        uint256 snapshot = vm.snapshotState();
        vm.signAndAttachDelegation(address(new BatchDelegate()), key);
        assertAllSay(calls, INVALID);
        vm.signAndAttachDelegation(address(new ConsentingDelegate()), key);
        assertTrue(sent(calls[0]));
        assertTrue(vm.revertToState(snapshot));

        vm.signAndAttachDelegation(address(new ConsentingDelegate()), key);
        assertTrue(sent(calls[1]));
        assertEq(usdc.allowance(signer, stranger), VALUE);
    }

    function permits(address from, uint256 value, uint256 deadline, bytes memory signature) private view returns (bytes[2] memory) {
        return permits(abi.encode(from, stranger, value, deadline), signature);
    }

    function permits(bytes memory head, bytes memory signature) private pure returns (bytes[2] memory) {
        return inBothEncodings("permit", "address,address,uint256,uint256", head, signature);
    }

    function sent(bytes memory call) private returns (bool ok) {
        vm.prank(poster);
        (ok,) = address(usdc).call(call);
    }

    function assertSays(bytes memory call, string memory reason) private {
        assertRefusedBy(address(usdc), poster, call, abi.encodeWithSelector(ERROR, reason));
    }

    function assertAllSay(bytes[2] memory calls, string memory reason) private {
        assertSays(calls[0], reason);
        assertSays(calls[1], reason);
    }
}

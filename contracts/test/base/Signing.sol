// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { ClawPayTest } from "./ClawPayTest.sol";

/// @notice What wallets sign, written out here from the standards and the reference pages, without asking the contracts under test.
abstract contract Signing is ClawPayTest {
    /// @dev The terms of EIP-3009's transfer and receive, in the order in which they are signed.
    struct TokenAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    bytes32 internal constant DOMAIN_TYPE = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant PERMIT_TYPE = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 internal constant TRANSFER_TYPE =
        keccak256("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)");
    bytes32 internal constant RECEIVE_TYPE =
        keccak256("ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)");
    bytes32 internal constant CANCEL_TYPE = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    /// @dev What a poster offers, in the order in which it is signed.
    struct Offer {
        uint256 reward;
        uint256 deadline;
        uint256 maxRevisions;
        string contentURI;
    }

    bytes32 internal constant CREATE_AND_FUND_TAG = keccak256(
        "CreateAndFund(uint256 chainId,address escrow,address poster,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32 contentHash,bytes32 salt)"
    );
    bytes32 internal constant FUND_TAG = keccak256(
        "Fund(uint256 chainId,address escrow,address poster,uint256 runId,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32 contentHash,bytes32 salt)"
    );
    bytes32 internal constant STAKE_TAG =
        keccak256("Stake(uint256 chainId,address agentStake,address from,uint256 agentId,uint256 amount,bytes32 salt)");
    bytes32 internal constant FORWARD_TYPE =
        keccak256("ForwardRequest(address from,address to,uint256 value,uint256 gas,uint256 nonce,uint48 deadline,bytes data)");
    bytes32 internal constant SALT = keccak256("salt");
    uint256 internal constant VALID_FOR = 1 hours;

    /// @dev The key of an account that `makeAddr` named.
    function keyOf(string memory name) internal returns (uint256 key) {
        (, key) = makeAddrAndKey(name);
    }

    /// @dev Bytes r, s, v, as wallets return them.
    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function domainSeparator(string memory name, string memory version, address verifier) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256(bytes(name)), keccak256(bytes(version)), block.chainid, verifier));
    }

    function usdcDigest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator("USD Coin", "2", address(usdc)), structHash));
    }

    function permitDigest(address from, address spender, uint256 value, uint256 nonce, uint256 deadline) internal view returns (bytes32) {
        return usdcDigest(keccak256(abi.encode(PERMIT_TYPE, from, spender, value, nonce, deadline)));
    }

    function transferDigest(TokenAuthorization memory terms) internal view returns (bytes32) {
        return usdcDigest(keccak256(abi.encode(TRANSFER_TYPE, terms)));
    }

    function receiveDigest(TokenAuthorization memory terms) internal view returns (bytes32) {
        return usdcDigest(keccak256(abi.encode(RECEIVE_TYPE, terms)));
    }

    function cancelDigest(address authorizer, bytes32 nonce) internal view returns (bytes32) {
        return usdcDigest(keccak256(abi.encode(CANCEL_TYPE, authorizer, nonce)));
    }

    /// @dev The two calls that say the same, the signature as v, r, s and as bytes. `head` is everything before it.
    function inBothEncodings(string memory verb, string memory headTypes, bytes memory head, bytes memory signature)
        internal
        pure
        returns (bytes[2] memory calls)
    {
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        calls[0] = abi.encodePacked(
            bytes4(keccak256(abi.encodePacked(verb, "(", headTypes, ",uint8,bytes32,bytes32)"))), head, abi.encode(v, r, s)
        );
        // The bytes follow their own offset, which counts from the end of the selector.
        bytes memory tail = abi.encode(signature);
        assembly {
            mstore(add(tail, 0x20), add(mload(head), 0x20))
        }
        calls[1] = abi.encodePacked(bytes4(keccak256(abi.encodePacked(verb, "(", headTypes, ",bytes)"))), head, tail);
    }

    function split(bytes memory signature) internal pure returns (uint8 v, bytes32 r, bytes32 s) {
        assembly {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }

    /// @dev The other signature that the same key could have made: refused wherever signatures are canonical.
    function malleated(bytes memory signature) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        return abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
    }

    // What the market's verbs take

    function standardOffer() internal view returns (Offer memory) {
        return Offer({ reward: REWARD, deadline: claimDeadline(), maxRevisions: 3, contentURI: CONTENT });
    }

    /// @dev Reward and fee, the fee worked out on its own.
    function priceOf(Offer memory offer) internal pure returns (uint256) {
        return offer.reward + offer.reward / 20;
    }

    /// @dev Counts until one hour from now, for the spender's very next use.
    function permitFor(uint256 key, address from, address spender, uint256 value) internal view returns (ICustody.Permit memory) {
        uint256 deadline = vm.getBlockTimestamp() + VALID_FOR;
        return ICustody.Permit(deadline, sign(key, permitDigest(from, spender, value, usdc.nonces(from), deadline)));
    }

    function createAndFundNonce(address from, Offer memory offer, bytes32 salt) internal view returns (bytes32) {
        bytes32 contentHash = keccak256(bytes(offer.contentURI));
        return keccak256(
            abi.encode(
                CREATE_AND_FUND_TAG, block.chainid, escrow, from, offer.reward, offer.deadline, offer.maxRevisions, contentHash, salt
            )
        );
    }

    function fundNonce(address from, uint256 runId, Offer memory offer, bytes32 salt) internal view returns (bytes32) {
        bytes32 contentHash = keccak256(bytes(offer.contentURI));
        return keccak256(
            abi.encode(FUND_TAG, block.chainid, escrow, from, runId, offer.reward, offer.deadline, offer.maxRevisions, contentHash, salt)
        );
    }

    function stakeNonce(address from, uint256 id, uint256 amount, bytes32 salt) internal view returns (bytes32) {
        return keccak256(abi.encode(STAKE_TAG, block.chainid, agentStake, from, id, amount, salt));
    }

    /// @dev What the payer signs for `to` to take `value`, valid from now for an hour.
    function termsFor(address from, address to, uint256 value, bytes32 nonce) internal view returns (TokenAuthorization memory) {
        uint256 time = vm.getBlockTimestamp();
        return TokenAuthorization({ from: from, to: to, value: value, validAfter: time - 1, validBefore: time + VALID_FOR, nonce: nonce });
    }

    function authorized(TokenAuthorization memory terms, bytes32 salt, bytes memory signature)
        internal
        pure
        returns (ICustody.Authorization memory)
    {
        return ICustody.Authorization(terms.validAfter, terms.validBefore, salt, signature);
    }

    function authorize(uint256 key, TokenAuthorization memory terms, bytes32 salt) internal view returns (ICustody.Authorization memory) {
        return authorized(terms, salt, sign(key, receiveDigest(terms)));
    }

    // What relayers send

    function forwarded(uint256 key, address from, address to, bytes memory data)
        internal
        view
        returns (ERC2771Forwarder.ForwardRequestData memory request)
    {
        request.from = from;
        request.to = to;
        request.gas = 1_000_000;
        request.deadline = uint48(vm.getBlockTimestamp() + VALID_FOR);
        request.data = data;
        request.signature = sign(key, forwardDigest(request, forwarder.nonces(from)));
    }

    function forwardDigest(ERC2771Forwarder.ForwardRequestData memory request, uint256 nonce) internal view returns (bytes32) {
        bytes32 message = keccak256(
            abi.encode(FORWARD_TYPE, request.from, request.to, request.value, request.gas, nonce, request.deadline, keccak256(request.data))
        );
        return keccak256(abi.encodePacked(hex"1901", domainSeparator("ClawPay Runs", "1", address(forwarder)), message));
    }

    // Sending

    function send(address caller, address target, bytes memory call) internal returns (bytes memory returned) {
        bool ok;
        vm.prank(caller);
        (ok, returned) = target.call(call);
        assertTrue(ok, "refused");
    }

    /// @dev The token's own refusal, passed on as it is.
    function assertTokenRefuses(address target, address caller, bytes memory call, string memory reason) internal {
        assertRefusedBy(target, caller, call, abi.encodeWithSignature("Error(string)", reason));
    }
}

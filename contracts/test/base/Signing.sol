// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

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
}

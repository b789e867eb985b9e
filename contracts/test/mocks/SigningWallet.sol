// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC1271 } from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import { Address } from "@openzeppelin/contracts/utils/Address.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract wallet that consents to whatever its one signer signs, and calls whatever its signer tells it to.
contract SigningWallet is IERC1271 {
    address private immutable SIGNER;

    error NotSigner(address caller);

    constructor(address signer) {
        SIGNER = signer;
    }

    function execute(address target, bytes calldata call) external returns (bytes memory) {
        if (msg.sender != SIGNER) revert NotSigner(msg.sender);
        return Address.functionCall(target, call);
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recover(hash, signature) == SIGNER ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

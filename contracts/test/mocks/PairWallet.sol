// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC1271 } from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import { Address } from "@openzeppelin/contracts/utils/Address.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract wallet of two signers that consents by both signatures, one after the other: 130 bytes. Either may tell it to call.
contract PairWallet is IERC1271 {
    address private immutable FIRST;
    address private immutable SECOND;

    error NotSigner(address caller);

    constructor(address first, address second) {
        FIRST = first;
        SECOND = second;
    }

    function execute(address target, bytes calldata call) external returns (bytes memory) {
        if (msg.sender != FIRST && msg.sender != SECOND) revert NotSigner(msg.sender);
        return Address.functionCall(target, call);
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bool valid =
            signature.length == 130 && ECDSA.recover(hash, signature[:65]) == FIRST && ECDSA.recover(hash, signature[65:]) == SECOND;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

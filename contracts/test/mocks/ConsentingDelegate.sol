// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC1271 } from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import { BatchDelegate } from "./BatchDelegate.sol";

/// @notice A delegate that also answers by ERC-1271, for the account's own key. Signatures of 65 bytes count as they are; longer ones have
/// a session's name behind the signature, which is all that it takes to be of another length.
contract ConsentingDelegate is BatchDelegate, IERC1271 {
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recover(hash, signature[:65]) == address(this) ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

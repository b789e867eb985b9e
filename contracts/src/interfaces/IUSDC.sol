// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What the market asks of its token
/// @notice ERC-20, EIP-2612 permits and EIP-3009 authorizations, both with either encoding of the signature, as USDC has them since its
/// version 2.2. The (v, r, s) forms are the older ones and mean the same; the `bytes` forms take a contract wallet's signature of any length.
/// A token without permits or authorizations works too, by allowance alone.
interface IUSDC is IERC20 {
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;

    /// @notice Moves `value` to the caller, who must be `to`: only the payee can use this authorization.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title USDC in a contract's keeping: how it comes in, and what happens when it cannot go out
/// @notice Money comes in by ERC-20 allowance, by an EIP-2612 permit in the same transaction, or by an EIP-3009 authorization that anyone
/// may send. What arrives is measured. A payout that the token refuses is credited to its recipient, and paid later to that recipient only.
///
/// Signatures are taken as `bytes`: 65 of them are passed to the token as (r, s, v) in its older form, any other length in its `bytes` form,
/// which asks a contract wallet by ERC-1271. The token decides whether a signature is good.
interface ICustody {
    /// @notice The caller's EIP-2612 permit: owner is the caller, spender this contract, value exactly what the call takes. As the token has
    /// it, a permit replaces the allowance that was there, a larger one too, and the call leaves none of it.
    struct Permit {
        /// Last second at which the token accepts it.
        uint256 deadline;
        /// 65 bytes r, s, v; or what a contract wallet signs with.
        bytes signature;
    }

    /// @notice The payer's EIP-3009 `ReceiveWithAuthorization`: `to` is this contract, `value` exactly what the call takes, and `nonce` what
    /// the contract's nonce view of the verb answers, so that the one signature covers all terms.
    struct Authorization {
        /// The token accepts it after this second, and before `validBefore`, both exclusive.
        uint256 validAfter;
        uint256 validBefore;
        /// Tells apart two authorizations with the same terms. The payer's choice.
        bytes32 salt;
        /// 65 bytes r, s, v; or what a contract wallet signs with.
        bytes signature;
    }

    /// @notice The token refused a payout; it is owed to `account` and `payCredit` pays it.
    event PayoutCredited(uint256 indexed runId, address indexed account, uint256 amount);
    event CreditPaid(address indexed account, uint256 amount);

    /// @notice The token moved another amount than was asked.
    error Custody_WrongAmountReceived(uint256 expected, uint256 received);
    error Custody_NoCredit(address account);

    /// @notice Tries again to pay what is credited to `account`, only ever to `account`. Anyone. Reverts with the token's error.
    function payCredit(address account) external;

    /// @notice Base units owed to `account` because the token refused to pay it.
    function creditOf(address account) external view returns (uint256);

    function usdc() external view returns (address);
}

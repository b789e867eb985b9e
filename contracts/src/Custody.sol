// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Context } from "@openzeppelin/contracts/metatx/ERC2771Context.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import { ICustody } from "./interfaces/ICustody.sol";
import { IUSDC } from "./interfaces/IUSDC.sol";

/// @title USDC in a contract's keeping
/// @dev What both contracts that hold money do with the token. Callers of `_pull*` and `_pay` hold the reentrancy guard and have written
/// their facts and events before.
abstract contract Custody is ICustody, ERC2771Context, ReentrancyGuardTransient {
    using SafeERC20 for IUSDC;

    uint256 private constant VRS_LENGTH = 65;

    IUSDC internal immutable USDC;

    mapping(address account => uint256) private _credits;

    constructor(address usdc_, address forwarder_) ERC2771Context(forwarder_) {
        USDC = IUSDC(usdc_);
    }

    /// @inheritdoc ICustody
    function payCredit(address account) external nonReentrant {
        uint256 amount = _credits[account];
        if (amount == 0) revert Custody_NoCredit(account);

        _credits[account] = 0;
        emit CreditPaid(account, amount);

        USDC.safeTransfer(account, amount);
    }

    /// @inheritdoc ICustody
    function creditOf(address account) external view returns (uint256) {
        return _credits[account];
    }

    /// @inheritdoc ICustody
    function usdc() external view returns (address) {
        return address(USDC);
    }

    /// @dev Takes exactly `amount` by allowance; what arrives is measured, not believed.
    function _pull(address from, uint256 amount) internal {
        uint256 before = USDC.balanceOf(address(this));
        USDC.safeTransferFrom(from, address(this), amount);
        _requireReceived(before, amount);
    }

    /// @dev A permit that fails may have been sent by another account just before: the allowance decides.
    function _pullWithPermit(address from, uint256 amount, Permit calldata permit) internal {
        if (permit.signature.length == VRS_LENGTH) {
            (uint8 v, bytes32 r, bytes32 s) = _split(permit.signature);
            try USDC.permit(from, address(this), amount, permit.deadline, v, r, s) { } catch { }
        } else {
            try USDC.permit(from, address(this), amount, permit.deadline, permit.signature) { } catch { }
        }
        _pull(from, amount);
    }

    /// @dev `nonce` holds all terms, so the token's check of the signature is the check that the payer meant this call.
    function _pullWithAuthorization(address from, uint256 amount, bytes32 nonce, Authorization calldata authorization) internal {
        uint256 before = USDC.balanceOf(address(this));
        uint256 validAfter = authorization.validAfter;
        uint256 validBefore = authorization.validBefore;
        if (authorization.signature.length == VRS_LENGTH) {
            (uint8 v, bytes32 r, bytes32 s) = _split(authorization.signature);
            USDC.receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, v, r, s);
        } else {
            USDC.receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, authorization.signature);
        }
        _requireReceived(before, amount);
    }

    /// @dev Pays, or writes a credit where the token refuses: a recipient's trouble with the token holds no other party up.
    function _pay(uint256 runId, address account, uint256 amount) internal {
        if (!USDC.trySafeTransfer(account, amount)) {
            _credits[account] += amount;
            emit PayoutCredited(runId, account, amount);
        }
    }

    function _requireReceived(uint256 before, uint256 amount) private view {
        uint256 received = USDC.balanceOf(address(this)) - before;
        if (received != amount) revert Custody_WrongAmountReceived(amount, received);
    }

    function _split(bytes calldata signature) private pure returns (uint8 v, bytes32 r, bytes32 s) {
        (r, s, v) = (bytes32(signature[:32]), bytes32(signature[32:64]), uint8(signature[64]));
    }
}

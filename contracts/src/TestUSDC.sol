// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC3009, IERC3009Cancel } from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import { IERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import { MessageHashUtils } from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import { SignatureChecker } from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title A stand-in for USDC on local chains
/// @notice Behaves like the real token (FiatTokenV2_2) where its users can be hurt by it:
///
/// - six decimals, reverts that are strings, and an infinite allowance that is spent like any other;
/// - a pause that stops transfers, approvals, permits, authorizations and their cancellation;
/// - a blacklist that counts for the account that sends, receives or moves by allowance, even nothing, and for the token itself; not for approvals
///   and permits, nor for the one that submits an authorization that another account signed;
/// - permits (EIP-2612) and authorizations (EIP-3009) whose signature comes as v, r, s or as bytes. An account with code is asked by
///   ERC-1271, be the code its own or delegated to by EIP-7702, and its key alone counts for nothing then.
///
/// Where a call is at fault in several ways, the first of these is named: pause, blacklist (payer before payee), payee, time, use,
/// signature, allowance, zero address, balance.
///
/// There is no `eip712Domain()`, because the real token has none: a signer takes the domain from `name()` and `version()`.
///
/// Warning: anyone mints, blacklists and pauses. Local chains only.
contract TestUSDC is ERC20, IERC20Permit, IERC3009, IERC3009Cancel {
    /// @notice Version of the EIP-712 domain, as the real token names it.
    string public constant version = "2";

    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH =
        keccak256("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)");
    bytes32 private constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH =
        keccak256("ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)");
    bytes32 private constant CANCEL_AUTHORIZATION_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    /// @dev EIP-712 domain fields: name, version, chainId, verifyingContract.
    bytes1 private constant DOMAIN_FIELDS = 0x0f;

    bool public paused;
    mapping(address account => bool) public isBlacklisted;
    /// @notice The nonce of an owner's next permit.
    mapping(address owner => uint256) public override nonces;
    /// @notice Whether an authorization has been used or cancelled.
    mapping(address authorizer => mapping(bytes32 nonce => bool)) public override authorizationState;

    event Blacklisted(address indexed account);
    event UnBlacklisted(address indexed account);
    event Pause();
    event Unpause();

    modifier whenNotPaused() {
        require(!paused, "TestUSDC: paused");
        _;
    }

    modifier notBlacklisted(address account) {
        require(!isBlacklisted[account], "TestUSDC: account is blacklisted");
        _;
    }

    constructor() ERC20("USD Coin", "USDC") {
        isBlacklisted[address(this)] = true;
        emit Blacklisted(address(this));
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @inheritdoc IERC20Permit
    /// @dev Worked out for each call, so that it follows the chain through a fork.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return MessageHashUtils.toDomainSeparator(DOMAIN_FIELDS, name(), version, block.chainid, address(this), 0);
    }

    // What the operators of the real token do

    /// @param amount Base units; anyone may mint to anyone who may hold the token.
    function mint(address to, uint256 amount) external whenNotPaused notBlacklisted(_msgSender()) notBlacklisted(to) {
        require(to != address(0), "TestUSDC: mint to the zero address");
        _mint(to, amount);
    }

    function blacklist(address account) external {
        isBlacklisted[account] = true;
        emit Blacklisted(account);
    }

    function unBlacklist(address account) external {
        isBlacklisted[account] = false;
        emit UnBlacklisted(account);
    }

    function pause() external {
        paused = true;
        emit Pause();
    }

    function unpause() external {
        paused = false;
        emit Unpause();
    }

    // ERC-20

    function approve(address spender, uint256 value) public override whenNotPaused returns (bool) {
        _allow(_msgSender(), spender, value);
        return true;
    }

    function transfer(address to, uint256 value)
        public
        override
        whenNotPaused
        notBlacklisted(_msgSender())
        notBlacklisted(to)
        returns (bool)
    {
        _move(_msgSender(), to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value)
        public
        override
        whenNotPaused
        notBlacklisted(_msgSender())
        notBlacklisted(from)
        notBlacklisted(to)
        returns (bool)
    {
        _spendAllowance(from, _msgSender(), value);
        _move(from, to, value);
        return true;
    }

    // EIP-2612

    /// @inheritdoc IERC20Permit
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        permit(owner, spender, value, deadline, abi.encodePacked(r, s, v));
    }

    /// @param deadline Last second at which the permit counts; the largest number for no end.
    /// @param signature 65 bytes r, s, v from a key; from an account with code, whatever its `isValidSignature` understands.
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes memory signature) public whenNotPaused {
        require(block.timestamp <= deadline, "TestUSDC: permit is expired");
        _requireSigned(owner, keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, nonces[owner]++, deadline)), signature);
        _allow(owner, spender, value);
    }

    // EIP-3009

    /// @inheritdoc IERC3009
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        transferWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @param signature As `permit` takes it.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public whenNotPaused notBlacklisted(from) notBlacklisted(to) {
        _moveAuthorized(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce, signature);
    }

    /// @inheritdoc IERC3009
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
    ) external {
        receiveWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @param signature As `permit` takes it.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public whenNotPaused notBlacklisted(from) notBlacklisted(to) {
        require(to == _msgSender(), "TestUSDC: caller is not the payee");
        _moveAuthorized(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce, signature);
    }

    /// @inheritdoc IERC3009Cancel
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        cancelAuthorization(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    /// @param signature As `permit` takes it.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) public whenNotPaused {
        _useUp(authorizer, nonce, keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce)), signature);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    /// @dev Unlike the library's, which leaves an infinite allowance as it is.
    function _spendAllowance(address owner, address spender, uint256 value) internal override {
        uint256 allowed = allowance(owner, spender);
        require(allowed >= value, "TestUSDC: transfer exceeds allowance");
        _approve(owner, spender, allowed - value, false);
    }

    function _allow(address owner, address spender, uint256 value) private {
        require(spender != address(0), "TestUSDC: approve to the zero address");
        _approve(owner, spender, value);
    }

    function _move(address from, address to, uint256 value) private {
        require(to != address(0), "TestUSDC: transfer to the zero address");
        require(balanceOf(from) >= value, "TestUSDC: transfer exceeds balance");
        _transfer(from, to, value);
    }

    function _moveAuthorized(
        bytes32 typeHash,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) private {
        require(block.timestamp > validAfter, "TestUSDC: authorization is not valid yet");
        require(block.timestamp < validBefore, "TestUSDC: authorization has expired");
        _useUp(from, nonce, keccak256(abi.encode(typeHash, from, to, value, validAfter, validBefore, nonce)), signature);
        emit AuthorizationUsed(from, nonce);
        _move(from, to, value);
    }

    function _useUp(address authorizer, bytes32 nonce, bytes32 structHash, bytes memory signature) private {
        require(!authorizationState[authorizer][nonce], "TestUSDC: authorization was used or cancelled");
        _requireSigned(authorizer, structHash, signature);
        authorizationState[authorizer][nonce] = true;
    }

    /// @dev A key's signature must be canonical (65 bytes, low s, v of 27 or 28), and no key signs for the zero address.
    function _requireSigned(address signer, bytes32 structHash, bytes memory signature) private view {
        bytes32 digest = MessageHashUtils.toTypedDataHash(DOMAIN_SEPARATOR(), structHash);
        require(SignatureChecker.isValidSignatureNow(signer, digest, signature), "TestUSDC: invalid signature");
    }
}

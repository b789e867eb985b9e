// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Context } from "@openzeppelin/contracts/metatx/ERC2771Context.sol";
import { ERC721 } from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import { ERC721URIStorage } from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import { Context } from "@openzeppelin/contracts/utils/Context.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { SignatureChecker } from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import { IAgentRegistry } from "./interfaces/IAgentRegistry.sol";

/// @title Agent identities, by the ERC-8004 identity interface
/// @dev The agent wallet is stored once, by id; as metadata it is made up when asked for.
contract AgentRegistry is IAgentRegistry, ERC721URIStorage, EIP712, ERC2771Context {
    bytes32 private constant AGENT_WALLET_SET_TYPEHASH =
        keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
    string private constant AGENT_WALLET_KEY = "agentWallet";
    uint256 private constant MAX_CONSENT_AHEAD = 5 minutes;
    /// @dev Bytes of a URI, and of a metadata key and its value together.
    uint256 private constant MAX_LENGTH = 8192;

    uint256 private _agentCount;
    mapping(uint256 agentId => address) private _agentWallets;
    mapping(uint256 agentId => mapping(string metadataKey => bytes)) private _metadata;

    /// @param forwarder_ The ERC-2771 forwarder whose word on who is calling is taken; zero for none.
    constructor(address forwarder_) ERC721("AgentIdentity", "AGENT") EIP712("ERC8004IdentityRegistry", "1") ERC2771Context(forwarder_) { }

    modifier onlyAuthorized(uint256 agentId) {
        if (!_isAuthorized(_requireOwned(agentId), _msgSender(), agentId)) revert AgentRegistry_NotAuthorized(agentId, _msgSender());
        _;
    }

    /// @inheritdoc IAgentRegistry
    function register() external returns (uint256 agentId) {
        return _register("");
    }

    /// @inheritdoc IAgentRegistry
    function register(string calldata agentURI) external returns (uint256 agentId) {
        return _register(agentURI);
    }

    /// @inheritdoc IAgentRegistry
    function register(string calldata agentURI, MetadataEntry[] calldata metadata) external returns (uint256 agentId) {
        agentId = _register(agentURI);
        for (uint256 i = 0; i < metadata.length; ++i) {
            _setMetadata(agentId, metadata[i].metadataKey, metadata[i].metadataValue);
        }
    }

    /// @inheritdoc IAgentRegistry
    function setAgentURI(uint256 agentId, string calldata newURI) external onlyAuthorized(agentId) {
        _requireURILength(newURI);
        _setTokenURI(agentId, newURI);
        emit URIUpdated(agentId, newURI, _msgSender());
    }

    /// @inheritdoc IAgentRegistry
    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) external onlyAuthorized(agentId) {
        _setMetadata(agentId, metadataKey, metadataValue);
    }

    /// @inheritdoc IAgentRegistry
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature)
        external
        onlyAuthorized(agentId)
    {
        if (newWallet == address(0)) revert AgentRegistry_InvalidAgentWallet(newWallet);
        if (block.timestamp > deadline) revert AgentRegistry_SignatureExpired(deadline, block.timestamp);
        uint256 latest = block.timestamp + MAX_CONSENT_AHEAD;
        if (deadline > latest) revert AgentRegistry_DeadlineTooFar(deadline, latest);
        bytes32 consent = keccak256(abi.encode(AGENT_WALLET_SET_TYPEHASH, agentId, newWallet, ownerOf(agentId), deadline));
        if (!SignatureChecker.isValidSignatureNowCalldata(newWallet, _hashTypedDataV4(consent), signature)) {
            revert AgentRegistry_InvalidSignature(newWallet);
        }

        _setAgentWallet(agentId, newWallet);
    }

    /// @inheritdoc IAgentRegistry
    function unsetAgentWallet(uint256 agentId) external onlyAuthorized(agentId) {
        _setAgentWallet(agentId, address(0));
    }

    /// @inheritdoc IAgentRegistry
    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory) {
        _requireOwned(agentId);
        return _isReserved(metadataKey) ? _walletBytes(_agentWallets[agentId]) : _metadata[agentId][metadataKey];
    }

    /// @inheritdoc IAgentRegistry
    function getAgentWallet(uint256 agentId) external view returns (address) {
        _requireOwned(agentId);
        return _agentWallets[agentId];
    }

    /// @inheritdoc IAgentRegistry
    function agentCount() external view returns (uint256) {
        return _agentCount;
    }

    /// @dev A transfer leaves the agent without a wallet, be it to the same account.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from != address(0)) _setAgentWallet(tokenId, address(0));
    }

    function _register(string memory agentURI) private returns (uint256 agentId) {
        _requireURILength(agentURI);
        agentId = ++_agentCount;
        address owner = _msgSender();
        _mint(owner, agentId);
        if (bytes(agentURI).length != 0) _setTokenURI(agentId, agentURI);
        emit Registered(agentId, agentURI, owner);
        _setAgentWallet(agentId, owner);
    }

    function _setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) private {
        if (_isReserved(metadataKey)) revert AgentRegistry_ReservedMetadataKey(metadataKey);
        uint256 length = bytes(metadataKey).length + metadataValue.length;
        if (length > MAX_LENGTH) revert AgentRegistry_MetadataTooLong(length, MAX_LENGTH);
        _metadata[agentId][metadataKey] = metadataValue;
        emit MetadataSet(agentId, metadataKey, metadataKey, metadataValue);
    }

    function _setAgentWallet(uint256 agentId, address wallet) private {
        _agentWallets[agentId] = wallet;
        emit MetadataSet(agentId, AGENT_WALLET_KEY, AGENT_WALLET_KEY, _walletBytes(wallet));
    }

    function _walletBytes(address wallet) private pure returns (bytes memory) {
        return wallet == address(0) ? bytes("") : abi.encodePacked(wallet);
    }

    function _isReserved(string calldata metadataKey) private pure returns (bool) {
        return keccak256(bytes(metadataKey)) == keccak256(bytes(AGENT_WALLET_KEY));
    }

    function _requireURILength(string memory uri) private pure {
        if (bytes(uri).length > MAX_LENGTH) revert AgentRegistry_URITooLong(bytes(uri).length, MAX_LENGTH);
    }

    function _msgSender() internal view override(Context, ERC2771Context) returns (address) {
        return ERC2771Context._msgSender();
    }

    function _msgData() internal view override(Context, ERC2771Context) returns (bytes calldata) {
        return ERC2771Context._msgData();
    }

    function _contextSuffixLength() internal view override(Context, ERC2771Context) returns (uint256) {
        return ERC2771Context._contextSuffixLength();
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721 } from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import { IERC721Receiver } from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import { SignatureChecker } from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @notice A foreign ERC-8004 identity registry. Nothing in it is shared with `AgentRegistry`, and whatever the standard leaves open
/// is decided the other way: ids count from 0, the token is its own and calls receivers back on mint, facts live in namespaced storage,
/// the agent wallet is metadata, unknown ids have no wallet rather than an error, an agent can be burned, and errors have other names.
contract IndependentRegistry is IERC721 {
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    struct Identity {
        address owner;
        address approved;
        string uri;
        mapping(bytes32 keyHash => bytes) metadata;
    }

    struct Facts {
        uint256 next;
        mapping(uint256 agentId => Identity) identities;
        mapping(address owner => uint256) held;
        mapping(address owner => mapping(address operator => bool)) operators;
    }

    bytes32 private constant SLOT = keccak256("independent.registry.facts");
    bytes32 private constant WALLET_KEY = keccak256("agentWallet");

    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);
    event MetadataSet(uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue);

    error NoSuchAgent(uint256 agentId);
    error NotYours(uint256 agentId, address caller);
    error NotAReceiver(address to);
    error BadRecipient(address to);
    error WalletKeyIsReserved();
    error ConsentMissing(address wallet);
    error ConsentOverdue(uint256 deadline);

    // Identity

    function register() external returns (uint256) {
        return _register("");
    }

    function register(string calldata agentURI) external returns (uint256) {
        return _register(agentURI);
    }

    function register(string calldata agentURI, MetadataEntry[] calldata entries) external returns (uint256 agentId) {
        agentId = _register(agentURI);
        for (uint256 i = 0; i < entries.length; ++i) {
            _setMetadata(agentId, entries[i].metadataKey, entries[i].metadataValue);
        }
    }

    function setAgentURI(uint256 agentId, string calldata newURI) external {
        _requireMayAct(agentId).uri = newURI;
        emit URIUpdated(agentId, newURI, msg.sender);
    }

    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) external {
        _requireMayAct(agentId);
        _setMetadata(agentId, metadataKey, metadataValue);
    }

    /// @dev The wallet agrees over the standard's struct, in a domain of this registry's own.
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature) external {
        Identity storage identity = _requireMayAct(agentId);
        if (block.timestamp > deadline) revert ConsentOverdue(deadline);
        bytes32 consent = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                agentId,
                newWallet,
                identity.owner,
                deadline
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), consent));
        if (!SignatureChecker.isValidSignatureNow(newWallet, digest, signature)) revert ConsentMissing(newWallet);
        _setWallet(agentId, abi.encodePacked(newWallet));
    }

    function unsetAgentWallet(uint256 agentId) external {
        _requireMayAct(agentId);
        _setWallet(agentId, "");
    }

    function burn(uint256 agentId) external {
        address owner = _requireMayAct(agentId).owner;
        Facts storage facts = _facts();
        --facts.held[owner];
        delete facts.identities[agentId].owner;
        delete facts.identities[agentId].approved;
        emit Transfer(owner, address(0), agentId);
        _setWallet(agentId, "");
    }

    function getAgentWallet(uint256 agentId) external view returns (address) {
        return address(bytes20(_facts().identities[agentId].metadata[WALLET_KEY]));
    }

    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory) {
        return _facts().identities[agentId].metadata[keccak256(bytes(metadataKey))];
    }

    function tokenURI(uint256 agentId) external view returns (string memory) {
        return _identity(agentId).uri;
    }

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("IndependentRegistry"),
                keccak256("7"),
                block.chainid,
                address(this)
            )
        );
    }

    // ERC-721

    function approve(address to, uint256 agentId) external {
        Identity storage identity = _identity(agentId);
        if (msg.sender != identity.owner && !isApprovedForAll(identity.owner, msg.sender)) revert NotYours(agentId, msg.sender);
        identity.approved = to;
        emit Approval(identity.owner, to, agentId);
    }

    function setApprovalForAll(address operator, bool approved) external {
        _facts().operators[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function transferFrom(address from, address to, uint256 agentId) external {
        _move(from, to, agentId);
    }

    function safeTransferFrom(address from, address to, uint256 agentId) external {
        _move(from, to, agentId);
        _requireReceives(from, to, agentId, "");
    }

    function safeTransferFrom(address from, address to, uint256 agentId, bytes calldata data) external {
        _move(from, to, agentId);
        _requireReceives(from, to, agentId, data);
    }

    function ownerOf(uint256 agentId) external view returns (address) {
        return _identity(agentId).owner;
    }

    function balanceOf(address owner) external view returns (uint256) {
        return _facts().held[owner];
    }

    function getApproved(uint256 agentId) external view returns (address) {
        return _identity(agentId).approved;
    }

    function isApprovedForAll(address owner, address operator) public view returns (bool) {
        return _facts().operators[owner][operator];
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(IERC721).interfaceId || id == 0x01ffc9a7 || id == 0x5b5e139f;
    }

    function _register(string memory agentURI) private returns (uint256 agentId) {
        Facts storage facts = _facts();
        agentId = facts.next++;
        facts.identities[agentId].owner = msg.sender;
        facts.identities[agentId].uri = agentURI;
        ++facts.held[msg.sender];
        emit Transfer(address(0), msg.sender, agentId);
        emit Registered(agentId, agentURI, msg.sender);
        _setWallet(agentId, abi.encodePacked(msg.sender));
        _requireReceives(address(0), msg.sender, agentId, "");
    }

    function _move(address from, address to, uint256 agentId) private {
        Identity storage identity = _requireMayAct(agentId);
        if (identity.owner != from) revert NotYours(agentId, from);
        if (to == address(0)) revert BadRecipient(to);
        Facts storage facts = _facts();
        --facts.held[from];
        ++facts.held[to];
        (identity.owner, identity.approved) = (to, address(0));
        emit Transfer(from, to, agentId);
        _setWallet(agentId, "");
    }

    function _setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) private {
        bytes32 keyHash = keccak256(bytes(metadataKey));
        if (keyHash == WALLET_KEY) revert WalletKeyIsReserved();
        _facts().identities[agentId].metadata[keyHash] = metadataValue;
        emit MetadataSet(agentId, metadataKey, metadataKey, metadataValue);
    }

    function _setWallet(uint256 agentId, bytes memory wallet) private {
        _facts().identities[agentId].metadata[WALLET_KEY] = wallet;
        emit MetadataSet(agentId, "agentWallet", "agentWallet", wallet);
    }

    function _requireMayAct(uint256 agentId) private view returns (Identity storage identity) {
        identity = _identity(agentId);
        if (msg.sender != identity.owner && msg.sender != identity.approved && !isApprovedForAll(identity.owner, msg.sender)) {
            revert NotYours(agentId, msg.sender);
        }
    }

    function _requireReceives(address from, address to, uint256 agentId, bytes memory data) private {
        if (to.code.length == 0) return;
        if (IERC721Receiver(to).onERC721Received(msg.sender, from, agentId, data) != IERC721Receiver.onERC721Received.selector) {
            revert NotAReceiver(to);
        }
    }

    function _identity(uint256 agentId) private view returns (Identity storage identity) {
        identity = _facts().identities[agentId];
        if (identity.owner == address(0)) revert NoSuchAgent(agentId);
    }

    function _facts() private pure returns (Facts storage facts) {
        bytes32 slot = SLOT;
        assembly {
            facts.slot := slot
        }
    }
}

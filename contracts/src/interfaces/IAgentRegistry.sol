// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Agent identities, by the ERC-8004 identity interface
/// @notice Each agent is an ERC-721 token; anyone registers itself, and transferring the token transfers the agent. Ids count from 1.
/// No burn, no owner, and no receiver callback on mint. Unknown ids revert with `ERC721NonexistentToken`.
interface IAgentRegistry {
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);
    /// @dev The agent wallet is reported here too, under the reserved key `agentWallet`: 20 bytes, or none when it is unset.
    event MetadataSet(uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue);

    /// @notice The caller is neither the token's owner nor approved for it.
    error AgentRegistry_NotAuthorized(uint256 agentId, address caller);
    /// @notice `agentWallet` is only set by `setAgentWallet`, with the new wallet's signature.
    error AgentRegistry_ReservedMetadataKey(string metadataKey);
    error AgentRegistry_URITooLong(uint256 length, uint256 maximum);
    error AgentRegistry_MetadataTooLong(uint256 length, uint256 maximum);
    error AgentRegistry_InvalidAgentWallet(address newWallet);
    /// @notice The wallet's consent has expired.
    error AgentRegistry_SignatureExpired(uint256 deadline, uint256 timestamp);
    /// @notice The wallet's consent may run at most this far ahead.
    error AgentRegistry_DeadlineTooFar(uint256 deadline, uint256 latest);
    /// @notice The new wallet did not sign this.
    error AgentRegistry_InvalidSignature(address newWallet);

    /// @notice Mints the next agent to the caller. Its agent wallet is the caller until it is changed or the token moves.
    /// @dev Emits `Transfer`, `Registered`, then `MetadataSet` for the agent wallet and for each entry.
    function register() external returns (uint256 agentId);

    /// @param agentURI 0 to 8192 bytes, the registration file.
    function register(string calldata agentURI) external returns (uint256 agentId);

    function register(string calldata agentURI, MetadataEntry[] calldata metadata) external returns (uint256 agentId);

    /// @notice Owner or approved.
    function setAgentURI(uint256 agentId, string calldata newURI) external;

    /// @notice Empty where unset. The key `agentWallet` answers the agent wallet's 20 bytes.
    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory);

    /// @notice Owner or approved. Key and value together up to 8192 bytes. The key `agentWallet` is reserved.
    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) external;

    /// @notice Owner or approved. `newWallet` consents by EIP-712 (or ERC-1271) signature over
    /// `AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)`, at most five minutes ahead.
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature) external;

    /// @notice Zero when unset, as after each transfer.
    function getAgentWallet(uint256 agentId) external view returns (address);

    /// @notice Owner or approved.
    function unsetAgentWallet(uint256 agentId) external;

    /// @notice Agents registered so far; the last id.
    function agentCount() external view returns (uint256);
}

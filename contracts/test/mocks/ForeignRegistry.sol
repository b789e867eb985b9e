// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice A foreign ERC-8004 registry, whose ids start at zero and whose agents move when its operator says so.
contract ForeignRegistry {
    mapping(uint256 agentId => address) private _owners;
    mapping(uint256 agentId => address) private _wallets;

    error UnknownAgent(uint256 agentId);

    function set(uint256 agentId, address owner, address wallet) external {
        _owners[agentId] = owner;
        _wallets[agentId] = wallet;
    }

    function ownerOf(uint256 agentId) external view returns (address owner) {
        owner = _owners[agentId];
        if (owner == address(0)) revert UnknownAgent(agentId);
    }

    function getAgentWallet(uint256 agentId) external view returns (address) {
        return _wallets[agentId];
    }
}

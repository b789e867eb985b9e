// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @dev A token that remembers what was paid out, and refuses to on request.
contract StubToken {
    uint256 public payments;
    address public paidTo;
    uint256 public paid;
    uint256 public pulled;
    bool public refuses;

    function setRefusing(bool refuses_) external {
        refuses = refuses_;
    }

    function balanceOf(address) external view returns (uint256) {
        return pulled;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (refuses) return false;
        payments += 1;
        paidTo = to;
        paid = amount;
        return true;
    }

    function transferFrom(address, address, uint256 amount) external returns (bool) {
        pulled += amount;
        return true;
    }
}

/// @dev A registry whose every agent belongs to one account.
contract StubRegistry {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function ownerOf(uint256) external view returns (address) {
        return OWNER;
    }

    function getAgentWallet(uint256) external view returns (address) {
        return OWNER;
    }
}

/// @dev A stake contract that agrees to everything, and is any escrow's.
contract StubStake {
    address public immutable usdc;
    address public immutable agentRegistry;

    constructor(address usdc_, address registry) {
        usdc = usdc_;
        agentRegistry = registry;
    }

    function runEscrow() external view returns (address) {
        return msg.sender;
    }

    function commit(uint256, address) external pure returns (uint256) {
        return 10e6;
    }

    function release(uint256, bool) external { }

    function slash(uint256, uint256, address) external pure returns (uint256) {
        return 10e6;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Address } from "@openzeppelin/contracts/utils/Address.sol";

/// @notice What a key delegates to by EIP-7702 to send several calls at once. It knows nothing of ERC-1271.
contract BatchDelegate {
    struct Call {
        address target;
        bytes data;
    }

    error NotAccount(address caller);

    function execute(Call[] calldata calls) external {
        if (msg.sender != address(this)) revert NotAccount(msg.sender);
        for (uint256 i = 0; i < calls.length; ++i) {
            Address.functionCall(calls[i].target, calls[i].data);
        }
    }
}

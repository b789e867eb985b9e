// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { TestUSDC } from "../../src/TestUSDC.sol";

/// @notice Takes signatures like USDC and keeps one unit of every transfer for itself.
contract SkimmingUSDC is TestUSDC {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(this), 1);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { PlainToken } from "./PlainToken.sol";

/// @notice Keeps one unit of every transfer for itself.
contract SkimmingToken is PlainToken {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(this), 1);
    }
}

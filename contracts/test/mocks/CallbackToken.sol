// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { PlainToken } from "./PlainToken.sol";

/// @notice Calls a contract back in the middle of every transfer, and remembers how that ended.
contract CallbackToken is PlainToken {
    address private _target;
    bytes private _call;
    bool public called;
    bool public succeeded;
    bytes public answer;

    function arm(address target, bytes calldata call) external {
        (_target, _call, called) = (target, call, false);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (_target == address(0)) return;
        address target = _target;
        _target = address(0);
        called = true;
        (succeeded, answer) = target.call(_call);
    }
}

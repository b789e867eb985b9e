// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice The library's ERC-20 with six decimals and nothing else, so that gas is comparable between systems.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLAIN") { }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A stand-in for USDC on local chains
/// @notice Behaves like the real token where its users can be hurt by it: six decimals, a blacklist that counts for sender, caller and
/// recipient even of nothing, a pause, an infinite allowance that is spent like any other, and reverts that are strings.
///
/// Warning: anyone mints, blacklists and pauses. Local chains only.
contract TestUSDC is ERC20 {
    /// @notice Version of the EIP-712 domain, as the real token names it.
    string public constant version = "2";

    bool public paused;
    mapping(address account => bool) public isBlacklisted;

    event Blacklisted(address indexed account);
    event UnBlacklisted(address indexed account);
    event Pause();
    event Unpause();

    modifier whenNotPaused() {
        require(!paused, "TestUSDC: paused");
        _;
    }

    modifier notBlacklisted(address account) {
        require(!isBlacklisted[account], "TestUSDC: account is blacklisted");
        _;
    }

    constructor() ERC20("USD Coin", "USDC") {
        isBlacklisted[address(this)] = true;
        emit Blacklisted(address(this));
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @param amount Base units; anyone may mint to anyone who may hold the token.
    function mint(address to, uint256 amount) external whenNotPaused notBlacklisted(_msgSender()) notBlacklisted(to) {
        require(to != address(0), "TestUSDC: mint to the zero address");
        _mint(to, amount);
    }

    function blacklist(address account) external {
        isBlacklisted[account] = true;
        emit Blacklisted(account);
    }

    function unBlacklist(address account) external {
        isBlacklisted[account] = false;
        emit UnBlacklisted(account);
    }

    function pause() external {
        paused = true;
        emit Pause();
    }

    function unpause() external {
        paused = false;
        emit Unpause();
    }

    function approve(address spender, uint256 value)
        public
        override
        whenNotPaused
        notBlacklisted(_msgSender())
        notBlacklisted(spender)
        returns (bool)
    {
        require(spender != address(0), "TestUSDC: approve to the zero address");
        return super.approve(spender, value);
    }

    function transfer(address to, uint256 value)
        public
        override
        whenNotPaused
        notBlacklisted(_msgSender())
        notBlacklisted(to)
        returns (bool)
    {
        _requireMovable(_msgSender(), to, value);
        return super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value)
        public
        override
        whenNotPaused
        notBlacklisted(_msgSender())
        notBlacklisted(from)
        notBlacklisted(to)
        returns (bool)
    {
        _requireMovable(from, to, value);
        return super.transferFrom(from, to, value);
    }

    /// @dev Unlike the library's, which leaves an infinite allowance as it is.
    function _spendAllowance(address owner, address spender, uint256 value) internal override {
        uint256 allowed = allowance(owner, spender);
        require(allowed >= value, "TestUSDC: transfer exceeds allowance");
        _approve(owner, spender, allowed - value, false);
    }

    function _requireMovable(address from, address to, uint256 value) private view {
        require(to != address(0), "TestUSDC: transfer to the zero address");
        require(balanceOf(from) >= value, "TestUSDC: transfer exceeds balance");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { MarketActors } from "../MarketActors.sol";

/// @notice The token's owner: blacklists any account, the two contracts and the treasury included, and pauses it, for a while.
abstract contract TokenHandler is MarketActors {
    uint256 private constant MOST_BLACKLISTED = 2;

    address[] private _blacklisted;
    /// @notice How often the token turned hostile, by whom it hit: all alike (a pause), a party, a contract.
    uint256 public pauses;
    uint256 public partiesBlacklisted;
    uint256 public contractsBlacklisted;

    /// @dev Paused one time in ten, and then until its next turn: a market in which nothing can begin shows nothing.
    function ruleToken(uint256 seed) external {
        if (_market.usdc.paused()) {
            _market.usdc.unpause();
        } else if (_roll(seed, "pause", 10) == 0) {
            _market.usdc.pause();
            ++pauses;
        } else {
            _blacklist(_roll(seed, "who", ACCOUNTS + 2));
        }
    }

    /// @dev The last two are the contracts. Once it is enough, everybody is let go.
    function _blacklist(uint256 who) private {
        if (_blacklisted.length == MOST_BLACKLISTED) return _pardon();
        address account = who < ACCOUNTS ? _accounts[who] : who == ACCOUNTS ? address(_market.escrow) : address(_market.stakes);
        if (_market.usdc.isBlacklisted(account)) return;
        _market.usdc.blacklist(account);
        _blacklisted.push(account);
        if (who < ACCOUNTS) ++partiesBlacklisted;
        else ++contractsBlacklisted;
    }

    function _pardon() internal {
        for (; _blacklisted.length != 0; _blacklisted.pop()) {
            _market.usdc.unBlacklist(_blacklisted[_blacklisted.length - 1]);
        }
    }
}

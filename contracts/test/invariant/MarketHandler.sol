// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { MarketActors } from "./MarketActors.sol";
import { Market } from "./MarketCalls.sol";
import { AgentHandler } from "./handlers/AgentHandler.sol";
import { OwnerHandler } from "./handlers/OwnerHandler.sol";
import { PosterHandler } from "./handlers/PosterHandler.sol";
import { RefusalHandler } from "./handlers/RefusalHandler.sol";
import { Settlement } from "./handlers/Settlement.sol";
import { StrangerHandler } from "./handlers/StrangerHandler.sol";
import { TimeHandler } from "./handlers/TimeHandler.sol";

/// @notice Everybody who takes part. Each handler picks calls that the rules allow, so that a revert is a finding; `RefusalHandler` alone
/// tries the others.
contract MarketHandler is PosterHandler, AgentHandler, StrangerHandler, OwnerHandler, TimeHandler, RefusalHandler, Settlement {
    constructor(Market memory market) MarketActors(market) { }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice commit, release and slash of the stake
/// └── caller is not the escrow, be it the agent, the poster or the escrow's owner: refused
contract EscrowOnlyTest is ClawPayTest {
    function test_escrowOnly_refusesEverybodyElse() public {
        claimedRun();
        address[4] memory callers = [wallet, poster, owner, address(registry)];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(IAgentStake.AgentStake_NotEscrow.selector, callers[i]);
            assertRefusedBy(address(agentStake), callers[i], abi.encodeCall(agentStake.commit, (agentId, wallet)), reason);
            assertRefusedBy(address(agentStake), callers[i], abi.encodeCall(agentStake.release, (agentId, true)), reason);
            assertRefusedBy(address(agentStake), callers[i], abi.encodeCall(agentStake.slash, (agentId, 1, poster)), reason);
        }
    }
}

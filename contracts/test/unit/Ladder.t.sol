// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { AgentStatus } from "../../src/interfaces/IAgentStake.sol";
import { TrustLadder } from "../../src/libraries/TrustLadder.sol";
import { AgentRecord } from "../../src/types/AgentRecord.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice the trust ladder, the first that applies
/// ├── three slashes or more: BANNED
/// ├── something owed: FROZEN
/// ├── stake below the minimum: UNVERIFIED
/// ├── 30 days without interruption and five completions: ESTABLISHED
/// └── otherwise: PROVISIONAL
contract LadderTest is ClawPayTest {
    AgentRecord private constant EMPTY = AgentRecord.wrap(0);

    function test_ladder_bansFromTheThirdSlashWhateverElseHolds() public pure {
        AgentRecord best = established().withOwed(1);
        assertStatus(best.withSlashes(2), START, AgentStatus.FROZEN);
        assertStatus(best.withSlashes(3), START, AgentStatus.BANNED);
        assertStatus(EMPTY.withSlashes(4), START, AgentStatus.BANNED);
    }

    function test_ladder_freezesWhileAnythingIsOwed() public pure {
        assertStatus(established().withOwed(1), START, AgentStatus.FROZEN);
        assertStatus(EMPTY.withOwed(1), START, AgentStatus.FROZEN);
        assertStatus(established().withSlashes(2), START, AgentStatus.ESTABLISHED);
    }

    function test_ladder_verifiesFromTheMinimumStake() public pure {
        assertStatus(EMPTY, START, AgentStatus.UNVERIFIED);
        assertStatus(EMPTY.withStake(uint64(MINIMUM_STAKE - 1)), START, AgentStatus.UNVERIFIED);
        assertStatus(EMPTY.withStake(uint64(MINIMUM_STAKE)).withStakedSince(uint40(START)), START, AgentStatus.PROVISIONAL);
    }

    function test_ladder_establishesAfter30DaysAndFiveCompletions() public pure {
        AgentRecord record = EMPTY.withStake(uint64(MINIMUM_STAKE)).withStakedSince(uint40(START));
        uint256 from = START + 30 days;
        assertStatus(record.withCompletions(4), from + 1, AgentStatus.PROVISIONAL);
        assertStatus(record.withCompletions(5), from - 1, AgentStatus.PROVISIONAL);
        assertStatus(record.withCompletions(5), from, AgentStatus.ESTABLISHED);
        assertStatus(record.withCompletions(5), from + 1, AgentStatus.ESTABLISHED);
        assertStatus(record.withCompletions(type(uint32).max), from, AgentStatus.ESTABLISHED);
    }

    function test_ladder_onlyProvisionalAndEstablishedMayClaim() public pure {
        assertFalse(TrustLadder.mayClaim(AgentStatus.UNVERIFIED));
        assertTrue(TrustLadder.mayClaim(AgentStatus.PROVISIONAL));
        assertTrue(TrustLadder.mayClaim(AgentStatus.ESTABLISHED));
        assertFalse(TrustLadder.mayClaim(AgentStatus.FROZEN));
        assertFalse(TrustLadder.mayClaim(AgentStatus.BANNED));
    }

    function test_ladder_isClimbedOnChainByTimeAndWork() public {
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.PROVISIONAL));
            approvedRun();
        }
        vm.warp(START + 30 days - 1);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.PROVISIONAL));
        vm.warp(START + 30 days);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.ESTABLISHED));
        assertEq(uint256(agentStake.getAgent(agentId).status), uint256(AgentStatus.ESTABLISHED));
    }

    function test_ladder_restartsTheTimeOnceAnEstablishedAgentFellBelowTheMinimum() public {
        for (uint256 i = 0; i < 5; ++i) {
            approvedRun();
        }
        vm.warp(START + 30 days);
        vm.prank(wallet);
        agentStake.unstake(agentId, AGENT_STAKE);
        stakeFor(agentId, wallet, AGENT_STAKE);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.PROVISIONAL));
        skip(30 days);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.ESTABLISHED));
    }

    function test_ladder_knowsNothingOfUnknownAgents() public view {
        assertEq(uint256(agentStake.statusOf(404)), uint256(AgentStatus.UNVERIFIED));
        assertEq(agentStake.getAgent(404).stake, 0);
    }

    function established() private pure returns (AgentRecord) {
        return EMPTY.withStake(uint64(MINIMUM_STAKE)).withStakedSince(uint40(START - 30 days)).withCompletions(5);
    }

    function assertStatus(AgentRecord record, uint256 timestamp, AgentStatus expected) private pure {
        AgentStatus status = TrustLadder.statusOf(record, MINIMUM_STAKE, 3, 30 days, 5, timestamp);
        assertEq(uint256(status), uint256(expected));
    }
}

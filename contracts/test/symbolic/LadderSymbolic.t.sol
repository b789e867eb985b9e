// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { AgentStatus } from "../../src/interfaces/IAgentStake.sol";
import { TrustLadder } from "../../src/libraries/TrustLadder.sol";
import { AgentRecord } from "../../src/types/AgentRecord.sol";

/// @dev The ladder behind calls, so that a revert can be seen.
contract Ladder {
    uint256 internal constant MINIMUM_STAKE = 20e6;
    uint256 internal constant AT_RISK = 10e6;

    function statusOf(uint256 word, uint256 timestamp) external pure returns (AgentStatus) {
        return TrustLadder.statusOf(AgentRecord.wrap(word), MINIMUM_STAKE, 3, 30 days, 5, timestamp);
    }

    function amounts(uint256 word, AgentStatus status) external pure returns (uint256 free, uint256 withdrawable) {
        free = TrustLadder.free(AgentRecord.wrap(word), AT_RISK);
        withdrawable = TrustLadder.withdrawable(AgentRecord.wrap(word), status, MINIMUM_STAKE, AT_RISK);
    }
}

/// @notice the trust ladder over every record there can be, and every time
contract LadderSymbolicTest is Test {
    uint256 private constant AT_RISK = 10e6;

    Ladder private ladder;

    function setUp() public {
        ladder = new Ladder();
    }

    /// @notice Every record has exactly one status, which is the first rung that holds.
    function check_status_isTotalAndTheFirstThatHolds(uint256 word, uint256 timestamp) public view {
        AgentRecord record = AgentRecord.wrap(word);
        (bool ok, bytes memory answer) = address(ladder).staticcall(abi.encodeCall(Ladder.statusOf, (word, timestamp)));
        assert(ok);
        AgentStatus status = abi.decode(answer, (AgentStatus));
        bool banned = record.slashes() > 2;
        bool frozen = !banned && record.owed() > 0;
        bool unverified = !banned && !frozen && record.stake() < 20e6;
        bool seasoned = timestamp >= uint256(record.stakedSince()) + 2_592_000 && record.completions() > 4;
        bool standing = !banned && !frozen && !unverified;
        assert((status == AgentStatus.BANNED) == banned);
        assert((status == AgentStatus.FROZEN) == frozen);
        assert((status == AgentStatus.UNVERIFIED) == unverified);
        assert((status == AgentStatus.ESTABLISHED) == (standing && seasoned));
        assert((status == AgentStatus.PROVISIONAL) == (standing && !seasoned));
        assert(TrustLadder.mayClaim(status) == standing);
    }

    /// @notice What may leave is never committed, and is nothing while the agent is FROZEN.
    function check_withdrawable_isNeverCommitted(uint256 word, uint8 rung) public view {
        AgentRecord record = AgentRecord.wrap(word);
        vm.assume(rung <= uint8(type(AgentStatus).max));
        uint256 committed;
        unchecked {
            // 32 bits times 24: a check of that is hard to see through.
            committed = uint256(record.runsInHand()) * AT_RISK;
        }
        vm.assume(committed <= record.stake());
        (bool ok, bytes memory answer) = address(ladder).staticcall(abi.encodeCall(Ladder.amounts, (word, AgentStatus(rung))));
        assert(ok);
        (uint256 free, uint256 withdrawable) = abi.decode(answer, (uint256, uint256));
        assert(free == record.stake() - committed);
        assert(withdrawable <= free);
        if (AgentStatus(rung) == AgentStatus.FROZEN) assert(withdrawable == 0);
        else if (record.runsInHand() == 0) assert(withdrawable == record.stake());
        else assert(withdrawable == 0 || record.stake() - withdrawable >= 20e6);
    }
}

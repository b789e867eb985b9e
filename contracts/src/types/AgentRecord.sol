// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @dev Everything stored about an agent. Zero for an agent that never staked.
///
///     bit 255     192 191    136 135        104 103      72 71          40 39          0
///         | stake 64 | owed 56  | runsInHand 32 | slashes 32 | completions 32 | stakedSince 40 |
type AgentRecord is uint256;

using AgentRecords for AgentRecord global;

/// @title The storage word of an agent
/// @dev Setters take values of the field's own width, so arithmetic on a field is checked by the compiler and never truncated.
library AgentRecords {
    uint256 private constant STAKE_SHIFT = 192;
    uint256 private constant OWED_SHIFT = 136;
    uint256 private constant RUNS_SHIFT = 104;
    uint256 private constant SLASHES_SHIFT = 72;
    uint256 private constant COMPLETIONS_SHIFT = 40;

    function stake(AgentRecord record) internal pure returns (uint64) {
        return uint64(AgentRecord.unwrap(record) >> STAKE_SHIFT);
    }

    function owed(AgentRecord record) internal pure returns (uint56) {
        return uint56(AgentRecord.unwrap(record) >> OWED_SHIFT);
    }

    function runsInHand(AgentRecord record) internal pure returns (uint32) {
        return uint32(AgentRecord.unwrap(record) >> RUNS_SHIFT);
    }

    function slashes(AgentRecord record) internal pure returns (uint32) {
        return uint32(AgentRecord.unwrap(record) >> SLASHES_SHIFT);
    }

    function completions(AgentRecord record) internal pure returns (uint32) {
        return uint32(AgentRecord.unwrap(record) >> COMPLETIONS_SHIFT);
    }

    function stakedSince(AgentRecord record) internal pure returns (uint40) {
        return uint40(AgentRecord.unwrap(record));
    }

    function withStake(AgentRecord record, uint64 value) internal pure returns (AgentRecord) {
        return _with(record, STAKE_SHIFT, type(uint64).max, value);
    }

    function withOwed(AgentRecord record, uint56 value) internal pure returns (AgentRecord) {
        return _with(record, OWED_SHIFT, type(uint56).max, value);
    }

    function withRunsInHand(AgentRecord record, uint32 value) internal pure returns (AgentRecord) {
        return _with(record, RUNS_SHIFT, type(uint32).max, value);
    }

    function withSlashes(AgentRecord record, uint32 value) internal pure returns (AgentRecord) {
        return _with(record, SLASHES_SHIFT, type(uint32).max, value);
    }

    function withCompletions(AgentRecord record, uint32 value) internal pure returns (AgentRecord) {
        return _with(record, COMPLETIONS_SHIFT, type(uint32).max, value);
    }

    function withStakedSince(AgentRecord record, uint40 value) internal pure returns (AgentRecord) {
        return _with(record, 0, type(uint40).max, value);
    }

    function _with(AgentRecord record, uint256 shift, uint256 mask, uint256 value) private pure returns (AgentRecord) {
        return AgentRecord.wrap((AgentRecord.unwrap(record) & ~(mask << shift)) | (value << shift));
    }
}

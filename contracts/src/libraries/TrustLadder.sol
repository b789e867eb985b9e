// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { AgentStatus } from "../interfaces/IAgentStake.sol";
import { AgentRecord } from "../types/AgentRecord.sol";

/// @title The trust ladder: what an agent's record and chain time say about it
/// @dev Pure. Amounts in USDC base units, times in seconds.
library TrustLadder {
    /// @param minimumStake Stake needed to claim any run.
    /// @param bannedAfterSlashes Slashes after which an agent is BANNED.
    /// @param establishedAfter Uninterrupted seconds at or above the minimum stake before an agent is ESTABLISHED.
    /// @param establishedCompletions Completions before an agent is ESTABLISHED.
    function statusOf(
        AgentRecord record,
        uint256 minimumStake,
        uint256 bannedAfterSlashes,
        uint256 establishedAfter,
        uint256 establishedCompletions,
        uint256 timestamp
    ) internal pure returns (AgentStatus) {
        if (record.slashes() >= bannedAfterSlashes) return AgentStatus.BANNED;
        if (record.owed() != 0) return AgentStatus.FROZEN;
        if (record.stake() < minimumStake) return AgentStatus.UNVERIFIED;
        bool established = timestamp >= record.stakedSince() + establishedAfter && record.completions() >= establishedCompletions;
        return established ? AgentStatus.ESTABLISHED : AgentStatus.PROVISIONAL;
    }

    /// @notice Whether an agent of this standing may claim runs.
    function mayClaim(AgentStatus status) internal pure returns (bool) {
        return status == AgentStatus.PROVISIONAL || status == AgentStatus.ESTABLISHED;
    }

    /// @notice Stake that answers for runs in hand. `stakeAtRisk` is at most the minimum stake, which has 56 bits.
    function committed(AgentRecord record, uint256 stakeAtRisk) internal pure returns (uint256) {
        unchecked {
            // 32 bits and 56: the product does not come near the word's end.
            return record.runsInHand() * stakeAtRisk;
        }
    }

    /// @notice Stake that could answer for another run. Never negative: a commitment is only ever made out of free stake, and leaves with it.
    function free(AgentRecord record, uint256 stakeAtRisk) internal pure returns (uint256) {
        return record.stake() - committed(record, stakeAtRisk);
    }

    /// @notice Stake that may leave now. With runs in hand the minimum stays, or more where more is committed; a FROZEN agent withdraws
    /// nothing until it has staked again what was slashed, a BANNED one need not.
    function withdrawable(AgentRecord record, AgentStatus status, uint256 minimumStake, uint256 stakeAtRisk)
        internal
        pure
        returns (uint256)
    {
        if (status == AgentStatus.FROZEN) return 0;
        uint256 stake = record.stake();
        if (record.runsInHand() == 0) return stake;
        uint256 staying = committed(record, stakeAtRisk);
        if (staying < minimumStake) staying = minimumStake;
        return stake > staying ? stake - staying : 0;
    }
}

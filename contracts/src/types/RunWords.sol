// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { RunState } from "../interfaces/IRunEscrow.sol";

/// @dev What the poster promised, written at creation. Only the stage ever changes, and nothing does once the run left OPEN.
///
///     bit 255        96 95       40 39        4 3   2 1            0
///         | poster 160 | reward 56 | deadline 36 | stage | maxRevisions |
///
/// A poster is never zero, so the word is zero exactly when no run has the id.
type RunTerms is uint256;

/// @dev How far the work has come, written at the claim and with every step after it; zero before.
///
///     bit 255        96 95        48 47   44 43      40 39        0
///         | wallet 160 | agentId 48 | state 4 | revisions 4 | deadline 40 |
///
/// The wallet is never zero once claimed. An agent id may be zero in a foreign registry, so presence is read from the wallet alone.
/// `deadline` is `dueAt` while the agent must act and `reviewBy` while the poster must; in a terminal state it is the last one that ran.
type RunProgress is uint256;

/// @notice What became of a run before any claim.
enum RunStage {
    DRAFT,
    FUNDED,
    CANCELLED
}

using RunWords for RunTerms global;
using RunWords for RunProgress global;

/// @title The two storage words of a run
/// @dev Nothing here checks that a value fits its field: `RunRules` bounds reward, deadline and maxRevisions at the door, and the fields of
/// the progress word have Solidity types of their own width.
library RunWords {
    uint256 private constant POSTER_SHIFT = 96;
    uint256 private constant REWARD_SHIFT = 40;
    uint256 private constant CLAIM_DEADLINE_SHIFT = 4;
    uint256 private constant CLAIM_DEADLINE_MASK = (1 << 36) - 1;
    uint256 private constant STAGE_SHIFT = 2;
    uint256 private constant TWO_BITS = 3;

    uint256 private constant WALLET_SHIFT = 96;
    uint256 private constant AGENT_SHIFT = 48;
    uint256 private constant STATE_SHIFT = 44;
    uint256 private constant REVISIONS_SHIFT = 40;
    uint256 private constant FOUR_BITS = 15;

    function packTerms(address poster_, uint256 reward_, uint256 deadline_, uint256 maxRevisions_, RunStage stage_)
        internal
        pure
        returns (RunTerms)
    {
        return RunTerms.wrap(
            (uint256(uint160(poster_)) << POSTER_SHIFT) | (reward_ << REWARD_SHIFT) | (deadline_ << CLAIM_DEADLINE_SHIFT)
                | (uint256(stage_) << STAGE_SHIFT) | maxRevisions_
        );
    }

    function exists(RunTerms terms) internal pure returns (bool) {
        return RunTerms.unwrap(terms) != 0;
    }

    function poster(RunTerms terms) internal pure returns (address) {
        return address(uint160(RunTerms.unwrap(terms) >> POSTER_SHIFT));
    }

    function reward(RunTerms terms) internal pure returns (uint256) {
        return uint56(RunTerms.unwrap(terms) >> REWARD_SHIFT);
    }

    function deadline(RunTerms terms) internal pure returns (uint256) {
        return (RunTerms.unwrap(terms) >> CLAIM_DEADLINE_SHIFT) & CLAIM_DEADLINE_MASK;
    }

    function stage(RunTerms terms) internal pure returns (RunStage) {
        return RunStage((RunTerms.unwrap(terms) >> STAGE_SHIFT) & TWO_BITS);
    }

    function maxRevisions(RunTerms terms) internal pure returns (uint256) {
        return RunTerms.unwrap(terms) & TWO_BITS;
    }

    function withStage(RunTerms terms, RunStage stage_) internal pure returns (RunTerms) {
        return RunTerms.wrap((RunTerms.unwrap(terms) & ~(TWO_BITS << STAGE_SHIFT)) | (uint256(stage_) << STAGE_SHIFT));
    }

    /// @notice The state of a run that no agent has claimed, as `RunState` counts them.
    function unclaimedState(RunTerms terms) internal pure returns (uint256) {
        RunStage stage_ = stage(terms);
        if (stage_ == RunStage.FUNDED) return uint256(RunState.OPEN);
        return uint256(stage_ == RunStage.DRAFT ? RunState.DRAFT : RunState.CANCELLED);
    }

    function packProgress(address wallet_, uint48 agentId_, RunState state_, uint8 revisions_, uint40 deadline_)
        internal
        pure
        returns (RunProgress)
    {
        return RunProgress.wrap(
            (uint256(uint160(wallet_)) << WALLET_SHIFT) | (uint256(agentId_) << AGENT_SHIFT) | (uint256(state_) << STATE_SHIFT)
                | (uint256(revisions_) << REVISIONS_SHIFT) | deadline_
        );
    }

    function isClaimed(RunProgress progress) internal pure returns (bool) {
        return RunProgress.unwrap(progress) != 0;
    }

    function wallet(RunProgress progress) internal pure returns (address) {
        return address(uint160(RunProgress.unwrap(progress) >> WALLET_SHIFT));
    }

    function agentId(RunProgress progress) internal pure returns (uint48) {
        return uint48(RunProgress.unwrap(progress) >> AGENT_SHIFT);
    }

    /// @notice The state, as `RunState` counts them: each conversion to the enum costs a range check.
    function state(RunProgress progress) internal pure returns (uint256) {
        return (RunProgress.unwrap(progress) >> STATE_SHIFT) & FOUR_BITS;
    }

    function revisions(RunProgress progress) internal pure returns (uint8) {
        return uint8((RunProgress.unwrap(progress) >> REVISIONS_SHIFT) & FOUR_BITS);
    }

    function deadline(RunProgress progress) internal pure returns (uint256) {
        return uint40(RunProgress.unwrap(progress));
    }

    /// @notice The run in another state, everything else kept.
    function withState(RunProgress progress, RunState state_) internal pure returns (RunProgress) {
        return RunProgress.wrap((RunProgress.unwrap(progress) & ~(FOUR_BITS << STATE_SHIFT)) | (uint256(state_) << STATE_SHIFT));
    }

    /// @notice The run in another state, waiting for another deadline, everything else kept.
    function advance(RunProgress progress, RunState state_, uint40 deadline_) internal pure returns (RunProgress) {
        uint256 kept = RunProgress.unwrap(progress) & ~(FOUR_BITS << STATE_SHIFT | type(uint40).max);
        return RunProgress.wrap(kept | (uint256(state_) << STATE_SHIFT) | deadline_);
    }

    function withRevisions(RunProgress progress, uint8 revisions_) internal pure returns (RunProgress) {
        return RunProgress.wrap((RunProgress.unwrap(progress) & ~(FOUR_BITS << REVISIONS_SHIFT)) | (uint256(revisions_) << REVISIONS_SHIFT));
    }
}

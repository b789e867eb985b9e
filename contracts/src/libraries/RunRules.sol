// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The rules of a run: limits, the fee, and every comparison with a deadline
/// @dev Pure. Amounts in USDC base units, times in seconds. A deadline is the first second at which what it ends is no longer possible, and
/// at which what follows it begins: at any second exactly one side may act.
library RunRules {
    /// @notice Fees are given in parts of this.
    uint256 internal constant BASIS_POINTS = 10_000;
    /// @notice Largest reward, and largest claiming deadline, that the terms word holds.
    uint256 internal constant MAX_REWARD = type(uint56).max;
    uint256 internal constant MAX_CLAIM_DEADLINE = (1 << 36) - 1;
    /// @notice Most revisions any deployment may allow.
    uint256 internal constant MAX_REVISIONS = 3;
    /// @notice Bytes of a content or deliverable URI.
    uint256 internal constant MIN_URI_LENGTH = 1;
    uint256 internal constant MAX_URI_LENGTH = 2048;
    /// @notice Bytes of a poster's feedback; there may be none.
    uint256 internal constant MAX_FEEDBACK_LENGTH = 2048;

    /// @notice What is escrowed on top of the reward, rounded down. The reward is at most `MAX_REWARD`, `feeBps` at most `BASIS_POINTS`.
    function fee(uint256 reward, uint256 feeBps) internal pure returns (uint256) {
        unchecked {
            // 56 bits and 14: the product does not come near the word's end.
            return reward * feeBps / BASIS_POINTS;
        }
    }

    /// @notice The last claiming deadline that may be chosen now.
    function latestDeadline(uint256 timestamp, uint256 maxDeadlineAhead) internal pure returns (uint256) {
        uint256 latest = timestamp + maxDeadlineAhead;
        return latest < MAX_CLAIM_DEADLINE ? latest : MAX_CLAIM_DEADLINE;
    }

    /// @notice Whether a run with this claiming deadline may be created now.
    function isDeadlineAllowed(uint256 deadline, uint256 timestamp, uint256 latest) internal pure returns (bool) {
        return isOpenUntil(deadline, timestamp) && deadline <= latest;
    }

    /// @notice Whether what ends at `deadline` is still possible: funding and claiming, submitting (`dueAt`), answering (`reviewBy`).
    function isOpenUntil(uint256 deadline, uint256 timestamp) internal pure returns (bool) {
        return timestamp < deadline;
    }

    /// @notice Whether what begins at `from` is possible: finalizing (`reviewBy`), slashing and the late rejection (`expiryFor`).
    function isOpenFrom(uint256 from, uint256 timestamp) internal pure returns (bool) {
        return timestamp >= from;
    }

    /// @notice From when an agent's silence has consequences: the poster acts from `dueAt`, anybody else one more timeout later.
    function expiryFor(bool isPoster, uint256 dueAt, uint256 submissionTimeout) internal pure returns (uint256) {
        return isPoster ? dueAt : dueAt + submissionTimeout;
    }

    /// @notice When a wait that begins now ends.
    function deadlineAfter(uint256 timestamp, uint256 period) internal pure returns (uint40) {
        unchecked {
            // A block's time and a period of at most 32 bits: the sum does not come near the word's end.
            return SafeCast.toUint40(timestamp + period);
        }
    }

    /// @notice Whether the poster may still send the work back; once it may not, it may reject.
    function hasRevisionsLeft(uint256 revisions, uint256 maxRevisions) internal pure returns (bool) {
        return revisions < maxRevisions;
    }
}

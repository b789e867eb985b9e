// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "./ICustody.sol";

/// @notice Where a run stands. Terminal states never change again.
/// @dev The order is part of the ABI: `RunState` travels as a uint8 and as a bit position in `RunEscrow_WrongState`.
enum RunState {
    /// Created, not funded. Leaves by `fund` or `cancel`.
    DRAFT,
    /// Funded and claimable until its deadline. Leaves by `claim` or `cancel`.
    OPEN,
    /// In an agent's hands. Leaves by `start` or `submit` before `dueAt`, by `slash` from `dueAt`.
    CLAIMED,
    /// The agent said it works. Leaves by `submit` before `dueAt`, by `slash` from `dueAt`.
    IN_PROGRESS,
    /// Delivered. Leaves by the poster's answer; from `reviewBy` anyone may finalize.
    SUBMITTED,
    /// Terminal: reward paid to the recorded wallet, fee kept.
    APPROVED,
    /// Sent back for changes. Leaves by `submit` before `dueAt`, by `reject` from `dueAt`.
    REVISION_REQUESTED,
    /// Terminal: refunded to the poster; the agent's stake was released untouched.
    REJECTED,
    /// Terminal: refunded to the poster, who also received the stake at risk.
    SLASHED,
    /// Terminal: withdrawn by the poster before any claim; refunded if it was funded.
    CANCELLED
}

/// @title The run lifecycle and the USDC escrowed for it
/// @notice A poster escrows reward + fee for a run; an agent with enough free stake claims it, delivers, and is paid when the poster
/// approves or stays silent. Every wait ends by a deadline that another account can act on, and whichever acts, the money goes to the same
/// parties.
///
/// Units: USDC in base units (6 decimals); times in seconds of `block.timestamp`; run ids count from 1.
///
/// Assumptions about the token: standard ERC-20 semantics with one balance per account. What arrives is measured, so a token that takes a
/// fee on transfer makes funding revert. A transfer that the token refuses (blacklist, pause) never blocks a transition: the amount is
/// credited to its recipient and `payCredit` pays it later.
///
/// Gasless: "caller" is the request's signer where the call comes through `trustedForwarder`. `createAndFundWithAuthorization` and
/// `fundWithAuthorization` need no caller at all: the poster's signature over the USDC authorization names every term.
///
/// Where a call is at fault in several ways, the first in the order given with it is named.
///
/// Warning: content, deliverable and feedback are emitted, not stored, and are arbitrary bytes to their reader.
interface IRunEscrow is ICustody {
    /// @notice The immutable rules of this deployment.
    struct Parameters {
        /// Fee in basis points of the reward, added on top of it.
        uint256 feeBps;
        /// Smallest reward of a run, base units.
        uint256 minimumReward;
        /// Seconds an agent has to submit after the claim and after each requested revision.
        uint256 submissionTimeout;
        /// Seconds a poster has to answer a submission before anyone may finalize it.
        uint256 reviewPeriod;
        /// Largest `maxRevisions` a run may be created with, 0 to 3.
        uint256 maxRevisions;
        /// Furthest a run's deadline may lie ahead, seconds.
        uint256 maxDeadlineAhead;
    }

    /// @notice Everything stored about a run.
    struct Run {
        address poster;
        /// Base units paid to `wallet` on approval.
        uint256 reward;
        /// Base units escrowed on top of the reward: floor(reward x feeBps / 10000).
        uint256 fee;
        /// Claiming and funding stop here.
        uint256 deadline;
        /// Revisions the poster may request before it may reject.
        uint256 maxRevisions;
        RunState state;
        /// Zero until claimed; an id of zero may also be a real one in a foreign registry, so test presence by `wallet`.
        uint256 agentId;
        /// The account that claimed and is paid; zero until claimed.
        address wallet;
        /// Revisions requested so far.
        uint256 revisions;
        /// Submitting stops here (CLAIMED, IN_PROGRESS, REVISION_REQUESTED), otherwise zero.
        uint256 dueAt;
        /// The poster's answer stops here (SUBMITTED), otherwise zero.
        uint256 reviewBy;
    }

    event RunCreated(
        uint256 indexed runId,
        address indexed poster,
        uint256 reward,
        uint256 fee,
        uint256 deadline,
        uint256 maxRevisions,
        string contentURI
    );
    /// @param amount Base units taken from the poster: reward + fee.
    event RunFunded(uint256 indexed runId, uint256 amount);
    /// @param refund Base units returned to the poster, zero for a draft.
    event RunCancelled(uint256 indexed runId, uint256 refund);
    /// @param wallet The caller: recorded, and paid on approval.
    /// @param stakeAtRisk Base units of the agent's stake committed to this run.
    event RunClaimed(uint256 indexed runId, uint256 indexed agentId, address indexed wallet, uint256 stakeAtRisk, uint256 dueAt);
    event RunStarted(uint256 indexed runId);
    event RunSubmitted(uint256 indexed runId, uint256 reviewBy, string deliverableURI);
    /// @param revision Which revision this is, from 1.
    event RevisionRequested(uint256 indexed runId, uint256 revision, uint256 dueAt, string feedback);
    /// @notice The poster accepted the work.
    event RunApproved(uint256 indexed runId, uint256 indexed agentId, address indexed wallet, uint256 reward, uint256 fee);
    /// @notice The poster stayed silent past `reviewBy`; the outcome is that of an approval.
    event RunFinalized(uint256 indexed runId, uint256 indexed agentId, address indexed wallet, uint256 reward, uint256 fee);
    event RunRejected(uint256 indexed runId, uint256 indexed agentId, uint256 refund);
    /// @param refund Base units returned to the poster from escrow.
    /// @param slashed Base units of the agent's stake paid to the poster on top.
    event RunSlashed(uint256 indexed runId, uint256 indexed agentId, uint256 refund, uint256 slashed);
    event FeesCollected(address indexed treasury, uint256 amount);
    event TreasuryChanged(address indexed previousTreasury, address indexed newTreasury);

    /// @notice No run has this id.
    error RunEscrow_RunNotFound(uint256 runId);
    /// @param accepted Bit `1 << state` is set for each state the call would have accepted.
    error RunEscrow_WrongState(uint256 runId, RunState state, uint256 accepted);
    error RunEscrow_NotPoster(uint256 runId, address caller, address poster);
    /// @notice The caller is neither the wallet recorded at the claim nor the agent token's current owner.
    error RunEscrow_NotRunAgent(uint256 runId, address caller, address wallet);
    error RunEscrow_PosterCannotClaim(uint256 runId, address poster);
    error RunEscrow_RewardOutOfRange(uint256 reward, uint256 minimum, uint256 maximum);
    /// @param latest Last acceptable deadline; the first is one second after the current block.
    error RunEscrow_DeadlineOutOfRange(uint256 deadline, uint256 timestamp, uint256 latest);
    error RunEscrow_TooManyRevisions(uint256 maxRevisions, uint256 limit);
    /// @notice A content URI, deliverable URI or feedback is too short or too long, in bytes.
    error RunEscrow_LengthOutOfRange(uint256 length, uint256 minimum, uint256 maximum);
    /// @notice The run's claiming deadline has passed.
    error RunEscrow_DeadlinePassed(uint256 runId, uint256 deadline, uint256 timestamp);
    /// @notice The run is not the one the caller looked at.
    error RunEscrow_TermsChanged(uint256 runId, uint256 expected, uint256 actual);
    /// @notice The submission, or requested revision, is not the one the caller looked at.
    error RunEscrow_SubmissionChanged(uint256 runId, uint256 expected, uint256 actual);
    /// @param until First second at which the call is no longer possible.
    error RunEscrow_TooLate(uint256 runId, uint256 until, uint256 timestamp);
    /// @param from First second at which this caller may make the call.
    error RunEscrow_TooEarly(uint256 runId, uint256 from, uint256 timestamp);
    /// @notice Every revision has been used; approve or reject.
    error RunEscrow_NoRevisionsLeft(uint256 runId, uint256 maxRevisions);
    /// @notice The agent still has revisions; approve or request one.
    error RunEscrow_RevisionsLeft(uint256 runId, uint256 revisions, uint256 maxRevisions);
    /// @notice The treasury may not be zero, the token, the forwarder, or one of these contracts.
    error RunEscrow_InvalidTreasury(address treasury);
    /// @notice A constructor argument is outside what the rules allow.
    error RunEscrow_InvalidParameters();

    /// @notice Writes a run down without funding it. State: DRAFT. Anyone.
    /// @param reward Base units, at least `minimumReward` and below 2^56.
    /// @param deadline Claiming and funding stop here: later than now, at most `maxDeadlineAhead` ahead.
    /// @param maxRevisions 0 to the deployment's `maxRevisions`.
    /// @param contentURI 1 to 2048 bytes, usually `ipfs://...`.
    /// @dev Checked in this order: pause, reward, deadline, maxRevisions, length.
    function create(uint256 reward, uint256 deadline, uint256 maxRevisions, string calldata contentURI) external returns (uint256 runId);

    /// @notice `create` and `fund` in one call. State: OPEN. Takes reward + fee from the caller by ERC-20 allowance.
    /// @dev Checked in the order of `create`, then the token.
    function createAndFund(uint256 reward, uint256 deadline, uint256 maxRevisions, string calldata contentURI)
        external
        returns (uint256 runId);

    /// @notice `createAndFund` with the caller's permit for reward + fee. A permit that fails is passed over: where another account sent it before,
    /// the allowance is there.
    /// @dev Checked in the order of `createAndFund`.
    function createAndFundWithPermit(
        uint256 reward,
        uint256 deadline,
        uint256 maxRevisions,
        string calldata contentURI,
        Permit calldata permit
    ) external returns (uint256 runId);

    /// @notice `createAndFund` for `poster`, who signed an authorization for reward + fee with the nonce `createAndFundNonce`. Anyone.
    /// @param poster Who pays, and whose run it is.
    /// @dev Checked in the order of `createAndFund`; the token checks the signature, its time and that it was not used before.
    function createAndFundWithAuthorization(
        address poster,
        uint256 reward,
        uint256 deadline,
        uint256 maxRevisions,
        string calldata contentURI,
        Authorization calldata authorization
    ) external returns (uint256 runId);

    /// @notice DRAFT to OPEN, before the deadline. Poster. Takes reward + fee from the poster by ERC-20 allowance.
    /// @dev Checked in this order: pause, run exists, poster, state, deadline, then the token.
    function fund(uint256 runId) external;

    /// @notice `fund` with the poster's permit for reward + fee, as in `createAndFundWithPermit`. Poster.
    /// @dev Checked in the order of `fund`.
    function fundWithPermit(uint256 runId, Permit calldata permit) external;

    /// @notice `fund` by the poster's authorization for reward + fee with the nonce `fundNonce`. Anyone.
    /// @dev Checked in this order: pause, run exists, state, deadline, then the token.
    function fundWithAuthorization(uint256 runId, Authorization calldata authorization) external;

    /// @notice DRAFT or OPEN to CANCELLED. Poster. Refunds reward + fee if they were escrowed.
    /// @dev Checked in this order: run exists, poster, state.
    function cancel(uint256 runId) external;

    /// @notice OPEN to CLAIMED, before the deadline. The agent's owner or its ERC-8004 agent wallet, not the run's poster.
    /// Commits the stake at risk; the caller is recorded as the run's wallet and is paid on approval.
    /// @param expectedTerms `termsOf(runId)` as the caller saw it.
    /// @dev Checked in this order: pause, run exists, state, deadline, terms, caller is not the poster, then `IAgentStake.commit`.
    function claim(uint256 runId, uint256 agentId, uint256 expectedTerms) external;

    /// @notice CLAIMED to IN_PROGRESS, before `dueAt`. The recorded wallet or the agent token's current owner.
    /// @dev Checked in this order: run exists, state, caller, time.
    function start(uint256 runId) external;

    /// @notice CLAIMED, IN_PROGRESS or REVISION_REQUESTED to SUBMITTED, before `dueAt`. The recorded wallet or the agent token's
    /// current owner. From CLAIMED the run passes through IN_PROGRESS and both events are emitted.
    /// @param deliverableURI 1 to 2048 bytes.
    /// @dev Checked in this order: run exists, state, caller, time, length.
    function submit(uint256 runId, string calldata deliverableURI) external;

    /// @notice SUBMITTED to REVISION_REQUESTED, before `reviewBy`, while revisions are left. Poster.
    /// @param expectedReviewBy `reviewBy` of the submission being answered.
    /// @param feedback 0 to 2048 bytes.
    /// @dev Checked in this order: run exists, poster, state, expected submission, time, revisions, length.
    function requestRevision(uint256 runId, uint256 expectedReviewBy, string calldata feedback) external;

    /// @notice SUBMITTED to APPROVED, at any time. Poster. Pays the reward to the recorded wallet, keeps the fee, releases the stake.
    /// @param expectedReviewBy `reviewBy` of the submission being answered.
    /// @dev Checked in this order: run exists, poster, state, expected submission.
    function approve(uint256 runId, uint256 expectedReviewBy) external;

    /// @notice SUBMITTED to REJECTED, before `reviewBy`, once all revisions are used: poster.
    /// REVISION_REQUESTED to REJECTED, from `dueAt`: poster; from `dueAt` + `submissionTimeout`: anyone.
    /// Refunds the poster and releases the stake: work that was once delivered is never slashed.
    /// @param expectedDeadline `reviewBy` (SUBMITTED) or `dueAt` (REVISION_REQUESTED) of what is being answered.
    /// @dev Checked in this order: run exists, state; from SUBMITTED poster, expected submission, time, revisions; from REVISION_REQUESTED
    /// expected request, time. There, a caller that is not the poster is told when it may call, not that it may not.
    function reject(uint256 runId, uint256 expectedDeadline) external;

    /// @notice SUBMITTED to APPROVED, from `reviewBy`. Anyone. Same money as `approve`.
    /// @dev Checked in this order: run exists, state, time.
    function finalize(uint256 runId) external;

    /// @notice CLAIMED or IN_PROGRESS to SLASHED, from `dueAt`: poster; from `dueAt` + `submissionTimeout`: anyone.
    /// Refunds the poster and pays it the stake at risk.
    /// @dev Checked in this order: run exists, state, time. A caller that is not the poster is told when it may call, not that it may not.
    function slash(uint256 runId) external;

    /// @notice Sends the collected fees to the treasury. Anyone. Does nothing when there are none.
    function collectFees() external;

    /// @notice Changes where collected fees go, those not yet collected included. Owner. Never affects what was escrowed or credited.
    /// Not zero, the token, the escrow, the stake, the registry or the forwarder.
    function setTreasury(address newTreasury) external;

    /// @notice Stops create, fund and createAndFund, however they are paid, and claim; nothing else. Owner.
    function pause() external;

    /// @notice Owner.
    function unpause() external;

    /// @notice Reverts with `RunEscrow_RunNotFound` for an unknown id.
    function getRun(uint256 runId) external view returns (Run memory);

    /// @notice The terms in one word, to be passed to `claim`: poster 160 bits, reward 56, deadline 36, stage 2, maxRevisions 2.
    /// @dev Only the stage changes, and not any more once the run was claimed. The content URI is not part of it, but a run's content is
    /// as immutable as its id.
    function termsOf(uint256 runId) external view returns (uint256);

    /// @notice The EIP-3009 nonce that lets `createAndFundWithAuthorization` do exactly this:
    /// keccak256(abi.encode(tag, chain id, escrow, poster, reward, deadline, maxRevisions, keccak256(contentURI), salt)), where the tag is the
    /// keccak256 of `CreateAndFund(uint256 chainId,address escrow,address poster,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32
    /// contentHash,bytes32 salt)`.
    function createAndFundNonce(
        address poster,
        uint256 reward,
        uint256 deadline,
        uint256 maxRevisions,
        string calldata contentURI,
        bytes32 salt
    ) external view returns (bytes32);

    /// @notice The EIP-3009 nonce that lets `fundWithAuthorization` fund this draft:
    /// keccak256(abi.encode(tag, chain id, escrow, poster, run id, reward, deadline, maxRevisions, keccak256(contentURI), salt)), where the tag
    /// is the keccak256 of `Fund(uint256 chainId,address escrow,address poster,uint256 runId,uint256 reward,uint256 deadline,uint256
    /// maxRevisions,bytes32 contentHash,bytes32 salt)`. Reverts unless the run is a draft.
    function fundNonce(uint256 runId, bytes32 salt) external view returns (bytes32);

    /// @notice Runs created so far; the last id.
    function runCount() external view returns (uint256);

    /// @notice Whether the poster may slash now.
    function isSlashable(uint256 runId) external view returns (bool);

    /// @notice Whether anyone may finalize now.
    function isFinalizable(uint256 runId) external view returns (bool);

    /// @notice Fees earned and not yet sent to the treasury, base units.
    function uncollectedFees() external view returns (uint256);

    function treasury() external view returns (address);

    function parameters() external view returns (Parameters memory);

    function agentStake() external view returns (address);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { Ownable2Step } from "@openzeppelin/contracts/access/Ownable2Step.sol";
import { ERC2771Context } from "@openzeppelin/contracts/metatx/ERC2771Context.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { IERC721 } from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import { Context } from "@openzeppelin/contracts/utils/Context.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import { Custody } from "./Custody.sol";
import { IAgentStake } from "./interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "./interfaces/IRunEscrow.sol";
import { IUSDC } from "./interfaces/IUSDC.sol";
import { RunRules } from "./libraries/RunRules.sol";
import { RunProgress, RunStage, RunTerms, RunWords } from "./types/RunWords.sol";

/// @title The run lifecycle and the USDC escrowed for it
/// @dev One function per verb: checks, facts change, event, money moves. OPEN is "terms funded, no progress", so creating a run writes one
/// word, and the agent's steps touch only the other. Every verb that calls the token holds the reentrancy guard. The others (create, claim,
/// start, submit, requestRevision) call nothing but the agent contracts; a token that calls back into one of them finds all facts written.
contract RunEscrow is IRunEscrow, Custody, Ownable2Step, Pausable {
    using SafeERC20 for IUSDC;

    struct StoredRun {
        RunTerms terms;
        RunProgress progress;
    }

    /// @dev Sets of states: the bit of each is at its place in `RunState`.
    uint256 private constant DRAFT = 1 << 0;
    uint256 private constant OPEN = 1 << 1;
    uint256 private constant CLAIMED = 1 << 2;
    uint256 private constant IN_PROGRESS = 1 << 3;
    uint256 private constant SUBMITTED = 1 << 4;
    uint256 private constant REVISION_REQUESTED = 1 << 6;

    /// @dev Heads of the EIP-3009 nonces.
    bytes32 private constant CREATE_AND_FUND_TAG = keccak256(
        "CreateAndFund(uint256 chainId,address escrow,address poster,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32 contentHash,bytes32 salt)"
    );
    bytes32 private constant FUND_TAG = keccak256(
        "Fund(uint256 chainId,address escrow,address poster,uint256 runId,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32 contentHash,bytes32 salt)"
    );

    IAgentStake private immutable STAKE;
    IERC721 private immutable REGISTRY;
    uint256 private immutable FEE_BPS;
    uint256 private immutable MINIMUM_REWARD;
    uint256 private immutable SUBMISSION_TIMEOUT;
    uint256 private immutable REVIEW_PERIOD;
    uint256 private immutable MAX_REVISIONS;
    uint256 private immutable MAX_DEADLINE_AHEAD;

    /// @dev 48 bits so that it lies in one word with the pause flag, which every verb that counts a run has read already.
    uint48 private _runCount;
    address private _treasury;
    /// @dev One more than the fees to collect: a word that never returns to zero is cheaper to add to.
    uint256 private _feesPlusOne = 1;
    mapping(uint256 runId => StoredRun) private _runs;
    /// @dev Hash of a draft's content URI, which an authorization to fund it names. Runs funded at once need none.
    mapping(uint256 runId => bytes32) private _draftContents;

    /// @param usdc_ The token escrowed, the same as the stake's.
    /// @param agentStake_ The stake contract, deployed before with this contract's address.
    /// @param forwarder_ The ERC-2771 forwarder whose word on who is calling is taken; zero for none.
    /// @param treasury_ Where collected fees go.
    /// @param owner_ Who may change the treasury and pause new business.
    constructor(address usdc_, address agentStake_, address forwarder_, address treasury_, address owner_, Parameters memory rules)
        Custody(usdc_, forwarder_)
        Ownable(owner_)
    {
        if (
            rules.feeBps > RunRules.BASIS_POINTS || rules.minimumReward == 0 || rules.minimumReward > RunRules.MAX_REWARD
                || rules.submissionTimeout == 0 || rules.submissionTimeout > type(uint32).max || rules.reviewPeriod == 0
                || rules.reviewPeriod > type(uint32).max || rules.maxRevisions > RunRules.MAX_REVISIONS || rules.maxDeadlineAhead == 0
                || rules.maxDeadlineAhead > type(uint32).max || IAgentStake(agentStake_).runEscrow() != address(this)
                || IAgentStake(agentStake_).usdc() != usdc_
        ) revert RunEscrow_InvalidParameters();
        STAKE = IAgentStake(agentStake_);
        REGISTRY = IERC721(IAgentStake(agentStake_).agentRegistry());
        FEE_BPS = rules.feeBps;
        MINIMUM_REWARD = rules.minimumReward;
        SUBMISSION_TIMEOUT = rules.submissionTimeout;
        REVIEW_PERIOD = rules.reviewPeriod;
        MAX_REVISIONS = rules.maxRevisions;
        MAX_DEADLINE_AHEAD = rules.maxDeadlineAhead;
        _changeTreasury(treasury_);
    }

    /// @inheritdoc IRunEscrow
    function create(uint256 reward, uint256 deadline, uint256 maxRevisions, string calldata contentURI)
        external
        whenNotPaused
        returns (uint256 runId)
    {
        (runId,) = _create(_msgSender(), reward, deadline, maxRevisions, contentURI, RunStage.DRAFT);
        _draftContents[runId] = keccak256(bytes(contentURI));
    }

    /// @inheritdoc IRunEscrow
    function createAndFund(uint256 reward, uint256 deadline, uint256 maxRevisions, string calldata contentURI)
        external
        nonReentrant
        whenNotPaused
        returns (uint256 runId)
    {
        address poster = _msgSender();
        uint256 amount;
        (runId, amount) = _createFunded(poster, reward, deadline, maxRevisions, contentURI);

        _pull(poster, amount);
    }

    /// @inheritdoc IRunEscrow
    function createAndFundWithPermit(
        uint256 reward,
        uint256 deadline,
        uint256 maxRevisions,
        string calldata contentURI,
        Permit calldata permit
    ) external nonReentrant whenNotPaused returns (uint256 runId) {
        address poster = _msgSender();
        uint256 amount;
        (runId, amount) = _createFunded(poster, reward, deadline, maxRevisions, contentURI);

        _pullWithPermit(poster, amount, permit);
    }

    /// @inheritdoc IRunEscrow
    function createAndFundWithAuthorization(
        address poster,
        uint256 reward,
        uint256 deadline,
        uint256 maxRevisions,
        string calldata contentURI,
        Authorization calldata authorization
    ) external nonReentrant whenNotPaused returns (uint256 runId) {
        uint256 amount;
        (runId, amount) = _createFunded(poster, reward, deadline, maxRevisions, contentURI);

        bytes32 nonce = createAndFundNonce(poster, reward, deadline, maxRevisions, contentURI, authorization.salt);
        _pullWithAuthorization(poster, amount, nonce, authorization);
    }

    /// @inheritdoc IRunEscrow
    function fund(uint256 runId) external nonReentrant whenNotPaused {
        (StoredRun storage run, RunTerms terms) = _ownRun(runId);
        uint256 amount = _fund(runId, run, terms);

        _pull(terms.poster(), amount);
    }

    /// @inheritdoc IRunEscrow
    function fundWithPermit(uint256 runId, Permit calldata permit) external nonReentrant whenNotPaused {
        (StoredRun storage run, RunTerms terms) = _ownRun(runId);
        uint256 amount = _fund(runId, run, terms);

        _pullWithPermit(terms.poster(), amount, permit);
    }

    /// @inheritdoc IRunEscrow
    function fundWithAuthorization(uint256 runId, Authorization calldata authorization) external nonReentrant whenNotPaused {
        StoredRun storage run = _runs[runId];
        RunTerms terms = _requireTerms(runId, run);
        uint256 amount = _fund(runId, run, terms);

        _pullWithAuthorization(terms.poster(), amount, _fundNonce(runId, terms, authorization.salt), authorization);
    }

    /// @inheritdoc IRunEscrow
    function cancel(uint256 runId) external nonReentrant {
        (StoredRun storage run, RunTerms terms) = _ownRun(runId);
        _requireState(runId, run, DRAFT | OPEN);

        uint256 refund = terms.stage() == RunStage.FUNDED ? _escrowed(terms) : 0;
        run.terms = terms.withStage(RunStage.CANCELLED);
        emit RunCancelled(runId, refund);

        if (refund != 0) _pay(runId, terms.poster(), refund);
    }

    /// @inheritdoc IRunEscrow
    function claim(uint256 runId, uint256 agentId, uint256 expectedTerms) external whenNotPaused {
        StoredRun storage run = _runs[runId];
        RunTerms terms = _requireTerms(runId, run);
        _requireState(runId, run, OPEN);
        _requireBeforeDeadline(runId, terms);
        if (expectedTerms != RunTerms.unwrap(terms)) {
            revert RunEscrow_TermsChanged(runId, expectedTerms, RunTerms.unwrap(terms));
        }
        address wallet = _msgSender();
        if (wallet == terms.poster()) revert RunEscrow_PosterCannotClaim(runId, wallet);
        uint256 stakeAtRisk = STAKE.commit(agentId, wallet);

        uint40 dueAt = RunRules.deadlineAfter(block.timestamp, SUBMISSION_TIMEOUT);
        run.progress = RunWords.packProgress(wallet, SafeCast.toUint48(agentId), RunState.CLAIMED, 0, dueAt);
        emit RunClaimed(runId, agentId, wallet, stakeAtRisk, dueAt);
    }

    /// @inheritdoc IRunEscrow
    function start(uint256 runId) external {
        StoredRun storage run = _runs[runId];
        (RunProgress progress,) = _requireState(runId, run, CLAIMED);
        _requireRunAgent(runId, progress);
        _requireInTime(runId, progress);

        run.progress = progress.withState(RunState.IN_PROGRESS);
        emit RunStarted(runId);
    }

    /// @inheritdoc IRunEscrow
    function submit(uint256 runId, string calldata deliverableURI) external {
        StoredRun storage run = _runs[runId];
        (RunProgress progress, uint256 state) = _requireState(runId, run, CLAIMED | IN_PROGRESS | REVISION_REQUESTED);
        _requireRunAgent(runId, progress);
        _requireInTime(runId, progress);
        _requireLength(bytes(deliverableURI).length, RunRules.MIN_URI_LENGTH, RunRules.MAX_URI_LENGTH);

        uint40 reviewBy = RunRules.deadlineAfter(block.timestamp, REVIEW_PERIOD);
        run.progress = progress.advance(RunState.SUBMITTED, reviewBy);
        if (state == uint256(RunState.CLAIMED)) emit RunStarted(runId);
        emit RunSubmitted(runId, reviewBy, deliverableURI);
    }

    /// @inheritdoc IRunEscrow
    function requestRevision(uint256 runId, uint256 expectedReviewBy, string calldata feedback) external {
        (StoredRun storage run, RunTerms terms) = _ownRun(runId);
        (RunProgress progress,) = _requireState(runId, run, SUBMITTED);
        _requireExpected(runId, progress, expectedReviewBy);
        _requireInTime(runId, progress);
        if (!RunRules.hasRevisionsLeft(progress.revisions(), terms.maxRevisions())) {
            revert RunEscrow_NoRevisionsLeft(runId, terms.maxRevisions());
        }
        _requireLength(bytes(feedback).length, 0, RunRules.MAX_FEEDBACK_LENGTH);

        uint8 revision = progress.revisions() + 1;
        uint40 dueAt = RunRules.deadlineAfter(block.timestamp, SUBMISSION_TIMEOUT);
        run.progress = progress.advance(RunState.REVISION_REQUESTED, dueAt).withRevisions(revision);
        emit RevisionRequested(runId, revision, dueAt, feedback);
    }

    /// @inheritdoc IRunEscrow
    function approve(uint256 runId, uint256 expectedReviewBy) external nonReentrant {
        (StoredRun storage run, RunTerms terms) = _ownRun(runId);
        (RunProgress progress,) = _requireState(runId, run, SUBMITTED);
        _requireExpected(runId, progress, expectedReviewBy);

        uint256 fee = _earn(run, terms, progress);
        emit RunApproved(runId, progress.agentId(), progress.wallet(), terms.reward(), fee);

        _pay(runId, progress.wallet(), terms.reward());
    }

    /// @inheritdoc IRunEscrow
    function reject(uint256 runId, uint256 expectedDeadline) external nonReentrant {
        StoredRun storage run = _runs[runId];
        (RunProgress progress, uint256 state) = _requireState(runId, run, SUBMITTED | REVISION_REQUESTED);
        RunTerms terms = run.terms;
        if (state == uint256(RunState.SUBMITTED)) {
            _requirePoster(runId, terms);
            _requireExpected(runId, progress, expectedDeadline);
            _requireInTime(runId, progress);
            if (RunRules.hasRevisionsLeft(progress.revisions(), terms.maxRevisions())) {
                revert RunEscrow_RevisionsLeft(runId, progress.revisions(), terms.maxRevisions());
            }
        } else {
            _requireExpected(runId, progress, expectedDeadline);
            _requireExpired(runId, terms, progress);
        }

        uint256 refund = _escrowed(terms);
        run.progress = progress.withState(RunState.REJECTED);
        STAKE.release(progress.agentId(), false);
        emit RunRejected(runId, progress.agentId(), refund);

        _pay(runId, terms.poster(), refund);
    }

    /// @inheritdoc IRunEscrow
    function finalize(uint256 runId) external nonReentrant {
        StoredRun storage run = _runs[runId];
        (RunProgress progress,) = _requireState(runId, run, SUBMITTED);
        if (!RunRules.isOpenFrom(progress.deadline(), block.timestamp)) {
            revert RunEscrow_TooEarly(runId, progress.deadline(), block.timestamp);
        }
        RunTerms terms = run.terms;

        uint256 fee = _earn(run, terms, progress);
        emit RunFinalized(runId, progress.agentId(), progress.wallet(), terms.reward(), fee);

        _pay(runId, progress.wallet(), terms.reward());
    }

    /// @inheritdoc IRunEscrow
    function slash(uint256 runId) external nonReentrant {
        StoredRun storage run = _runs[runId];
        (RunProgress progress,) = _requireState(runId, run, CLAIMED | IN_PROGRESS);
        RunTerms terms = run.terms;
        _requireExpired(runId, terms, progress);

        uint256 refund = _escrowed(terms);
        address poster = terms.poster();
        run.progress = progress.withState(RunState.SLASHED);
        uint256 slashed = STAKE.slash(progress.agentId(), runId, poster);
        emit RunSlashed(runId, progress.agentId(), refund, slashed);

        _pay(runId, poster, refund);
    }

    /// @inheritdoc IRunEscrow
    function collectFees() external nonReentrant {
        uint256 amount = _feesPlusOne - 1;
        if (amount == 0) return;

        _feesPlusOne = 1;
        emit FeesCollected(_treasury, amount);

        USDC.safeTransfer(_treasury, amount);
    }

    /// @inheritdoc IRunEscrow
    function setTreasury(address newTreasury) external onlyOwner {
        _changeTreasury(newTreasury);
    }

    /// @inheritdoc IRunEscrow
    function pause() external onlyOwner {
        _pause();
    }

    /// @inheritdoc IRunEscrow
    function unpause() external onlyOwner {
        _unpause();
    }

    /// @inheritdoc IRunEscrow
    function getRun(uint256 runId) external view returns (Run memory run) {
        RunTerms terms = _requireTerms(runId, _runs[runId]);
        (RunProgress progress, uint256 state) = _progress(runId, _runs[runId]);
        run.poster = terms.poster();
        run.reward = terms.reward();
        run.fee = RunRules.fee(terms.reward(), FEE_BPS);
        run.deadline = terms.deadline();
        run.maxRevisions = terms.maxRevisions();
        run.state = RunState(state);
        run.agentId = progress.agentId();
        run.wallet = progress.wallet();
        run.revisions = progress.revisions();
        if (1 << state == SUBMITTED) run.reviewBy = progress.deadline();
        if (1 << state & (CLAIMED | IN_PROGRESS | REVISION_REQUESTED) != 0) run.dueAt = progress.deadline();
    }

    /// @inheritdoc IRunEscrow
    function termsOf(uint256 runId) external view returns (uint256) {
        return RunTerms.unwrap(_requireTerms(runId, _runs[runId]));
    }

    /// @inheritdoc IRunEscrow
    function createAndFundNonce(
        address poster,
        uint256 reward,
        uint256 deadline,
        uint256 maxRevisions,
        string calldata contentURI,
        bytes32 salt
    ) public view returns (bytes32) {
        bytes32 contentHash = keccak256(bytes(contentURI));
        return keccak256(
            abi.encode(CREATE_AND_FUND_TAG, block.chainid, address(this), poster, reward, deadline, maxRevisions, contentHash, salt)
        );
    }

    /// @inheritdoc IRunEscrow
    function fundNonce(uint256 runId, bytes32 salt) external view returns (bytes32) {
        StoredRun storage run = _runs[runId];
        _requireState(runId, run, DRAFT);
        return _fundNonce(runId, run.terms, salt);
    }

    /// @inheritdoc IRunEscrow
    function runCount() external view returns (uint256) {
        return _runCount;
    }

    /// @inheritdoc IRunEscrow
    function isSlashable(uint256 runId) external view returns (bool) {
        (RunProgress progress, uint256 state) = _progress(runId, _runs[runId]);
        return 1 << state & (CLAIMED | IN_PROGRESS) != 0 && RunRules.isOpenFrom(progress.deadline(), block.timestamp);
    }

    /// @inheritdoc IRunEscrow
    function isFinalizable(uint256 runId) external view returns (bool) {
        (RunProgress progress, uint256 state) = _progress(runId, _runs[runId]);
        return 1 << state == SUBMITTED && RunRules.isOpenFrom(progress.deadline(), block.timestamp);
    }

    /// @inheritdoc IRunEscrow
    function uncollectedFees() external view returns (uint256) {
        return _feesPlusOne - 1;
    }

    /// @inheritdoc IRunEscrow
    function treasury() external view returns (address) {
        return _treasury;
    }

    /// @inheritdoc IRunEscrow
    function parameters() external view returns (Parameters memory) {
        return Parameters({
            feeBps: FEE_BPS,
            minimumReward: MINIMUM_REWARD,
            submissionTimeout: SUBMISSION_TIMEOUT,
            reviewPeriod: REVIEW_PERIOD,
            maxRevisions: MAX_REVISIONS,
            maxDeadlineAhead: MAX_DEADLINE_AHEAD
        });
    }

    /// @inheritdoc IRunEscrow
    function agentStake() external view returns (address) {
        return address(STAKE);
    }

    /// @dev The caller must pull `amount` before the call ends.
    function _createFunded(address poster, uint256 reward, uint256 deadline, uint256 maxRevisions, string calldata contentURI)
        private
        returns (uint256 runId, uint256 amount)
    {
        (runId, amount) = _create(poster, reward, deadline, maxRevisions, contentURI, RunStage.FUNDED);
        emit RunFunded(runId, amount);
    }

    /// @dev The caller must pull `amount` before the call ends.
    function _fund(uint256 runId, StoredRun storage run, RunTerms terms) private returns (uint256 amount) {
        _requireState(runId, run, DRAFT);
        _requireBeforeDeadline(runId, terms);

        amount = _escrowed(terms);
        run.terms = terms.withStage(RunStage.FUNDED);
        emit RunFunded(runId, amount);
    }

    /// @dev Writes the run down and reports it.
    function _create(address poster, uint256 reward, uint256 deadline, uint256 maxRevisions, string calldata contentURI, RunStage stage)
        private
        returns (uint256 runId, uint256 amount)
    {
        if (reward < MINIMUM_REWARD || reward > RunRules.MAX_REWARD) {
            revert RunEscrow_RewardOutOfRange(reward, MINIMUM_REWARD, RunRules.MAX_REWARD);
        }
        uint256 latest = RunRules.latestDeadline(block.timestamp, MAX_DEADLINE_AHEAD);
        if (!RunRules.isDeadlineAllowed(deadline, block.timestamp, latest)) {
            revert RunEscrow_DeadlineOutOfRange(deadline, block.timestamp, latest);
        }
        if (maxRevisions > MAX_REVISIONS) revert RunEscrow_TooManyRevisions(maxRevisions, MAX_REVISIONS);
        _requireLength(bytes(contentURI).length, RunRules.MIN_URI_LENGTH, RunRules.MAX_URI_LENGTH);

        uint256 fee = RunRules.fee(reward, FEE_BPS);
        amount = reward + fee;
        runId = ++_runCount;
        _runs[runId].terms = RunWords.packTerms(poster, reward, deadline, maxRevisions, stage);
        emit RunCreated(runId, poster, reward, fee, deadline, maxRevisions, contentURI);
    }

    /// @dev The outcome of approval and of a poster's silence: the fee is kept, the stake released, the completion counted.
    function _earn(StoredRun storage run, RunTerms terms, RunProgress progress) private returns (uint256 fee) {
        fee = RunRules.fee(terms.reward(), FEE_BPS);
        run.progress = progress.withState(RunState.APPROVED);
        _feesPlusOne += fee;
        STAKE.release(progress.agentId(), true);
    }

    /// @dev Reward and fee, the whole of what a funded run holds.
    function _escrowed(RunTerms terms) private view returns (uint256) {
        return terms.reward() + RunRules.fee(terms.reward(), FEE_BPS);
    }

    function _fundNonce(uint256 runId, RunTerms terms, bytes32 salt) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                FUND_TAG,
                block.chainid,
                address(this),
                terms.poster(),
                runId,
                terms.reward(),
                terms.deadline(),
                terms.maxRevisions(),
                _draftContents[runId],
                salt
            )
        );
    }

    function _changeTreasury(address newTreasury) private {
        if (
            newTreasury == address(0) || newTreasury == address(USDC) || newTreasury == address(this) || newTreasury == address(STAKE)
                || newTreasury == address(REGISTRY) || newTreasury == trustedForwarder()
        ) revert RunEscrow_InvalidTreasury(newTreasury);
        emit TreasuryChanged(_treasury, newTreasury);
        _treasury = newTreasury;
    }

    function _requireTerms(uint256 runId, StoredRun storage run) private view returns (RunTerms terms) {
        terms = run.terms;
        if (!terms.exists()) revert RunEscrow_RunNotFound(runId);
    }

    function _ownRun(uint256 runId) private view returns (StoredRun storage run, RunTerms terms) {
        run = _runs[runId];
        terms = _requireTerms(runId, run);
        _requirePoster(runId, terms);
    }

    /// @dev The terms word is only read for a run that no agent has claimed.
    function _progress(uint256 runId, StoredRun storage run) private view returns (RunProgress progress, uint256 state) {
        progress = run.progress;
        state = progress.isClaimed() ? progress.state() : _requireTerms(runId, run).unclaimedState();
    }

    /// @param accepted Bit `1 << state` for each state that will do.
    function _requireState(uint256 runId, StoredRun storage run, uint256 accepted)
        private
        view
        returns (RunProgress progress, uint256 state)
    {
        (progress, state) = _progress(runId, run);
        if (accepted & (1 << state) == 0) revert RunEscrow_WrongState(runId, RunState(state), accepted);
    }

    function _requirePoster(uint256 runId, RunTerms terms) private view {
        address poster = terms.poster();
        if (_msgSender() != poster) revert RunEscrow_NotPoster(runId, _msgSender(), poster);
    }

    /// @dev The recorded wallet needs no look at the registry, and keeps its run even if the agent token moves on.
    function _requireRunAgent(uint256 runId, RunProgress progress) private view {
        address caller = _msgSender();
        if (caller != progress.wallet() && caller != REGISTRY.ownerOf(progress.agentId())) {
            revert RunEscrow_NotRunAgent(runId, caller, progress.wallet());
        }
    }

    function _requireBeforeDeadline(uint256 runId, RunTerms terms) private view {
        if (!RunRules.isOpenUntil(terms.deadline(), block.timestamp)) {
            revert RunEscrow_DeadlinePassed(runId, terms.deadline(), block.timestamp);
        }
    }

    /// @dev `dueAt` for the agent's verbs, `reviewBy` for the poster's: the state has been checked before.
    function _requireInTime(uint256 runId, RunProgress progress) private view {
        if (!RunRules.isOpenUntil(progress.deadline(), block.timestamp)) {
            revert RunEscrow_TooLate(runId, progress.deadline(), block.timestamp);
        }
    }

    function _requireExpired(uint256 runId, RunTerms terms, RunProgress progress) private view {
        uint256 from = RunRules.expiryFor(_msgSender() == terms.poster(), progress.deadline(), SUBMISSION_TIMEOUT);
        if (!RunRules.isOpenFrom(from, block.timestamp)) revert RunEscrow_TooEarly(runId, from, block.timestamp);
    }

    function _requireExpected(uint256 runId, RunProgress progress, uint256 expected) private pure {
        if (expected != progress.deadline()) revert RunEscrow_SubmissionChanged(runId, expected, progress.deadline());
    }

    function _requireLength(uint256 length, uint256 minimum, uint256 maximum) private pure {
        if (length < minimum || length > maximum) revert RunEscrow_LengthOutOfRange(length, minimum, maximum);
    }

    /// @dev Asked first what is true of nearly every call, so that it costs these the least.
    function _msgSender() internal view override(Context, ERC2771Context) returns (address) {
        return isTrustedForwarder(msg.sender) ? ERC2771Context._msgSender() : msg.sender;
    }

    function _msgData() internal view override(Context, ERC2771Context) returns (bytes calldata) {
        return ERC2771Context._msgData();
    }

    function _contextSuffixLength() internal view override(Context, ERC2771Context) returns (uint256) {
        return ERC2771Context._contextSuffixLength();
    }
}

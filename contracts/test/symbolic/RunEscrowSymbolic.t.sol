// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { RunEscrow } from "../../src/RunEscrow.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { RunProgress, RunStage, RunTerms } from "../../src/types/RunWords.sol";
import { StubRegistry, StubStake, StubToken } from "./Stubs.sol";

/// @notice what moves a run's state and money: for any run, any caller and any time, only what the rules say
/// @dev An induction: from any two words that `_isRun` describes, whatever is called, two such words come out. No account is the forwarder:
/// through it, callers are who the others are without it.
contract RunEscrowSymbolicTest is Test {
    uint256 private constant RUN = 1;
    /// @dev Of the mapping from run ids to their words; `_put` sees that it is right.
    uint256 private constant RUNS_SLOT = 5;
    uint256 private constant WEEK = 7 days;
    uint256 private constant MINIMUM_REWARD = 1e6;
    uint256 private constant OTHER_VERBS = 6;
    uint256 private constant STAGE_SHIFT = 2;

    StubToken private token;
    RunEscrow private escrow;

    function setUp() public {
        token = new StubToken();
        StubStake agentStake = new StubStake(address(token), address(new StubRegistry(address(0xA11CE))));
        escrow = new RunEscrow(
            address(token),
            address(agentStake),
            address(0),
            address(0x7EA5),
            address(0x0E0),
            IRunEscrow.Parameters({
                feeBps: 500,
                minimumReward: MINIMUM_REWARD,
                submissionTimeout: WEEK,
                reviewPeriod: WEEK,
                maxRevisions: 3,
                maxDeadlineAhead: 365 days
            })
        );
    }

    /// @notice Work that was delivered is not slashed: not by anybody, not ever.
    function check_slash_neverTakesDeliveredWork(RunTerms terms, RunProgress progress, address caller, uint40 time) public {
        _put(terms, progress);
        vm.assume(_is(progress, RunState.SUBMITTED) || _is(progress, RunState.REVISION_REQUESTED));
        assert(!_call(caller, time, abi.encodeCall(IRunEscrow.slash, (RUN))));
    }

    /// @notice A slash needs a claimed run whose time is over: the poster's from `dueAt`, anybody's one timeout later.
    function check_slash_punishesSilenceAlone(RunTerms terms, RunProgress progress, address caller, uint40 time) public {
        _put(terms, progress);
        if (!_call(caller, time, abi.encodeCall(IRunEscrow.slash, (RUN)))) return;
        assert(_is(progress, RunState.CLAIMED) || _is(progress, RunState.IN_PROGRESS));
        assert(time >= progress.deadline() + (caller == terms.poster() ? 0 : WEEK));
        _assertRefunded(terms);
    }

    /// @notice An approval is the poster's, of the submission it saw, and pays the recorded wallet the reward.
    function check_approve_isThePosters(RunTerms terms, RunProgress progress, address caller, uint40 time, uint256 expected) public {
        _put(terms, progress);
        if (!_call(caller, time, abi.encodeCall(IRunEscrow.approve, (RUN, expected)))) return;
        assert(caller == terms.poster() && _is(progress, RunState.SUBMITTED) && expected == progress.deadline());
        _assertEarned(terms, progress);
    }

    /// @notice A silent poster's work is paid from `reviewBy`, by anybody's call, to the recorded wallet.
    function check_finalize_waitsForThePoster(RunTerms terms, RunProgress progress, address caller, uint40 time) public {
        _put(terms, progress);
        bool ok = _call(caller, time, abi.encodeCall(IRunEscrow.finalize, (RUN)));
        if (!ok) return;
        assert(_is(progress, RunState.SUBMITTED) && time >= progress.deadline());
        _assertEarned(terms, progress);
    }

    /// @notice A rejection is the poster's, in time and after the last revision; or the end of a revision that never came.
    function check_reject_refundsByTheRules(RunTerms terms, RunProgress progress, address caller, uint40 time, uint256 expected) public {
        _put(terms, progress);
        if (!_call(caller, time, abi.encodeCall(IRunEscrow.reject, (RUN, expected)))) return;
        assert(expected == progress.deadline());
        if (_is(progress, RunState.SUBMITTED)) {
            assert(caller == terms.poster() && time < progress.deadline() && progress.revisions() >= terms.maxRevisions());
        } else {
            assert(_is(progress, RunState.REVISION_REQUESTED));
            assert(time >= progress.deadline() + (caller == terms.poster() ? 0 : WEEK));
        }
        _assertRefunded(terms);
    }

    /// @notice A run is cancelled by its poster, before anybody claimed it, and refunds what funding took.
    function check_cancel_isThePostersBeforeAnyClaim(RunTerms terms, RunProgress progress, address caller, uint40 time) public {
        _put(terms, progress);
        if (!_call(caller, time, abi.encodeCall(IRunEscrow.cancel, (RUN)))) return;
        assert(caller == terms.poster());
        if (terms.stage() == RunStage.FUNDED) _assertRefunded(terms);
        else assert(token.payments() == 0);
    }

    /// @notice A run begins with what its poster agreed to, paid in full.
    function check_createAndFund_writesARun(uint256 reward, uint256 deadline, uint256 maxRevisions, address caller, uint40 time) public {
        bytes memory call_ = abi.encodeCall(IRunEscrow.createAndFund, (reward, deadline, maxRevisions, "ipfs://task"));
        if (!_call(caller, time, call_)) return;
        (RunTerms terms, RunProgress progress) = _get();
        assert(_isRun(terms, progress) && _stateOf(terms, progress) == RunState.OPEN);
        assert(terms.poster() == caller && terms.reward() == reward && terms.deadline() == deadline);
        assert(terms.maxRevisions() == maxRevisions && time < deadline);
        assert(token.pulled() == _price(terms) && token.payments() == 0);
    }

    /// @notice Whatever is called, a run stays one and moves only along an arrow of the lifecycle; what was promised does not change.
    function check_anyVerb_takesAnArrow(
        RunTerms terms,
        RunProgress progress,
        address caller,
        uint40 time,
        uint256 which,
        uint256 a,
        uint256 b
    ) public {
        _put(terms, progress);
        bool ok = _call(caller, time, _verb(which, a, b));
        (RunTerms newTerms, RunProgress newProgress) = _get();
        assert(_isRun(newTerms, newProgress));
        if (ok) assert(_arrowsFrom(_stateOf(terms, progress)) & (1 << uint256(_stateOf(newTerms, newProgress))) != 0);
        assert(RunTerms.unwrap(newTerms.withStage(RunStage.DRAFT)) == RunTerms.unwrap(terms.withStage(RunStage.DRAFT)));
        if (progress.isClaimed()) assert(newProgress.wallet() == progress.wallet() && newProgress.agentId() == progress.agentId());
    }

    /// @notice Nothing but the five endings pays anything out, and nothing but funding takes anything in.
    function check_otherVerbs_moveNothing(
        RunTerms terms,
        RunProgress progress,
        address caller,
        uint40 time,
        uint256 which,
        uint256 a,
        uint256 b
    ) public {
        _put(terms, progress);
        vm.assume(which >= OTHER_VERBS);
        _call(caller, time, _verb(which, a, b));
        assert(token.payments() == 0 && token.pulled() == 0);
    }

    /// @notice Funding takes reward and fee, from the poster's own call alone.
    function check_fund_takesRewardAndFee(RunTerms terms, RunProgress progress, address caller, uint40 time) public {
        _put(terms, progress);
        if (!_call(caller, time, abi.encodeCall(IRunEscrow.fund, (RUN)))) return;
        assert(caller == terms.poster() && terms.stage() == RunStage.DRAFT && time < terms.deadline());
        assert(token.pulled() == _price(terms) && token.payments() == 0);
    }

    /// @notice A run that has paid pays no second time: after an ending every verb is refused.
    function check_endings_areTheLast(
        RunTerms terms,
        RunProgress progress,
        address caller,
        uint40 time,
        uint256 which,
        uint256 a,
        uint256 b
    ) public {
        _put(terms, progress);
        vm.assume(_arrowsFrom(_stateOf(terms, progress)) == 0);
        assert(!_call(caller, time, _verb(which, a, b)));
        assert(token.payments() == 0 && token.pulled() == 0);
    }

    /// @dev Any verb of a run. From `OTHER_VERBS` on, those that move no money.
    function _verb(uint256 which, uint256 a, uint256 b) private pure returns (bytes memory) {
        if (which == 0) return abi.encodeCall(IRunEscrow.fund, (RUN));
        if (which == 1) return abi.encodeCall(IRunEscrow.cancel, (RUN));
        if (which == 2) return abi.encodeCall(IRunEscrow.approve, (RUN, a));
        if (which == 3) return abi.encodeCall(IRunEscrow.reject, (RUN, a));
        if (which == 4) return abi.encodeCall(IRunEscrow.finalize, (RUN));
        if (which == 5) return abi.encodeCall(IRunEscrow.slash, (RUN));
        if (which == OTHER_VERBS) return abi.encodeCall(IRunEscrow.claim, (RUN, a, b));
        if (which == 7) return abi.encodeCall(IRunEscrow.start, (RUN));
        if (which == 8) return abi.encodeCall(IRunEscrow.submit, (RUN, "ipfs://work"));
        return abi.encodeCall(IRunEscrow.requestRevision, (RUN, a, "more"));
    }

    /// @dev The lifecycle: a bit for each state that can come next.
    function _arrowsFrom(RunState state) private pure returns (uint256) {
        if (state == RunState.DRAFT) return _bit(RunState.OPEN) | _bit(RunState.CANCELLED);
        if (state == RunState.OPEN) return _bit(RunState.CLAIMED) | _bit(RunState.CANCELLED);
        if (state == RunState.CLAIMED) return _bit(RunState.IN_PROGRESS) | _bit(RunState.SUBMITTED) | _bit(RunState.SLASHED);
        if (state == RunState.IN_PROGRESS) return _bit(RunState.SUBMITTED) | _bit(RunState.SLASHED);
        if (state == RunState.SUBMITTED) return _bit(RunState.APPROVED) | _bit(RunState.REVISION_REQUESTED) | _bit(RunState.REJECTED);
        if (state == RunState.REVISION_REQUESTED) return _bit(RunState.SUBMITTED) | _bit(RunState.REJECTED);
        return 0;
    }

    function _bit(RunState state) private pure returns (uint256) {
        return 1 << uint256(state);
    }

    function _fee(RunTerms terms) private pure returns (uint256) {
        unchecked {
            return terms.reward() * 500 / 10_000;
        }
    }

    function _price(RunTerms terms) private pure returns (uint256) {
        unchecked {
            return terms.reward() + _fee(terms);
        }
    }

    function _assertRefunded(RunTerms terms) private view {
        assert(token.payments() == 1 && token.paidTo() == terms.poster() && token.paid() == _price(terms));
    }

    function _assertEarned(RunTerms terms, RunProgress progress) private view {
        assert(token.payments() == 1 && token.paidTo() == progress.wallet() && token.paid() == terms.reward());
        assert(escrow.uncollectedFees() == _fee(terms));
    }

    function _is(RunProgress progress, RunState state) private pure returns (bool) {
        return progress.isClaimed() && progress.state() == uint256(state);
    }

    function _stateOf(RunTerms terms, RunProgress progress) private pure returns (RunState) {
        return RunState(progress.isClaimed() ? progress.state() : terms.unclaimedState());
    }

    /// @dev What the contract has written if it has written anything: a poster's run with a reward, and if it is claimed, a funded one with
    /// an agent, in a state that follows a claim.
    function _isRun(RunTerms terms, RunProgress progress) private pure returns (bool) {
        if (terms.poster() == address(0) || terms.reward() < MINIMUM_REWARD) return false;
        // A stage that there is not would stop the check here instead of failing it.
        if (RunTerms.unwrap(terms) >> STAGE_SHIFT & 3 > uint256(type(RunStage).max)) return false;
        if (!progress.isClaimed()) return true;
        bool follows = progress.state() >= uint256(RunState.CLAIMED) && progress.state() <= uint256(RunState.SLASHED);
        return terms.stage() == RunStage.FUNDED && progress.wallet() != address(0) && follows;
    }

    function _call(address caller, uint256 time, bytes memory data) private returns (bool ok) {
        vm.assume(caller != address(0)); // which is the forwarder here, and no account
        vm.warp(time);
        vm.prank(caller);
        (ok,) = address(escrow).call(data);
    }

    function _put(RunTerms terms, RunProgress progress) private {
        vm.assume(_isRun(terms, progress));
        vm.store(address(escrow), _slot(), bytes32(RunTerms.unwrap(terms)));
        vm.store(address(escrow), bytes32(uint256(_slot()) + 1), bytes32(RunProgress.unwrap(progress)));
        assert(escrow.termsOf(RUN) == RunTerms.unwrap(terms));
    }

    function _get() private view returns (RunTerms terms, RunProgress progress) {
        terms = RunTerms.wrap(uint256(vm.load(address(escrow), _slot())));
        progress = RunProgress.wrap(uint256(vm.load(address(escrow), bytes32(uint256(_slot()) + 1))));
    }

    function _slot() private pure returns (bytes32) {
        return keccak256(abi.encode(RUN, RUNS_SLOT));
    }
}

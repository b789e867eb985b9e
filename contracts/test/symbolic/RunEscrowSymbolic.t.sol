// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { RunEscrow } from "../../src/RunEscrow.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { RunProgress, RunStage, RunTerms } from "../../src/types/RunWords.sol";
import { StubRegistry, StubStake, StubToken } from "./Stubs.sol";

/// @notice what takes money out of a run: for any run whatever, any caller and any time, only what the rules say
/// @dev The run's two words are any at all, so that also what no sequence of calls reaches is covered. Nobody is the forwarder: through it,
/// callers are who the others are without it.
contract RunEscrowSymbolicTest is Test {
    uint256 private constant RUN = 1;
    /// @dev Of the mapping from run ids to their words; `_put` sees that it is right.
    uint256 private constant RUNS_SLOT = 5;
    uint256 private constant WEEK = 7 days;

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
                feeBps: 500, minimumReward: 1e6, submissionTimeout: WEEK, reviewPeriod: WEEK, maxRevisions: 3, maxDeadlineAhead: 365 days
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

    /// @notice Nothing but the five endings pays anything out.
    function check_otherVerbs_moveNothing(RunTerms terms, RunProgress progress, address caller, uint40 time, uint256 a, uint256 b) public {
        _put(terms, progress);
        bytes[4] memory calls = [
            abi.encodeCall(IRunEscrow.claim, (RUN, a, b)),
            abi.encodeCall(IRunEscrow.start, (RUN)),
            abi.encodeCall(IRunEscrow.submit, (RUN, "ipfs://work")),
            abi.encodeCall(IRunEscrow.requestRevision, (RUN, b, "more"))
        ];
        _call(caller, time, calls[a % 4]);
        assert(token.payments() == 0 && token.pulled() == 0);
    }

    /// @notice Funding takes reward and fee, from the poster's own call alone.
    function check_fund_takesRewardAndFee(RunTerms terms, RunProgress progress, address caller, uint40 time) public {
        _put(terms, progress);
        if (!_call(caller, time, abi.encodeCall(IRunEscrow.fund, (RUN)))) return;
        assert(caller == terms.poster() && terms.stage() == RunStage.DRAFT && time < terms.deadline());
        assert(token.pulled() == _price(terms) && token.payments() == 0);
    }

    /// @notice A run that has paid pays no second time: after an ending every ending is refused.
    function check_endings_payOnce(RunTerms terms, RunProgress progress, address caller, uint40 time, uint256 expected, uint256 which)
        public
    {
        _put(terms, progress);
        bytes[5] memory endings = [
            abi.encodeCall(IRunEscrow.approve, (RUN, expected)),
            abi.encodeCall(IRunEscrow.reject, (RUN, expected)),
            abi.encodeCall(IRunEscrow.finalize, (RUN)),
            abi.encodeCall(IRunEscrow.slash, (RUN)),
            abi.encodeCall(IRunEscrow.cancel, (RUN))
        ];
        if (!_call(caller, time, endings[which % 5])) return;
        for (uint256 i = 0; i < endings.length; ++i) {
            assert(!_call(caller, time, endings[i]));
        }
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

    function _call(address caller, uint256 time, bytes memory data) private returns (bool ok) {
        vm.assume(caller != address(0)); // which is the forwarder here, and nobody
        vm.warp(time);
        vm.prank(caller);
        (ok,) = address(escrow).call(data);
    }

    /// @dev Any run that has terms.
    function _put(RunTerms terms, RunProgress progress) private {
        vm.assume(terms.exists());
        bytes32 slot = keccak256(abi.encode(RUN, RUNS_SLOT));
        vm.store(address(escrow), slot, bytes32(RunTerms.unwrap(terms)));
        vm.store(address(escrow), bytes32(uint256(slot) + 1), bytes32(RunProgress.unwrap(progress)));
        assert(escrow.termsOf(RUN) == RunTerms.unwrap(terms));
    }
}

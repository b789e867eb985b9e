// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { RunState } from "../../src/interfaces/IRunEscrow.sol";
import { AgentRecord } from "../../src/types/AgentRecord.sol";
import { RunProgress, RunStage, RunTerms, RunWords } from "../../src/types/RunWords.sol";

/// @notice the storage words, for all values of all fields: what is packed comes out again, and changing one field changes no other
contract WordsSymbolicTest is Test {
    function check_terms_comeOutAsTheyWentIn(address poster, uint56 reward, uint40 deadline, uint8 maxRevisions, uint8 stage, uint8 next)
        public
        pure
    {
        vm.assume(deadline < 1 << 36);
        vm.assume(maxRevisions <= 3);
        vm.assume(stage <= uint8(type(RunStage).max) && next <= uint8(type(RunStage).max));
        RunTerms terms = RunWords.packTerms(poster, reward, deadline, maxRevisions, RunStage(stage));
        _assertTerms(terms, poster, reward, deadline, maxRevisions, stage);
        _assertTerms(terms.withStage(RunStage(next)), poster, reward, deadline, maxRevisions, next);
        assert(poster == address(0) || terms.exists());
    }

    function check_progress_comesOutAsItWentIn(address wallet, uint48 agentId, uint8 state, uint8 revisions, uint40 deadline) public pure {
        vm.assume(state <= uint8(type(RunState).max));
        vm.assume(revisions < 16);
        RunProgress progress = RunWords.packProgress(wallet, agentId, RunState(state), revisions, deadline);
        _assertProgress(progress, wallet, agentId, state, revisions, deadline);
        assert(wallet == address(0) || progress.isClaimed());
    }

    /// @dev From any word whatever.
    function check_progress_changesWhatItIsToldTo(uint256 word, uint8 state, uint8 revisions, uint40 deadline) public pure {
        vm.assume(state <= uint8(type(RunState).max));
        vm.assume(revisions < 16);
        RunProgress was = RunProgress.wrap(word);
        _assertProgress(was.withState(RunState(state)), was.wallet(), was.agentId(), state, was.revisions(), was.deadline());
        _assertProgress(was.advance(RunState(state), deadline), was.wallet(), was.agentId(), state, was.revisions(), deadline);
        _assertProgress(was.withRevisions(revisions), was.wallet(), was.agentId(), was.state(), revisions, was.deadline());
    }

    /// @dev From any word whatever.
    function check_record_changesOneFieldAtATime(uint256 word, uint64 a, uint56 b, uint32 c, uint40 d) public pure {
        AgentRecord r = AgentRecord.wrap(word);
        _assertRecord(r.withStake(a), a, r.owed(), r.runsInHand(), r.slashes(), r.completions(), r.stakedSince());
        _assertRecord(r.withOwed(b), r.stake(), b, r.runsInHand(), r.slashes(), r.completions(), r.stakedSince());
        _assertRecord(r.withRunsInHand(c), r.stake(), r.owed(), c, r.slashes(), r.completions(), r.stakedSince());
        _assertRecord(r.withSlashes(c), r.stake(), r.owed(), r.runsInHand(), c, r.completions(), r.stakedSince());
        _assertRecord(r.withCompletions(c), r.stake(), r.owed(), r.runsInHand(), r.slashes(), c, r.stakedSince());
        _assertRecord(r.withStakedSince(d), r.stake(), r.owed(), r.runsInHand(), r.slashes(), r.completions(), d);
    }

    function _assertTerms(RunTerms terms, address poster, uint256 reward, uint256 deadline, uint256 maxRevisions, uint256 stage)
        private
        pure
    {
        assert(terms.poster() == poster && terms.reward() == reward && terms.deadline() == deadline);
        assert(terms.maxRevisions() == maxRevisions && uint256(terms.stage()) == stage);
    }

    function _assertProgress(RunProgress progress, address wallet, uint256 agentId, uint256 state, uint256 revisions, uint256 deadline)
        private
        pure
    {
        assert(progress.wallet() == wallet && progress.agentId() == agentId && progress.state() == state);
        assert(progress.revisions() == revisions && progress.deadline() == deadline);
    }

    function _assertRecord(
        AgentRecord record,
        uint256 stake,
        uint256 owed,
        uint256 runsInHand,
        uint256 slashes,
        uint256 completions,
        uint256 stakedSince
    ) private pure {
        assert(record.stake() == stake && record.owed() == owed && record.runsInHand() == runsInHand);
        assert(record.slashes() == slashes && record.completions() == completions && record.stakedSince() == stakedSince);
    }
}

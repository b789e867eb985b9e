// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { RunState } from "../../src/interfaces/IRunEscrow.sol";
import { AgentRecord } from "../../src/types/AgentRecord.sol";
import { RunProgress, RunStage, RunTerms, RunWords } from "../../src/types/RunWords.sol";

/// @notice the storage words: what is packed comes out again, and changing one field changes no other
contract WordsTest is Test {
    function testFuzz_terms_comeOutAsTheyWentIn(address poster, uint56 reward, uint40 deadline, uint8 maxRevisions, uint8 stage)
        public
        pure
    {
        deadline = uint40(bound(deadline, 0, 2 ** 36 - 1));
        maxRevisions = uint8(bound(maxRevisions, 0, 3));
        RunStage stage_ = RunStage(bound(stage, 0, uint256(type(RunStage).max)));
        RunTerms terms = RunWords.packTerms(poster, reward, deadline, maxRevisions, stage_);
        assertTerms(terms, poster, reward, deadline, maxRevisions, stage_);
        for (uint256 i = 0; i <= uint256(type(RunStage).max); ++i) {
            assertTerms(terms.withStage(RunStage(i)), poster, reward, deadline, maxRevisions, RunStage(i));
        }
    }

    function testFuzz_progress_comesOutAsItWentIn(
        address wallet,
        uint48 agentId,
        uint8 state,
        uint8 revisions,
        uint40 deadline,
        uint40 nextDeadline
    ) public pure {
        RunState state_ = RunState(bound(state, 0, uint256(type(RunState).max)));
        revisions = uint8(bound(revisions, 0, 3));
        RunProgress progress = RunWords.packProgress(wallet, agentId, state_, revisions, deadline);
        assertProgress(progress, wallet, agentId, state_, revisions, deadline);
        for (uint256 i = 0; i <= uint256(type(RunState).max); ++i) {
            RunState next = RunState(i);
            assertProgress(progress.withState(next), wallet, agentId, next, revisions, deadline);
            assertProgress(progress.advance(next, nextDeadline), wallet, agentId, next, revisions, nextDeadline);
            assertProgress(progress.withRevisions(3 - revisions), wallet, agentId, state_, 3 - revisions, deadline);
        }
    }

    function test_words_saySomethingIsThere() public pure {
        assertFalse(RunTerms.wrap(0).exists());
        assertTrue(RunWords.packTerms(address(1), 0, 0, 0, RunStage.DRAFT).exists());
        assertFalse(RunProgress.wrap(0).isClaimed());
        assertTrue(RunWords.packProgress(address(1), 0, RunState.DRAFT, 0, 0).isClaimed());
    }

    function testFuzz_record_changesOneFieldAtATime(uint256 word, uint64 a, uint56 b, uint32 c, uint40 d) public pure {
        AgentRecord r = AgentRecord.wrap(word);
        assertRecord(r.withStake(a), a, r.owed(), r.runsInHand(), r.slashes(), r.completions(), r.stakedSince());
        assertRecord(r.withOwed(b), r.stake(), b, r.runsInHand(), r.slashes(), r.completions(), r.stakedSince());
        assertRecord(r.withRunsInHand(c), r.stake(), r.owed(), c, r.slashes(), r.completions(), r.stakedSince());
        assertRecord(r.withSlashes(c), r.stake(), r.owed(), r.runsInHand(), c, r.completions(), r.stakedSince());
        assertRecord(r.withCompletions(c), r.stake(), r.owed(), r.runsInHand(), r.slashes(), c, r.stakedSince());
        assertRecord(r.withStakedSince(d), r.stake(), r.owed(), r.runsInHand(), r.slashes(), r.completions(), d);
    }

    function assertTerms(RunTerms terms, address poster, uint256 reward, uint256 deadline, uint256 maxRevisions, RunStage stage)
        private
        pure
    {
        assertEq(terms.poster(), poster);
        assertEq(terms.reward(), reward);
        assertEq(terms.deadline(), deadline);
        assertEq(terms.maxRevisions(), maxRevisions);
        assertEq(uint256(terms.stage()), uint256(stage));
        RunState[3] memory states = [RunState.DRAFT, RunState.OPEN, RunState.CANCELLED];
        assertEq(terms.unclaimedState(), uint256(states[uint256(stage)]));
    }

    function assertProgress(RunProgress progress, address wallet, uint256 agentId, RunState state, uint256 revisions, uint256 deadline)
        private
        pure
    {
        assertEq(progress.wallet(), wallet);
        assertEq(progress.agentId(), agentId);
        assertEq(progress.state(), uint256(state));
        assertEq(progress.revisions(), revisions);
        assertEq(progress.deadline(), deadline);
    }

    function assertRecord(
        AgentRecord record,
        uint64 stake,
        uint56 owed,
        uint32 runsInHand,
        uint32 slashes,
        uint32 completions,
        uint40 stakedSince
    ) private pure {
        assertEq(record.stake(), stake);
        assertEq(record.owed(), owed);
        assertEq(record.runsInHand(), runsInHand);
        assertEq(record.slashes(), slashes);
        assertEq(record.completions(), completions);
        assertEq(record.stakedSince(), stakedSince);
    }
}

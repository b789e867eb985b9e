// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { AgentStatus } from "../../src/interfaces/IAgentStake.sol";
import { RunRules } from "../../src/libraries/RunRules.sol";
import { TrustLadder } from "../../src/libraries/TrustLadder.sol";
import { AgentRecord } from "../../src/types/AgentRecord.sol";
import { RunStage, RunTerms, RunWords } from "../../src/types/RunWords.sol";

/// @notice The pure libraries against the domain's tables: the trust ladder, the fee, the terms word.
contract RuleVectorsTest is Test {
    // The parameters the domain wrote the ladder with.
    uint256 private constant MINIMUM_STAKE = 20e6;
    uint256 private constant STAKE_AT_RISK = 10e6;
    uint256 private constant BANNED_AFTER_SLASHES = 3;
    uint256 private constant ESTABLISHED_AFTER = 30 days;
    uint256 private constant ESTABLISHED_COMPLETIONS = 5;

    function test_TheLadderPlacesEveryRecordWhereTheDomainDoes() public {
        vm.pauseGasMetering(); // more rows than a block holds
        string memory json = vm.readFile("tests/vectors/ladder.json");
        AgentRecord[] memory records = _records(json);
        uint256[] memory times = _column(json, ".records.at");
        uint256[] memory statuses = _column(json, ".records.status");
        uint256[] memory committed = _column(json, ".records.committed");
        uint256[] memory free = _column(json, ".records.free");
        uint256[] memory withdrawable = _column(json, ".records.withdrawable");
        assertGe(records.length, 1900, "records");

        uint256[] memory seen = new uint256[](uint256(type(AgentStatus).max) + 1);
        for (uint256 i = 0; i < records.length; ++i) {
            AgentStatus status = TrustLadder.statusOf(
                records[i], MINIMUM_STAKE, BANNED_AFTER_SLASHES, ESTABLISHED_AFTER, ESTABLISHED_COMPLETIONS, times[i]
            );
            string memory where = string.concat("record ", vm.toString(i));
            assertEq(uint256(status), statuses[i], where);
            assertEq(TrustLadder.committed(records[i], STAKE_AT_RISK), committed[i], where);
            assertEq(TrustLadder.free(records[i], STAKE_AT_RISK), free[i], where);
            assertEq(TrustLadder.withdrawable(records[i], status, MINIMUM_STAKE, STAKE_AT_RISK), withdrawable[i], where);
            ++seen[uint256(status)];
        }
        for (uint256 i = 0; i < seen.length; ++i) {
            assertGt(seen[i], 0, "a rung that no record stands on");
        }
    }

    function test_TheFeeIsRoundedAsTheDomainRoundsIt() public view {
        string memory json = vm.readFile("tests/vectors/fees.json");
        uint256[] memory rewards = _column(json, ".fees.reward");
        uint256[] memory feeBps = _column(json, ".fees.feeBps");
        uint256[] memory fees = _column(json, ".fees.fee");
        assertGe(fees.length, 90, "fees");
        uint256 free = 0;
        for (uint256 i = 0; i < fees.length; ++i) {
            assertEq(RunRules.fee(rewards[i], feeBps[i]), fees[i], string.concat("fee ", vm.toString(i)));
            if (fees[i] == 0) ++free;
        }
        assertGt(free, 0, "no reward is too small for a fee");
        assertLt(free, fees.length, "no reward has a fee");
    }

    function test_TheTermsWordIsPackedAsTheDomainPacksIt() public view {
        string memory json = vm.readFile("tests/vectors/terms.json");
        address[] memory posters = vm.parseJsonAddressArray(json, ".terms.poster");
        uint256[] memory rewards = _column(json, ".terms.reward");
        uint256[] memory deadlines = _column(json, ".terms.deadline");
        uint256[] memory maxRevisions = _column(json, ".terms.maxRevisions");
        uint256[] memory words = _column(json, ".terms.word");
        assertGe(words.length, 100, "terms");
        for (uint256 i = 0; i < words.length; ++i) {
            RunTerms terms = RunWords.packTerms(posters[i], rewards[i], deadlines[i], maxRevisions[i], RunStage.FUNDED);
            assertEq(RunTerms.unwrap(terms), words[i], string.concat("terms ", vm.toString(i)));
        }
    }

    function _records(string memory json) private pure returns (AgentRecord[] memory records) {
        uint256[] memory stakes = _column(json, ".records.stake");
        uint256[] memory owed = _column(json, ".records.owed");
        uint256[] memory runsInHand = _column(json, ".records.runsInHand");
        uint256[] memory slashes = _column(json, ".records.slashes");
        uint256[] memory completions = _column(json, ".records.completions");
        uint256[] memory stakedSince = _column(json, ".records.stakedSince");
        records = new AgentRecord[](stakes.length);
        for (uint256 i = 0; i < stakes.length; ++i) {
            records[i] = AgentRecord.wrap(0).withStake(uint64(stakes[i])).withOwed(uint56(owed[i])).withRunsInHand(uint32(runsInHand[i]))
                .withSlashes(uint32(slashes[i])).withCompletions(uint32(completions[i])).withStakedSince(uint40(stakedSince[i]));
        }
    }

    function _column(string memory json, string memory path) private pure returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, path);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";
import { VectorWorld } from "./VectorWorld.sol";

/// @notice Every state x verb x caller x the seconds around every deadline: the contract ends in the state, or reverts with the error, that
/// the domain says; and where it succeeds, the run, the agent and every balance are the domain's too.
contract RunVectorsTest is VectorWorld {
    /// @dev A run in some state, as both sides must see it before anything is tried.
    struct Setup {
        string name;
        uint256 run;
        uint256 terms;
        Facts facts;
    }

    /// @dev The part of a run that changes.
    struct Facts {
        uint256 state;
        uint256 agent;
        address wallet;
        uint256 revisions;
        uint256 dueAt;
        uint256 reviewBy;
    }

    struct Record {
        uint256 stake;
        uint256 owed;
        uint256 runsInHand;
        uint256 slashes;
        uint256 completions;
        uint256 stakedSince;
    }

    /// @dev USDC by who holds it. `wallet` is the account recorded with the run.
    struct Money {
        int256 poster;
        int256 wallet;
        int256 escrow;
        int256 stakes;
        int256 fees;
    }

    /// @dev What an attempt left behind; `gains` against the money before it.
    struct After {
        uint256 probe;
        uint256 attempt;
        Facts facts;
        Record record;
        Money gains;
    }

    /// @dev The file. One row of `probes` is a setup, a second and a caller; `expected` holds one column of outcomes for each attempt.
    struct Vectors {
        string[] attempts;
        Outcome[] outcomes;
        Setup[] setups;
        uint256[] stepSetups;
        Step[] steps;
        uint256[] probeSetups;
        uint256[] times;
        uint256[] callers;
        uint256[][] expected;
        After[] afters;
    }

    /// @dev How far the replay has come. In memory, because going back to a snapshot takes the test's own storage along.
    struct Progress {
        uint256 step;
        uint256 probe;
        uint256 success;
        uint256[] successes;
        uint256[] refusals;
    }

    function test_TheContractAnswersEveryVectorAsTheDomainDoes() public {
        vm.pauseGasMetering(); // more calls than a block holds
        Vectors memory vectors = _read(vm.readFile("tests/vectors/runs.json"));
        assertGe(vectors.attempts.length, 25, "attempts");
        assertGe(vectors.setups.length, 38, "setups");
        assertGe(vectors.times.length, 2600, "probes");

        Progress memory progress;
        progress.successes = new uint256[](vectors.attempts.length);
        progress.refusals = new uint256[](vectors.attempts.length);
        uint256 beginning = vm.snapshotState();
        for (uint256 setup = 0; setup < vectors.setups.length; ++setup) {
            _replay(vectors, setup, progress);
            assertTrue(vm.revertToState(beginning));
        }

        assertEq(progress.step, vectors.steps.length, "steps left over");
        assertEq(progress.probe, vectors.times.length, "probes left over");
        assertEq(progress.success, vectors.afters.length, "successes left over");
        _requireBothOutcomes(vectors.attempts, progress);
    }

    /// @dev Makes one setup and tries everything on it.
    function _replay(Vectors memory vectors, uint256 setup, Progress memory progress) private {
        Setup memory situation = vectors.setups[setup];
        for (; progress.step < vectors.steps.length && vectors.stepSetups[progress.step] == setup; ++progress.step) {
            play(vectors.steps[progress.step]);
        }
        _compareFacts(_factsOf(situation.run), situation.facts, situation.name);
        bytes[] memory calls = _calls(vectors.attempts, situation);
        for (; progress.probe < vectors.times.length && vectors.probeSetups[progress.probe] == setup; ++progress.probe) {
            vm.warp(vectors.times[progress.probe]);
            for (uint256 attempt = 0; attempt < calls.length; ++attempt) {
                Outcome memory outcome = vectors.outcomes[vectors.expected[attempt][progress.probe]];
                uint256 snapshot = outcome.refused ? 0 : vm.snapshotState();
                Money memory before = _money(situation.run, outcome.refused);
                address caller = roles[vectors.callers[progress.probe]];
                (bool ok, bytes memory answer) = send(caller, address(escrow), calls[attempt]);
                if (!agrees(outcome, ok, answer)) {
                    revert(
                        string.concat(
                            situation.name,
                            ": ",
                            vectors.attempts[attempt],
                            " by ",
                            roleNames[vectors.callers[progress.probe]],
                            " at ",
                            vm.toString(vectors.times[progress.probe]),
                            disagreement(outcome, ok, answer)
                        )
                    );
                }
                if (outcome.refused) {
                    ++progress.refusals[attempt];
                    continue;
                }
                After memory left = vectors.afters[progress.success++];
                assertTrue(left.probe == progress.probe && left.attempt == attempt, "a success without its facts");
                _compareSuccess(left, situation, before, string.concat(situation.name, ": ", vectors.attempts[attempt]));
                ++progress.successes[attempt];
                assertTrue(vm.revertToStateAndDelete(snapshot));
            }
        }
    }

    /// @dev The calldata of every attempt: a verb, and what is unusual about it.
    function _calls(string[] memory attempts, Setup memory situation) private view returns (bytes[] memory calls) {
        (uint256 run, uint256 terms) = (situation.run, situation.terms);
        uint256 deadline = expectedDeadlineOf(run);
        calls = new bytes[](attempts.length);
        for (uint256 i = 0; i < attempts.length; ++i) {
            string memory name = attempts[i];
            if (same(name, "claimStale")) {
                calls[i] = usual("claim", run, 1, terms ^ 1, 0);
            } else if (same(name, "claimForProvisional")) {
                calls[i] = usual("claim", run, 2, terms, 0);
            } else if (same(name, "claimForEstablished")) {
                calls[i] = usual("claim", run, 3, terms, 0);
            } else if (same(name, "claimForUnverified")) {
                calls[i] = usual("claim", run, 4, terms, 0);
            } else if (same(name, "claimForFrozen")) {
                calls[i] = usual("claim", run, 5, terms, 0);
            } else if (same(name, "claimForBanned")) {
                calls[i] = usual("claim", run, 6, terms, 0);
            } else if (same(name, "claimForBusy")) {
                calls[i] = usual("claim", run, 7, terms, 0);
            } else if (same(name, "claimForUnknown")) {
                calls[i] = usual("claim", run, 99, terms, 0);
            } else if (same(name, "submitNothing")) {
                calls[i] = abi.encodeCall(IRunEscrow.submit, (run, text(0)));
            } else if (same(name, "submitLongest")) {
                calls[i] = abi.encodeCall(IRunEscrow.submit, (run, text(2048)));
            } else if (same(name, "submitTooLong")) {
                calls[i] = abi.encodeCall(IRunEscrow.submit, (run, text(2049)));
            } else if (same(name, "requestRevisionStale")) {
                calls[i] = usual("requestRevision", run, 0, 0, deadline + 1);
            } else if (same(name, "requestRevisionTooLong")) {
                calls[i] = abi.encodeCall(IRunEscrow.requestRevision, (run, deadline, text(2049)));
            } else if (same(name, "approveStale")) {
                calls[i] = usual("approve", run, 0, 0, deadline + 1);
            } else if (same(name, "rejectStale")) {
                calls[i] = usual("reject", run, 0, 0, deadline + 1);
            } else {
                calls[i] = usual(name, run, 1, terms, deadline);
            }
        }
    }

    // What the contracts say

    function _factsOf(uint256 runId) private view returns (Facts memory) {
        IRunEscrow.Run memory run = escrow.getRun(runId);
        return Facts(uint256(run.state), run.agentId, run.wallet, run.revisions, run.dueAt, run.reviewBy);
    }

    /// @dev Nothing is read where nothing is going to be compared.
    function _money(uint256 runId, bool unread) private view returns (Money memory money) {
        if (unread) return money;
        IRunEscrow.Run memory run = escrow.getRun(runId);
        money.poster = int256(usdc.balanceOf(run.poster));
        money.wallet = run.wallet == address(0) ? int256(0) : int256(usdc.balanceOf(run.wallet));
        money.escrow = int256(usdc.balanceOf(address(escrow)));
        money.stakes = int256(usdc.balanceOf(address(agentStake)));
        money.fees = int256(escrow.uncollectedFees());
    }

    // Comparing

    function _compareFacts(Facts memory actual, Facts memory expected, string memory where) private pure {
        assertEq(actual.state, expected.state, string.concat(where, ": state"));
        assertEq(actual.agent, expected.agent, string.concat(where, ": agent"));
        assertEq(actual.wallet, expected.wallet, string.concat(where, ": wallet"));
        assertEq(actual.revisions, expected.revisions, string.concat(where, ": revisions"));
        assertEq(actual.dueAt, expected.dueAt, string.concat(where, ": dueAt"));
        assertEq(actual.reviewBy, expected.reviewBy, string.concat(where, ": reviewBy"));
    }

    function _compareSuccess(After memory expected, Setup memory situation, Money memory before, string memory where) private view {
        _compareFacts(_factsOf(situation.run), expected.facts, where);
        if (expected.facts.wallet != address(0)) {
            IAgentStake.Agent memory agent = agentStake.getAgent(expected.facts.agent);
            assertEq(agent.stake, expected.record.stake, string.concat(where, ": stake"));
            assertEq(agent.owed, expected.record.owed, string.concat(where, ": owed"));
            assertEq(agent.runsInHand, expected.record.runsInHand, string.concat(where, ": runsInHand"));
            assertEq(agent.slashes, expected.record.slashes, string.concat(where, ": slashes"));
            assertEq(agent.completions, expected.record.completions, string.concat(where, ": completions"));
            assertEq(agent.stakedSince, expected.record.stakedSince, string.concat(where, ": stakedSince"));
        }
        Money memory money = _money(situation.run, false);
        assertEq(money.poster - before.poster, expected.gains.poster, string.concat(where, ": what the poster gained"));
        // A claim names the wallet, so before it no agent can have gained.
        if (situation.facts.wallet != address(0)) {
            assertEq(money.wallet - before.wallet, expected.gains.wallet, string.concat(where, ": what the wallet gained"));
        }
        assertEq(money.escrow - before.escrow, expected.gains.escrow, string.concat(where, ": what the escrow gained"));
        assertEq(money.stakes - before.stakes, expected.gains.stakes, string.concat(where, ": what the stakes gained"));
        assertEq(money.fees - before.fees, expected.gains.fees, string.concat(where, ": what the fees gained"));
    }

    /// @dev Every attempt is refused somewhere; every verb as it is meant to be used succeeds somewhere.
    function _requireBothOutcomes(string[] memory attempts, Progress memory progress) private pure {
        string[13] memory possible = [
            "fund",
            "cancel",
            "claim",
            "claimForProvisional",
            "claimForEstablished",
            "start",
            "submit",
            "submitLongest",
            "requestRevision",
            "approve",
            "reject",
            "finalize",
            "slash"
        ];
        for (uint256 i = 0; i < attempts.length; ++i) {
            assertGt(progress.refusals[i], 0, string.concat(attempts[i], " is never refused"));
            bool succeeds = false;
            for (uint256 j = 0; j < possible.length; ++j) {
                succeeds = succeeds || same(attempts[i], possible[j]);
            }
            assertEq(progress.successes[i] > 0, succeeds, string.concat(attempts[i], " succeeds never, or where it must not"));
        }
    }

    // Reading

    function _read(string memory json) private view returns (Vectors memory vectors) {
        vectors.attempts = vm.parseJsonStringArray(json, ".attempts.name");
        vectors.outcomes = readOutcomes(json);
        vectors.setups = _readSetups(json);
        vectors.stepSetups = column(json, ".steps", "setup");
        vectors.steps = readSteps(json, ".steps");
        vectors.probeSetups = column(json, ".probes", "setup");
        vectors.times = column(json, ".probes", "at");
        vectors.callers = column(json, ".probes", "caller");
        vectors.expected = new uint256[][](vectors.attempts.length);
        for (uint256 i = 0; i < vectors.attempts.length; ++i) {
            vectors.expected[i] = column(json, ".probes", vectors.attempts[i]);
        }
        vectors.afters = _readAfters(json);
    }

    function _readSetups(string memory json) private pure returns (Setup[] memory setups) {
        string[] memory names = vm.parseJsonStringArray(json, ".setups.name");
        uint256[] memory runs = column(json, ".setups", "run");
        uint256[] memory terms = column(json, ".setups", "terms");
        Facts[] memory facts = _readFacts(json, ".setups");
        setups = new Setup[](names.length);
        for (uint256 i = 0; i < names.length; ++i) {
            setups[i] = Setup(names[i], runs[i], terms[i], facts[i]);
        }
    }

    function _readFacts(string memory json, string memory table) private pure returns (Facts[] memory facts) {
        uint256[] memory states = column(json, table, "state");
        uint256[] memory agents = column(json, table, "agent");
        address[] memory wallets = vm.parseJsonAddressArray(json, string.concat(table, ".wallet"));
        uint256[] memory revisions = column(json, table, "revisions");
        uint256[] memory dueAts = column(json, table, "dueAt");
        uint256[] memory reviewBys = column(json, table, "reviewBy");
        facts = new Facts[](states.length);
        for (uint256 i = 0; i < states.length; ++i) {
            facts[i] = Facts(states[i], agents[i], wallets[i], revisions[i], dueAts[i], reviewBys[i]);
        }
    }

    function _readAfters(string memory json) private pure returns (After[] memory afters) {
        uint256[] memory probes = column(json, ".after", "probe");
        uint256[] memory attempts = column(json, ".after", "attempt");
        Facts[] memory facts = _readFacts(json, ".after");
        Record[] memory records = _readRecords(json);
        Money[] memory gains = _readGains(json);
        afters = new After[](probes.length);
        for (uint256 i = 0; i < probes.length; ++i) {
            afters[i] = After(probes[i], attempts[i], facts[i], records[i], gains[i]);
        }
    }

    function _readRecords(string memory json) private pure returns (Record[] memory records) {
        uint256[] memory stakes = column(json, ".after", "stake");
        uint256[] memory owed = column(json, ".after", "owed");
        uint256[] memory runsInHand = column(json, ".after", "runsInHand");
        uint256[] memory slashes = column(json, ".after", "slashes");
        uint256[] memory completions = column(json, ".after", "completions");
        uint256[] memory stakedSince = column(json, ".after", "stakedSince");
        records = new Record[](stakes.length);
        for (uint256 i = 0; i < stakes.length; ++i) {
            records[i] = Record(stakes[i], owed[i], runsInHand[i], slashes[i], completions[i], stakedSince[i]);
        }
    }

    function _readGains(string memory json) private pure returns (Money[] memory gains) {
        int256[] memory poster = vm.parseJsonIntArray(json, ".after.posterGain");
        int256[] memory wallet = vm.parseJsonIntArray(json, ".after.walletGain");
        int256[] memory escrowed = vm.parseJsonIntArray(json, ".after.escrowGain");
        int256[] memory stakes = vm.parseJsonIntArray(json, ".after.stakesGain");
        int256[] memory fees = vm.parseJsonIntArray(json, ".after.feesGain");
        gains = new Money[](poster.length);
        for (uint256 i = 0; i < poster.length; ++i) {
            gains[i] = Money(poster[i], wallet[i], escrowed[i], stakes[i], fees[i]);
        }
    }
}

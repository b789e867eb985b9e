// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { VectorWorld } from "./VectorWorld.sol";

/// @notice Deposits and withdrawals around every limit, by every kind of caller: the contract answers as the domain does, and what it says
/// of the agent afterwards is what the domain says.
contract StakeVectorsTest is VectorWorld {
    /// @dev The file. One row of `probes` is a setup, a moment, an agent, an amount and a caller.
    struct Vectors {
        Outcome[] outcomes;
        string[] setups;
        uint256[] stepSetups;
        Step[] steps;
        uint256[] probeSetups;
        uint256[] times;
        uint256[] agents;
        uint256[] amounts;
        uint256[] callers;
        uint256[] stake;
        uint256[] unstake;
        Records afters;
    }

    /// @dev What `getAgent` must answer after each success, in the order in which attempts succeed.
    struct Records {
        uint256[] stake;
        uint256[] committed;
        uint256[] free;
        uint256[] owed;
        uint256[] runsInHand;
        uint256[] slashes;
        uint256[] completions;
        uint256[] stakedSince;
        uint256[] withdrawable;
    }

    /// @dev How far the replay has come. In memory, because going back to a snapshot takes the test's own storage along.
    struct Progress {
        uint256 step;
        uint256 probe;
        uint256 success;
        uint256 stakes;
        uint256 unstakes;
    }

    function test_TheStakeAnswersEveryVectorAsTheDomainDoes() public {
        vm.pauseGasMetering(); // more calls than a block holds
        Vectors memory vectors = _read(vm.readFile("tests/vectors/stakes.json"));
        assertGe(vectors.setups.length, 10, "setups");
        assertGe(vectors.times.length, 2900, "probes");

        Progress memory progress;
        uint256 beginning = vm.snapshotState();
        for (uint256 setup = 0; setup < vectors.setups.length; ++setup) {
            for (; progress.step < vectors.steps.length && vectors.stepSetups[progress.step] == setup; ++progress.step) {
                play(vectors.steps[progress.step]);
            }
            for (; progress.probe < vectors.times.length && vectors.probeSetups[progress.probe] == setup; ++progress.probe) {
                vm.warp(vectors.times[progress.probe]);
                if (_attempt(vectors, progress, IAgentStake.stake.selector, vectors.stake)) ++progress.stakes;
                if (_attempt(vectors, progress, IAgentStake.unstake.selector, vectors.unstake)) ++progress.unstakes;
            }
            assertTrue(vm.revertToState(beginning));
        }

        assertEq(progress.step, vectors.steps.length, "steps left over");
        assertEq(progress.probe, vectors.times.length, "probes left over");
        assertEq(progress.success, vectors.afters.stake.length, "successes left over");
        assertGt(progress.stakes, 0, "nothing was staked");
        assertLt(progress.stakes, vectors.times.length, "every deposit was accepted");
        assertGt(progress.unstakes, 0, "nothing was withdrawn");
        assertLt(progress.unstakes, vectors.times.length, "every withdrawal was accepted");
    }

    /// @return succeeded Whether it did, as expected; it has been undone.
    function _attempt(Vectors memory vectors, Progress memory progress, bytes4 verb, uint256[] memory expected)
        private
        returns (bool succeeded)
    {
        uint256 probe = progress.probe;
        Outcome memory outcome = vectors.outcomes[expected[probe]];
        uint256 agentId_ = vectors.agents[probe];
        address caller = roles[vectors.callers[probe]];
        string memory where = string.concat(vectors.setups[vectors.probeSetups[probe]], ", probe ", vm.toString(probe));
        uint256 snapshot = vm.snapshotState();
        uint256 held = usdc.balanceOf(address(agentStake)) + usdc.balanceOf(caller);
        (bool ok, bytes memory answer) = send(caller, address(agentStake), abi.encodeWithSelector(verb, agentId_, vectors.amounts[probe]));
        assertTrue(agrees(outcome, ok, answer), string.concat(where, disagreement(outcome, ok, answer)));
        if (!outcome.refused) {
            _compare(vectors.afters, progress.success++, agentStake.getAgent(agentId_), where);
            assertEq(uint256(agentStake.statusOf(agentId_)), outcome.position, string.concat(where, ": status"));
            assertEq(usdc.balanceOf(address(agentStake)) + usdc.balanceOf(caller), held, string.concat(where, ": USDC went astray"));
        }
        assertTrue(vm.revertToStateAndDelete(snapshot));
        return !outcome.refused;
    }

    function _compare(Records memory expected, uint256 i, IAgentStake.Agent memory actual, string memory where) private pure {
        assertEq(actual.stake, expected.stake[i], string.concat(where, ": stake"));
        assertEq(actual.committed, expected.committed[i], string.concat(where, ": committed"));
        assertEq(actual.free, expected.free[i], string.concat(where, ": free"));
        assertEq(actual.owed, expected.owed[i], string.concat(where, ": owed"));
        assertEq(actual.runsInHand, expected.runsInHand[i], string.concat(where, ": runsInHand"));
        assertEq(actual.slashes, expected.slashes[i], string.concat(where, ": slashes"));
        assertEq(actual.completions, expected.completions[i], string.concat(where, ": completions"));
        assertEq(actual.stakedSince, expected.stakedSince[i], string.concat(where, ": stakedSince"));
        assertEq(actual.withdrawable, expected.withdrawable[i], string.concat(where, ": withdrawable"));
    }

    function _read(string memory json) private view returns (Vectors memory vectors) {
        vectors.outcomes = readOutcomes(json);
        vectors.setups = vm.parseJsonStringArray(json, ".setups.name");
        vectors.stepSetups = column(json, ".steps", "setup");
        vectors.steps = readSteps(json, ".steps");
        vectors.probeSetups = column(json, ".probes", "setup");
        vectors.times = column(json, ".probes", "at");
        vectors.agents = column(json, ".probes", "agent");
        vectors.amounts = column(json, ".probes", "amount");
        vectors.callers = column(json, ".probes", "caller");
        vectors.stake = column(json, ".probes", "stake");
        vectors.unstake = column(json, ".probes", "unstake");
        vectors.afters.stake = column(json, ".after", "stake");
        vectors.afters.committed = column(json, ".after", "committed");
        vectors.afters.free = column(json, ".after", "free");
        vectors.afters.owed = column(json, ".after", "owed");
        vectors.afters.runsInHand = column(json, ".after", "runsInHand");
        vectors.afters.slashes = column(json, ".after", "slashes");
        vectors.afters.completions = column(json, ".after", "completions");
        vectors.afters.stakedSince = column(json, ".after", "stakedSince");
        vectors.afters.withdrawable = column(json, ".after", "withdrawable");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

import { AgentRegistry } from "../../src/AgentRegistry.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { Path, TOKEN_REFUSES, Verb } from "./Calls.sol";
import { EventIndex } from "./EventIndex.sol";
import { Market } from "./MarketCalls.sol";
import { MarketHandler } from "./MarketHandler.sol";
import { ReferenceMarket } from "./ReferenceMarket.sol";

/// @notice What holds after any sequence of calls; README.md numbers it, and the functions here are named there.
/// @dev One invariant function, because forge plays a campaign of its own for each. How many walks and steps: `foundry.toml`.
/// forge-config: default.isolate = false
/// forge-config: deep.isolate = false
contract MarketInvariantTest is ClawPayTest {
    uint256 private constant NOT_THERE = 15;
    /// @dev The walks that are always the same.
    uint256 private constant WALKS = 16;
    uint256 private constant STEPS = 500;

    MarketHandler private handler;
    ReferenceMarket private rules;
    EventIndex private index;
    /// @dev Everybody who can hold USDC, the two contracts aside.
    address[] private accounts;

    function setUp() public override {
        vm.warp(START);
        usdc = TestUSDC(deploy("TestUSDC", ""));
        forwarder = new ERC2771Forwarder("ClawPay Runs");
        registry = AgentRegistry(deploy("AgentRegistry", abi.encode(forwarder)));
        (agentStake, escrow) = deployPair(address(usdc), address(registry));
        handler = new MarketHandler(Market(usdc, registry, agentStake, escrow, forwarder, owner, treasury));
        (rules, index, accounts) = (handler.rules(), handler.index(), handler.accounts());
        accounts.push(treasury);
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), actions()));
    }

    /// @dev What a party may do next; each as likely as the others.
    function actions() private view returns (bytes4[] memory selectors) {
        selectors = new bytes4[](22);
        uint256 i = 0;
        selectors[i++] = handler.offer.selector;
        selectors[i++] = handler.fund.selector;
        selectors[i++] = handler.cancel.selector;
        selectors[i++] = handler.requestRevision.selector;
        selectors[i++] = handler.approve.selector;
        selectors[i++] = handler.reject.selector;
        selectors[i++] = handler.slash.selector;
        selectors[i++] = handler.claim.selector;
        selectors[i++] = handler.start.selector;
        selectors[i++] = handler.submit.selector;
        selectors[i++] = handler.stake.selector;
        selectors[i++] = handler.unstake.selector;
        selectors[i++] = handler.changeAgent.selector;
        selectors[i++] = handler.finalize.selector;
        selectors[i++] = handler.endLate.selector;
        selectors[i++] = handler.moveMoney.selector;
        selectors[i++] = handler.ruleToken.selector;
        selectors[i++] = handler.ruleEscrow.selector;
        selectors[i++] = handler.passHours.selector;
        selectors[i++] = handler.passDays.selector;
        selectors[i++] = handler.passToDeadline.selector;
        selectors[i++] = handler.tryRefused.selector;
    }

    /// @dev Runs that are over cannot change; they are looked at again at the end.
    function invariant_market() public view {
        check(handler.liveRuns());
    }

    function afterInvariant() public {
        check(allRuns());
        deliveredWorkIsNotSlashed();
        handler.settle(escrow.runCount() % 2 == 0);
        nothingIsLeft();
    }

    /// @dev What the contracts answer, asked once.
    struct Answers {
        uint256[] ids;
        IRunEscrow.Run[] runs;
        IAgentStake.Agent[] agents;
        uint256[] balances;
        uint256[] escrowCredits;
        uint256[] stakeCredits;
        uint256 fees;
        uint256 escrowHolds;
        uint256 stakeHolds;
    }

    function ask(uint256[] memory ids) private view returns (Answers memory answers) {
        answers.ids = ids;
        answers.runs = new IRunEscrow.Run[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            answers.runs[i] = escrow.getRun(ids[i]);
        }
        answers.agents = new IAgentStake.Agent[](registry.agentCount());
        for (uint256 i = 0; i < answers.agents.length; ++i) {
            answers.agents[i] = agentStake.getAgent(i + 1);
        }
        uint256 count = accounts.length;
        (answers.balances, answers.escrowCredits, answers.stakeCredits) = (new uint256[](count), new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; ++i) {
            address account = accounts[i];
            answers.balances[i] = usdc.balanceOf(account);
            answers.escrowCredits[i] = escrow.creditOf(account);
            answers.stakeCredits[i] = agentStake.creditOf(account);
        }
        answers.fees = escrow.uncollectedFees();
        answers.escrowHolds = usdc.balanceOf(address(escrow));
        answers.stakeHolds = usdc.balanceOf(address(agentStake));
    }

    function check(uint256[] memory ids) private view {
        Answers memory answers = ask(ids);
        escrowIsSolvent(answers);
        stakeIsSolvent(answers);
        everyBaseUnitIsWhereTheRulesPutIt(answers);
        everyEdgeIsAnArrow();
        commitmentsAreCovered(answers);
        agentsAreAsTheRulesSay(answers);
        runsAreAsTheRulesSay(answers);
        creditsAreAsOwed(answers);
        viewsAreTheReplayOfEvents(answers);
    }

    // The walk reaches what it is judged by

    struct Reached {
        uint256 edges;
        uint256 stops;
        uint256 statuses;
        uint256 pauses;
        uint256 partiesBlacklisted;
        uint256 contractsBlacklisted;
        uint256 permitsTaken;
        uint256[4][] done;
        uint256[] refusals;
    }

    /// @dev Walks that are always the same: one that does nothing breaks no rule either.
    function test_TheWalkReachesEverything() public {
        vm.pauseGasMetering(); // more calls than a block holds
        bytes4[] memory selectors = actions();
        Reached memory reached;
        reached.done = new uint256[4][](uint256(type(Verb).max) + 1);
        reached.refusals = new uint256[](reasons().length);
        uint256 beginning = vm.snapshotState();
        for (uint256 walk = 0; walk < WALKS; ++walk) {
            for (uint256 step = 0; step < STEPS; ++step) {
                uint256 seed = uint256(keccak256(abi.encode(walk, step)));
                (bool ok, bytes memory answer) = address(handler).call(abi.encodeWithSelector(selectors[seed % selectors.length], seed));
                assertTrue(ok, string.concat("walk ", vm.toString(walk), ", step ", vm.toString(step), ": ", vm.toString(answer)));
                if (step % 10 != 0) continue;
                noteStatuses(reached);
                invariant_market();
            }
            note(reached);
            afterInvariant();
            assertTrue(vm.revertToState(beginning));
        }
        requireEverything(reached);
    }

    function noteStatuses(Reached memory reached) private view {
        for (uint256 id = 1; id <= registry.agentCount(); ++id) {
            reached.statuses |= 1 << uint256(agentStake.statusOf(id));
        }
    }

    function note(Reached memory reached) private view {
        reached.edges |= handler.edges();
        reached.stops |= handler.stops();
        reached.pauses += handler.pauses();
        reached.partiesBlacklisted += handler.partiesBlacklisted();
        reached.contractsBlacklisted += handler.contractsBlacklisted();
        reached.permitsTaken += handler.permitsTaken();
        bytes4[] memory selectors = reasons();
        for (uint256 verb = 0; verb < reached.done.length; ++verb) {
            for (uint256 path = 0; path < 4; ++path) {
                reached.done[verb][path] += handler.done(Verb(verb), Path(path));
            }
            for (uint256 i = 0; i < selectors.length; ++i) {
                reached.refusals[i] += handler.refused(Verb(verb), selectors[i]);
            }
        }
    }

    function requireEverything(Reached memory reached) private pure {
        for (uint256 verb = 0; verb < reached.done.length; ++verb) {
            uint256[4] memory done = reached.done[verb];
            bool pays = Verb(verb) == Verb.CREATE_AND_FUND || Verb(verb) == Verb.FUND || Verb(verb) == Verb.STAKE;
            bool owners = Verb(verb) == Verb.SET_TREASURY || Verb(verb) == Verb.PAUSE || Verb(verb) == Verb.UNPAUSE;
            string memory name = string.concat("verb ", vm.toString(verb));
            assertGt(done[uint256(Path.DIRECT)], 0, string.concat(name, " never happens"));
            assertEq(done[uint256(Path.FORWARDED)] > 0, !owners, string.concat(name, " is never forwarded, or must not be"));
            assertEq(done[uint256(Path.PERMIT)] > 0, pays, string.concat(name, " never comes with a permit"));
            assertEq(done[uint256(Path.AUTHORIZATION)] > 0, pays, string.concat(name, " never comes with an authorization"));
        }
        assertEq(reached.edges, arrows(), "an arrow of the lifecycle that nobody takes");
        assertEq(reached.statuses, 31, "a rung of the ladder on which nobody stands");
        assertEq(reached.stops, 7, "time never stops before, at or after a deadline");
        assertGt(reached.pauses, 0, "the token is never paused");
        assertGt(reached.partiesBlacklisted, 0, "no party is ever blacklisted");
        assertGt(reached.contractsBlacklisted, 0, "no contract is ever blacklisted");
        assertGt(reached.permitsTaken, 0, "no permit is ever sent by somebody else first");
        bytes4[] memory selectors = reasons();
        for (uint256 i = 0; i < selectors.length; ++i) {
            assertGt(reached.refusals[i], 0, string.concat("nothing is refused for ", vm.toString(abi.encodePacked(selectors[i]))));
        }
    }

    /// @dev Why a call may be refused.
    function reasons() private pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](27);
        uint256 i = 0;
        selectors[i++] = IRunEscrow.RunEscrow_RunNotFound.selector;
        selectors[i++] = IRunEscrow.RunEscrow_WrongState.selector;
        selectors[i++] = IRunEscrow.RunEscrow_NotPoster.selector;
        selectors[i++] = IRunEscrow.RunEscrow_NotRunAgent.selector;
        selectors[i++] = IRunEscrow.RunEscrow_PosterCannotClaim.selector;
        selectors[i++] = IRunEscrow.RunEscrow_RewardOutOfRange.selector;
        selectors[i++] = IRunEscrow.RunEscrow_DeadlineOutOfRange.selector;
        selectors[i++] = IRunEscrow.RunEscrow_TooManyRevisions.selector;
        selectors[i++] = IRunEscrow.RunEscrow_LengthOutOfRange.selector;
        selectors[i++] = IRunEscrow.RunEscrow_DeadlinePassed.selector;
        selectors[i++] = IRunEscrow.RunEscrow_TermsChanged.selector;
        selectors[i++] = IRunEscrow.RunEscrow_SubmissionChanged.selector;
        selectors[i++] = IRunEscrow.RunEscrow_TooLate.selector;
        selectors[i++] = IRunEscrow.RunEscrow_TooEarly.selector;
        selectors[i++] = IRunEscrow.RunEscrow_NoRevisionsLeft.selector;
        selectors[i++] = IRunEscrow.RunEscrow_RevisionsLeft.selector;
        selectors[i++] = IRunEscrow.RunEscrow_InvalidTreasury.selector;
        selectors[i++] = ICustody.Custody_NoCredit.selector;
        selectors[i++] = IAgentStake.AgentStake_NotAgent.selector;
        selectors[i++] = IAgentStake.AgentStake_NotOwner.selector;
        selectors[i++] = IAgentStake.AgentStake_AgentIdOutOfRange.selector;
        selectors[i++] = IAgentStake.AgentStake_NotEligible.selector;
        selectors[i++] = IAgentStake.AgentStake_StakeCommitted.selector;
        selectors[i++] = IAgentStake.AgentStake_AmountOutOfRange.selector;
        selectors[i++] = IAgentStake.AgentStake_ExceedsWithdrawable.selector;
        selectors[i++] = IAgentStake.AgentStake_Frozen.selector;
        selectors[i++] = TOKEN_REFUSES;
    }

    // The invariants

    function escrowIsSolvent(Answers memory answers) private view {
        uint256 owed = answers.fees + sum(answers.escrowCredits);
        for (uint256 i = 0; i < answers.runs.length; ++i) {
            if (holdsMoney(answers.runs[i].state)) owed += answers.runs[i].reward + answers.runs[i].fee;
        }
        assertGe(answers.escrowHolds, owed, "the escrow owes more than it holds");
        assertEq(answers.escrowHolds, owed + rules.donated(address(escrow)), "the escrow holds what it does not owe");
    }

    function stakeIsSolvent(Answers memory answers) private view {
        uint256 owed = sum(answers.stakeCredits);
        for (uint256 i = 0; i < answers.agents.length; ++i) {
            owed += answers.agents[i].stake;
        }
        assertGe(answers.stakeHolds, owed, "the stake owes more than it holds");
        assertEq(answers.stakeHolds, owed + rules.donated(address(agentStake)), "the stake holds what it does not owe");
    }

    function everyBaseUnitIsWhereTheRulesPutIt(Answers memory answers) private view {
        (uint256[] memory balances,,) = rules.books(accounts);
        requireSame(abi.encode(answers.balances), abi.encode(balances), "a party's USDC is not what the rules make of it");
        assertEq(answers.escrowHolds, rules.balanceOf(address(escrow)), "the escrow's USDC");
        assertEq(answers.stakeHolds, rules.balanceOf(address(agentStake)), "the stake's USDC");
        assertEq(sum(answers.balances) + answers.escrowHolds + answers.stakeHolds, rules.minted(), "USDC went astray");
        assertEq(usdc.totalSupply(), rules.minted(), "USDC came from nowhere");
    }

    function everyEdgeIsAnArrow() private view {
        assertEq(handler.edges() & ~arrows(), 0, "a change of state that is no arrow of the lifecycle");
    }

    function commitmentsAreCovered(Answers memory answers) private pure {
        uint256[] memory inHand = new uint256[](answers.agents.length + 1);
        for (uint256 i = 0; i < answers.runs.length; ++i) {
            if (answers.runs[i].state != RunState.OPEN && holdsMoney(answers.runs[i].state)) ++inHand[answers.runs[i].agentId];
        }
        for (uint256 i = 0; i < answers.agents.length; ++i) {
            IAgentStake.Agent memory agent = answers.agents[i];
            assertEq(agent.runsInHand, inHand[i + 1], "runs in hand");
            assertEq(agent.committed, inHand[i + 1] * AT_RISK, "committed");
            assertLe(agent.committed, agent.stake, "more is committed than staked");
        }
    }

    function agentsAreAsTheRulesSay(Answers memory answers) private view {
        requireSame(abi.encode(answers.agents), abi.encode(rules.agents()), "an agent is not what the rules make of it");
        uint256 id = 1 + vm.getBlockTimestamp() % answers.agents.length;
        assertEq(uint256(agentStake.statusOf(id)), uint256(answers.agents[id - 1].status), "status");
    }

    /// @dev One of the runs, another at every second, is asked for what follows from the others' answers.
    function runsAreAsTheRulesSay(Answers memory answers) private view {
        assertEq(escrow.runCount(), rules.runCount(), "runs");
        assertEq(escrow.treasury(), rules.treasury(), "treasury");
        assertEq(escrow.paused(), rules.paused(), "paused");
        requireSame(abi.encode(answers.runs), abi.encode(rules.runs(answers.ids)), "a run is not what the rules make of it");
        if (answers.ids.length == 0) return;
        uint256 id = answers.ids[vm.getBlockTimestamp() % answers.ids.length];
        assertEq(escrow.termsOf(id), rules.terms(id), "terms");
        assertEq(escrow.isSlashable(id), rules.isSlashable(id), "slashable");
        assertEq(escrow.isFinalizable(id), rules.isFinalizable(id), "finalizable");
    }

    function creditsAreAsOwed(Answers memory answers) private view {
        (, uint256[] memory escrowCredits, uint256[] memory stakeCredits) = rules.books(accounts);
        requireSame(
            abi.encode(answers.escrowCredits), abi.encode(escrowCredits), "the escrow's credits are not what the rules make of them"
        );
        requireSame(abi.encode(answers.stakeCredits), abi.encode(stakeCredits), "the stake's credits are not what the rules make of them");
        assertEq(answers.fees, rules.fees(), "fees");
    }

    function viewsAreTheReplayOfEvents(Answers memory answers) private view {
        assertEq(escrow.runCount(), index.runCount(), "runs by events");
        requireSame(abi.encode(answers.runs), abi.encode(index.runs(answers.ids)), "a run is not what its events say");
        requireSame(abi.encode(agentFacts(answers)), abi.encode(index.agents()), "an agent is not what the events say");
        requireSame(
            abi.encode(answers.escrowCredits, answers.stakeCredits),
            abi.encode(index.credits(address(escrow), accounts), index.credits(address(agentStake), accounts)),
            "the credits are not what the events say"
        );
        assertEq(answers.fees, index.uncollectedFees(), "fees by events");
        assertEq(escrow.treasury(), index.treasury(), "treasury by events");
        assertEq(escrow.paused(), index.paused(), "paused by events");
    }

    /// @dev The part of the answers that is stored, and not worked out from the time.
    function agentFacts(Answers memory answers) private view returns (EventIndex.Facts[] memory facts) {
        facts = new EventIndex.Facts[](answers.agents.length);
        for (uint256 i = 0; i < facts.length; ++i) {
            IAgentStake.Agent memory agent = answers.agents[i];
            facts[i] = EventIndex.Facts({
                owner: registry.ownerOf(i + 1),
                wallet: registry.getAgentWallet(i + 1),
                stake: agent.stake,
                owed: agent.owed,
                committed: agent.committed,
                runsInHand: agent.runsInHand,
                slashes: agent.slashes,
                completions: agent.completions,
                stakedSince: agent.stakedSince
            });
        }
    }

    function deliveredWorkIsNotSlashed() private view {
        for (uint256 id = 1; id <= escrow.runCount(); ++id) {
            if (escrow.getRun(id).state == RunState.SLASHED) assertEq(index.deliveries(id), 0, "work that was delivered was slashed");
        }
    }

    /// @dev After the settlement, in which every call had to succeed.
    function nothingIsLeft() private view {
        assertEq(handler.liveRuns().length, 0, "a run does not end");
        check(allRuns());
        deliveredWorkIsNotSlashed();
        assertEq(usdc.balanceOf(address(escrow)), rules.donated(address(escrow)), "the escrow keeps what it does not owe");
        assertEq(usdc.balanceOf(address(agentStake)), rules.donated(address(agentStake)), "the stake keeps what it does not owe");
    }

    // Words

    function allRuns() private view returns (uint256[] memory runs) {
        runs = new uint256[](escrow.runCount());
        for (uint256 i = 0; i < runs.length; ++i) {
            runs[i] = i + 1;
        }
    }

    function holdsMoney(RunState state) private pure returns (bool) {
        return state == RunState.OPEN || state == RunState.CLAIMED || state == RunState.IN_PROGRESS || state == RunState.SUBMITTED
            || state == RunState.REVISION_REQUESTED;
    }

    function sum(uint256[] memory amounts) private pure returns (uint256 total) {
        for (uint256 i = 0; i < amounts.length; ++i) {
            total += amounts[i];
        }
    }

    /// @dev Of much that is compared, only the first word that differs is shown.
    function requireSame(bytes memory actual, bytes memory expected, string memory what) private pure {
        if (keccak256(actual) == keccak256(expected)) return;
        assertEq(actual.length, expected.length, what);
        for (uint256 offset = 32; offset <= actual.length; offset += 32) {
            (bytes32 found, bytes32 meant) = (word(actual, offset), word(expected, offset));
            if (found != meant) revert(string.concat(what, ": ", vm.toString(found), " is not ", vm.toString(meant)));
        }
    }

    function word(bytes memory text, uint256 offset) private pure returns (bytes32 found) {
        assembly ("memory-safe") {
            found := mload(add(text, offset))
        }
    }

    /// @dev The lifecycle: bit `16 x from + to` for each arrow. Submitting from CLAIMED passes through IN_PROGRESS within one call.
    function arrows() private pure returns (uint256) {
        return (bit(RunState.DRAFT) | bit(RunState.OPEN)) << (16 * NOT_THERE)
            | arrow(RunState.DRAFT, bit(RunState.OPEN) | bit(RunState.CANCELLED))
            | arrow(RunState.OPEN, bit(RunState.CLAIMED) | bit(RunState.CANCELLED))
            | arrow(RunState.CLAIMED, bit(RunState.IN_PROGRESS) | bit(RunState.SUBMITTED) | bit(RunState.SLASHED))
            | arrow(RunState.IN_PROGRESS, bit(RunState.SUBMITTED) | bit(RunState.SLASHED))
            | arrow(RunState.SUBMITTED, bit(RunState.APPROVED) | bit(RunState.REVISION_REQUESTED) | bit(RunState.REJECTED))
            | arrow(RunState.REVISION_REQUESTED, bit(RunState.SUBMITTED) | bit(RunState.REJECTED));
    }

    function arrow(RunState from, uint256 to) private pure returns (uint256) {
        return to << (16 * uint256(from));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import { AgentStake } from "../../src/AgentStake.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { ForeignRegistry } from "../mocks/ForeignRegistry.sol";
import { SkimmingToken } from "../mocks/SkimmingToken.sol";

/// @notice stake
/// ├── agent id beyond 48 bits, or unknown: refused
/// ├── amount of nothing, or more than the record holds: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise, by anybody: the agent's stake grows
///     ├── reaching the minimum starts the uninterrupted time, more does not restart it
///     └── what it owes is paid down by as much
contract StakeTest is ClawPayTest {
    uint256 private newcomer;

    function setUp() public override {
        super.setUp();
        newcomer = registerAgent(wallet);
    }

    function test_stake_byAnybodyBelongsToTheAgent() public {
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(newcomer, stranger, MINIMUM_STAKE, MINIMUM_STAKE, 0);
        stakeFor(newcomer, stranger, MINIMUM_STAKE);

        assertEq(usdc.balanceOf(stranger), FUNDS - MINIMUM_STAKE);
        assertEq(usdc.balanceOf(address(agentStake)), AGENT_STAKE + MINIMUM_STAKE);
        IAgentStake.Agent memory agent = agentStake.getAgent(newcomer);
        assertEq(uint256(agent.status), uint256(AgentStatus.PROVISIONAL));
        assertEq(agent.stake, MINIMUM_STAKE);
        assertEq(agent.free, MINIMUM_STAKE);
        assertEq(agent.committed, 0);
        assertEq(agent.withdrawable, MINIMUM_STAKE);
        assertEq(agent.stakedSince, START);
    }

    function test_stake_startsTheTimeWhenTheMinimumIsReachedAndNotBefore() public {
        stakeFor(newcomer, wallet, MINIMUM_STAKE - 1);
        assertEq(agentStake.getAgent(newcomer).stakedSince, 0);
        assertEq(uint256(agentStake.statusOf(newcomer)), uint256(AgentStatus.UNVERIFIED));
        skip(5 days);
        stakeFor(newcomer, wallet, 1);
        assertEq(agentStake.getAgent(newcomer).stakedSince, START + 5 days);
        assertEq(uint256(agentStake.statusOf(newcomer)), uint256(AgentStatus.PROVISIONAL));
        skip(5 days);
        stakeFor(newcomer, wallet, MINIMUM_STAKE);
        assertEq(agentStake.getAgent(newcomer).stakedSince, START + 5 days, "more does not restart it");
    }

    function test_stake_paysDownWhatIsOwedAndCountsInFull() public {
        slashedRun();
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(agentId, wallet, AT_RISK - 1, AGENT_STAKE - 1, 1);
        stakeFor(agentId, wallet, AT_RISK - 1);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.FROZEN));
        assertEq(agentStake.getAgent(agentId).owed, 1);
        assertEq(agentStake.getAgent(agentId).withdrawable, 0);
        stakeFor(agentId, wallet, 2);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.PROVISIONAL));
        assertEq(agentStake.getAgent(agentId).owed, 0);
        assertEq(agentStake.getAgent(agentId).stake, AGENT_STAKE + 1);
    }

    function test_stake_takesAnyAmountTheRecordHolds() public {
        usdc.mint(stranger, 2 ** 64);
        bytes4 fault = IAgentStake.AgentStake_AmountOutOfRange.selector;
        uint256 maximum = 2 ** 64 - 1;
        assertNotStaked(newcomer, 0, abi.encodeWithSelector(fault, 0, 1, maximum));
        assertNotStaked(newcomer, maximum + 1, abi.encodeWithSelector(fault, maximum + 1, 1, maximum));
        assertNotStaked(newcomer, type(uint256).max, abi.encodeWithSelector(fault, type(uint256).max, 1, maximum));
        stakeFor(newcomer, stranger, 1);
        assertNotStaked(newcomer, maximum, abi.encodeWithSelector(fault, maximum, 1, maximum - 1));
        stakeFor(newcomer, stranger, maximum - 1);
        assertEq(agentStake.getAgent(newcomer).stake, maximum);
        assertNotStaked(newcomer, 1, abi.encodeWithSelector(fault, 1, 1, 0));
    }

    function test_stake_isRefusedForAgentsNobodyCouldWithdrawFor() public {
        assertNotStaked(77, 1, abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 77));
        uint256 tooLarge = 2 ** 48;
        assertNotStaked(tooLarge, 1, abi.encodeWithSelector(IAgentStake.AgentStake_AgentIdOutOfRange.selector, tooLarge, tooLarge - 1));
    }

    function test_stake_reachesTheLastIdOf48Bits() public {
        ForeignRegistry foreign = new ForeignRegistry();
        uint256 last = 2 ** 48 - 1;
        foreign.set(last, wallet, address(0));
        (AgentStake other,) = deployPair(address(usdc), address(foreign));
        vm.startPrank(wallet);
        usdc.approve(address(other), MINIMUM_STAKE);
        other.stake(last, MINIMUM_STAKE);
        assertEq(other.getAgent(last).stake, MINIMUM_STAKE);
    }

    function test_stake_insistsOnEveryUnitItAskedFor() public {
        SkimmingToken skimming = new SkimmingToken();
        (AgentStake other,) = deployPair(address(skimming), address(registry));
        skimming.mint(wallet, FUNDS);
        vm.startPrank(wallet);
        skimming.approve(address(other), FUNDS);
        vm.expectRevert(abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, 100, 99));
        other.stake(agentId, 100);
    }

    function assertNotStaked(uint256 id, uint256 amount, bytes memory reason) private {
        assertRefusedBy(address(agentStake), stranger, abi.encodeCall(agentStake.stake, (id, amount)), reason);
    }
}

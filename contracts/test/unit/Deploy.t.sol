// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { AgentStake } from "../../src/AgentStake.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice the constructors
/// ├── a parameter outside what the rules or the packing allow: refused
/// ├── the stake contract names another escrow or another token: refused
/// ├── a treasury where money would be lost: refused
/// └── otherwise: the pair know each other and show their parameters
contract DeployTest is ClawPayTest {
    function test_deploy_showsTheParametersAndTheNeighbours() public view {
        assertEq(abi.encode(escrow.parameters()), abi.encode(escrowParameters()));
        assertEq(abi.encode(agentStake.parameters()), abi.encode(stakeParameters()));
        assertEq(escrow.usdc(), address(usdc));
        assertEq(escrow.agentStake(), address(agentStake));
        assertEq(escrow.treasury(), treasury);
        assertEq(escrow.owner(), owner);
        assertEq(escrow.runCount(), 0);
        assertEq(escrow.uncollectedFees(), 0);
        assertFalse(escrow.paused());
        assertEq(agentStake.usdc(), address(usdc));
        assertEq(agentStake.agentRegistry(), address(registry));
        assertEq(agentStake.runEscrow(), address(escrow));
        assertEq(escrow.trustedForwarder(), address(forwarder));
        assertEq(agentStake.trustedForwarder(), address(forwarder));
        assertEq(registry.trustedForwarder(), address(forwarder));
    }

    function test_deploy_refusesEscrowParametersOutOfRange() public {
        IRunEscrow.Parameters memory rules = escrowParameters();
        rules.feeBps = 10_001;
        assertEscrowRefused(rules);
        rules = escrowParameters();
        rules.minimumReward = 0;
        assertEscrowRefused(rules);
        rules.minimumReward = 2 ** 56;
        assertEscrowRefused(rules);
        rules = escrowParameters();
        rules.submissionTimeout = 0;
        assertEscrowRefused(rules);
        rules.submissionTimeout = 2 ** 32;
        assertEscrowRefused(rules);
        rules = escrowParameters();
        rules.reviewPeriod = 0;
        assertEscrowRefused(rules);
        rules.reviewPeriod = 2 ** 32;
        assertEscrowRefused(rules);
        rules = escrowParameters();
        rules.maxRevisions = 4;
        assertEscrowRefused(rules);
        rules = escrowParameters();
        rules.maxDeadlineAhead = 0;
        assertEscrowRefused(rules);
        rules.maxDeadlineAhead = 2 ** 32;
        assertEscrowRefused(rules);
    }

    function test_deploy_takesEscrowParametersAtTheirLimits() public {
        IRunEscrow.Parameters memory rules = IRunEscrow.Parameters({
            feeBps: 10_000,
            minimumReward: 2 ** 56 - 1,
            submissionTimeout: 2 ** 32 - 1,
            reviewPeriod: 2 ** 32 - 1,
            maxRevisions: 3,
            maxDeadlineAhead: 2 ** 32 - 1
        });
        (, RunEscrow other) = deployWith(rules);
        assertEq(abi.encode(other.parameters()), abi.encode(rules));
        rules = IRunEscrow.Parameters({
            feeBps: 0, minimumReward: 1, submissionTimeout: 1, reviewPeriod: 1, maxRevisions: 0, maxDeadlineAhead: 1
        });
        (, other) = deployWith(rules);
        assertEq(abi.encode(other.parameters()), abi.encode(rules));
    }

    function test_deploy_refusesAStakeThatNamesAnotherEscrow() public {
        vm.expectRevert(IRunEscrow.RunEscrow_InvalidParameters.selector);
        new RunEscrow(address(usdc), address(agentStake), address(forwarder), treasury, owner, escrowParameters());
    }

    function test_deploy_refusesAStakeInAnotherToken() public {
        address other = deploy("TestUSDC", "");
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        AgentStake stake = new AgentStake(other, address(registry), predicted, address(forwarder), stakeParameters());
        vm.expectRevert(IRunEscrow.RunEscrow_InvalidParameters.selector);
        new RunEscrow(address(usdc), address(stake), address(forwarder), treasury, owner, escrowParameters());
    }

    function test_deploy_refusesATreasuryWhereMoneyWouldBeLost() public {
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        AgentStake stake = new AgentStake(address(usdc), address(registry), predicted, address(forwarder), stakeParameters());
        vm.expectRevert(abi.encodeWithSelector(IRunEscrow.RunEscrow_InvalidTreasury.selector, address(usdc)));
        new RunEscrow(address(usdc), address(stake), address(forwarder), address(usdc), owner, escrowParameters());
    }

    function test_deploy_refusesStakeParametersOutOfRange() public {
        IAgentStake.Parameters memory rules = stakeParameters();
        rules.stakeAtRisk = 0;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
        rules.stakeAtRisk = rules.minimumStake + 1;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
        rules = stakeParameters();
        rules.minimumStake = 2 ** 56;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
        rules = stakeParameters();
        rules.bannedAfterSlashes = 0;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
        rules.bannedAfterSlashes = 2 ** 32;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
        rules = stakeParameters();
        rules.establishedAfter = 2 ** 40;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
        rules = stakeParameters();
        rules.establishedCompletions = 2 ** 32;
        assertStakeRefused(address(usdc), address(registry), address(1), rules);
    }

    function test_deploy_refusesAStakeWithoutItsNeighbours() public {
        IAgentStake.Parameters memory rules = stakeParameters();
        assertStakeRefused(stranger, address(registry), address(1), rules);
        assertStakeRefused(address(usdc), stranger, address(1), rules);
        assertStakeRefused(address(usdc), address(registry), address(0), rules);
    }

    function deployWith(IRunEscrow.Parameters memory rules) private returns (AgentStake stake, RunEscrow other) {
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        stake = new AgentStake(address(usdc), address(registry), predicted, address(forwarder), stakeParameters());
        other = new RunEscrow(address(usdc), address(stake), address(forwarder), treasury, owner, rules);
    }

    function assertEscrowRefused(IRunEscrow.Parameters memory rules) private {
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        AgentStake stake = new AgentStake(address(usdc), address(registry), predicted, address(forwarder), stakeParameters());
        vm.expectRevert(IRunEscrow.RunEscrow_InvalidParameters.selector);
        new RunEscrow(address(usdc), address(stake), address(forwarder), treasury, owner, rules);
    }

    function assertStakeRefused(address token, address agentRegistry, address runEscrow, IAgentStake.Parameters memory rules) private {
        vm.expectRevert(IAgentStake.AgentStake_InvalidParameters.selector);
        new AgentStake(token, agentRegistry, runEscrow, address(forwarder), rules);
    }
}

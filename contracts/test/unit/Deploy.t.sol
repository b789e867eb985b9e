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

    function test_deploy_keepsEscrowParametersApart() public {
        IRunEscrow.Parameters memory rules = IRunEscrow.Parameters({
            feeBps: 6, minimumReward: 5, submissionTimeout: 4, reviewPeriod: 3, maxRevisions: 2, maxDeadlineAhead: 1
        });
        (, RunEscrow other) = deployWith(rules);
        assertEq(abi.encode(other.parameters()), abi.encode(rules));
    }

    function test_deploy_refusesAStakeThatNamesAnotherEscrow() public {
        assertRefusedFor(agentStake, treasury, abi.encodeWithSelector(IRunEscrow.RunEscrow_InvalidParameters.selector));
    }

    function test_deploy_refusesAStakeInAnotherToken() public {
        AgentStake stake = deployStakeForRefused(deploy("TestUSDC", ""));
        assertRefusedFor(stake, treasury, abi.encodeWithSelector(IRunEscrow.RunEscrow_InvalidParameters.selector));
    }

    function test_deploy_refusesATreasuryWhereMoneyWouldBeLost() public {
        address token = address(usdc);
        AgentStake stake = deployStakeForRefused(token);
        assertRefusedFor(stake, token, abi.encodeWithSelector(IRunEscrow.RunEscrow_InvalidTreasury.selector, token));
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

    function test_deploy_takesStakeParametersAtTheirLimits() public {
        IAgentStake.Parameters memory rules = IAgentStake.Parameters({
            minimumStake: 2 ** 56 - 1,
            stakeAtRisk: 2 ** 56 - 1,
            bannedAfterSlashes: 2 ** 32 - 1,
            establishedAfter: 2 ** 40 - 1,
            establishedCompletions: 2 ** 32 - 1
        });
        assertStakeTaken(rules);
        rules = IAgentStake.Parameters({
            minimumStake: 1, stakeAtRisk: 1, bannedAfterSlashes: 1, establishedAfter: 0, establishedCompletions: 0
        });
        assertStakeTaken(rules);
    }

    function test_deploy_refusesAStakeWithoutItsNeighbours() public {
        IAgentStake.Parameters memory rules = stakeParameters();
        assertStakeRefused(stranger, address(registry), address(1), rules);
        assertStakeRefused(address(usdc), stranger, address(1), rules);
        assertStakeRefused(address(usdc), address(registry), address(0), rules);
    }

    /// @dev The verb behind a call, so that a refusal comes back as it is.
    function deployed(string calldata name, bytes calldata arguments) external returns (address) {
        return deploy(name, arguments);
    }

    /// @dev Names as its escrow the contract that is deployed next.
    /// @dev For an escrow that is deployed next.
    function deployStakeFor(address token) private returns (AgentStake) {
        return deployStakeFor(token, 1);
    }

    /// @dev For an escrow that `deployed` deploys next: that call is a transaction of its own, which takes a nonce too.
    function deployStakeForRefused(address token) private returns (AgentStake) {
        return deployStakeFor(token, 2);
    }

    function deployStakeFor(address token, uint256 noncesAhead) private returns (AgentStake) {
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + noncesAhead);
        return AgentStake(deploy("AgentStake", abi.encode(token, registry, predicted, forwarder, stakeParameters())));
    }

    function deployWith(IRunEscrow.Parameters memory rules) private returns (AgentStake stake, RunEscrow other) {
        stake = deployStakeFor(address(usdc));
        other = RunEscrow(deploy("RunEscrow", abi.encode(usdc, stake, forwarder, treasury, owner, rules)));
    }

    function assertDeploymentRefused(string memory name, bytes memory arguments, bytes memory reason) private {
        (bool ok, bytes memory returned) = address(this).call(abi.encodeCall(this.deployed, (name, arguments)));
        assertFalse(ok, "not refused");
        assertEq(returned, reason, "refused for another reason");
    }

    function assertRefusedFor(AgentStake stake, address treasury_, bytes memory reason) private {
        assertDeploymentRefused("RunEscrow", abi.encode(usdc, stake, forwarder, treasury_, owner, escrowParameters()), reason);
    }

    function assertEscrowRefused(IRunEscrow.Parameters memory rules) private {
        AgentStake stake = deployStakeForRefused(address(usdc));
        bytes memory arguments = abi.encode(usdc, stake, forwarder, treasury, owner, rules);
        assertDeploymentRefused("RunEscrow", arguments, abi.encodeWithSelector(IRunEscrow.RunEscrow_InvalidParameters.selector));
    }

    function assertStakeTaken(IAgentStake.Parameters memory rules) private {
        AgentStake stake = AgentStake(deploy("AgentStake", abi.encode(usdc, registry, address(1), forwarder, rules)));
        assertEq(abi.encode(stake.parameters()), abi.encode(rules));
    }

    function assertStakeRefused(address token, address agentRegistry, address runEscrow, IAgentStake.Parameters memory rules) private {
        bytes memory arguments = abi.encode(token, agentRegistry, runEscrow, forwarder, rules);
        assertDeploymentRefused("AgentStake", arguments, abi.encodeWithSelector(IAgentStake.AgentStake_InvalidParameters.selector));
    }
}

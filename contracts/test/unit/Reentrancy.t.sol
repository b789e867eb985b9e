// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import { TestUSDC } from "../../src/TestUSDC.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { CallbackToken } from "../mocks/CallbackToken.sol";

/// @notice a token that calls back while it moves money
/// ├── into any verb that moves money, of the same contract: refused by the guard
/// └── into a verb that moves none: finds the facts already changed
contract ReentrancyTest is ClawPayTest {
    CallbackToken private token;

    function setUp() public override {
        vm.warp(START);
        token = new CallbackToken();
        usdc = TestUSDC(address(token));
        openMarket();
    }

    function test_reentrancy_everyVerbThatMovesMoneyIsGuardedDuringAPayout() public {
        uint256 open = openRun();
        uint256 submitted = submittedRun();
        uint256 late = claimedRun();
        skip(WEEK);
        ICustody.Permit memory permit;
        ICustody.Authorization memory authorization;
        bytes[13] memory calls = [
            abi.encodeCall(escrow.createAndFund, (REWARD, claimDeadline(), 3, CONTENT)),
            abi.encodeCall(escrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, permit)),
            abi.encodeCall(escrow.createAndFundWithAuthorization, (poster, REWARD, claimDeadline(), 3, CONTENT, authorization)),
            abi.encodeCall(escrow.fund, (open)),
            abi.encodeCall(escrow.fundWithPermit, (open, permit)),
            abi.encodeCall(escrow.fundWithAuthorization, (open, authorization)),
            abi.encodeCall(escrow.cancel, (open)),
            abi.encodeCall(escrow.approve, (submitted, START + WEEK)),
            abi.encodeCall(escrow.reject, (submitted, START + WEEK)),
            abi.encodeCall(escrow.finalize, (submitted)),
            abi.encodeCall(escrow.slash, (late)),
            abi.encodeCall(escrow.payCredit, (poster)),
            abi.encodeCall(escrow.collectFees, ())
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 runId = openRun();
            token.arm(address(escrow), calls[i]);
            vm.prank(poster);
            escrow.cancel(runId);
            assertGuarded();
        }
    }

    function test_reentrancy_everyVerbOfTheStakeIsGuardedDuringADeposit() public {
        bytes[5] memory calls = verbsOfTheStake();
        for (uint256 i = 0; i < calls.length; ++i) {
            token.arm(address(agentStake), calls[i]);
            stakeFor(agentId, wallet, 1);
            assertGuarded();
        }
    }

    function test_reentrancy_everyVerbOfTheStakeIsGuardedDuringASlash() public {
        bytes[5] memory calls = verbsOfTheStake();
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            uint256 runId = claimedRun();
            vm.warp(START + WEEK);
            token.arm(address(agentStake), calls[i]);
            vm.prank(poster);
            escrow.slash(runId);
            assertGuarded();
            vm.revertToState(snapshot);
            vm.warp(START);
        }
    }

    function verbsOfTheStake() private view returns (bytes[5] memory) {
        ICustody.Permit memory permit;
        ICustody.Authorization memory authorization;
        return [
            abi.encodeCall(agentStake.stake, (agentId, 1)),
            abi.encodeCall(agentStake.stakeWithPermit, (agentId, 1, permit)),
            abi.encodeCall(agentStake.stakeWithAuthorization, (wallet, agentId, 1, authorization)),
            abi.encodeCall(agentStake.unstake, (agentId, 1)),
            abi.encodeCall(agentStake.payCredit, (wallet))
        ];
    }

    function test_reentrancy_aPayoutShowsTheRunAlreadySettled() public {
        uint256 runId = submittedRun();
        token.arm(address(escrow), abi.encodeCall(escrow.getRun, (runId)));
        approve(runId);
        assertTrue(token.succeeded());
        assertEq(token.answer(), abi.encode(escrow.getRun(runId)));
        assertState(runId, RunState.APPROVED);
    }

    function test_reentrancy_aSlashShowsTheStakeAlreadyTaken() public {
        uint256 runId = claimedRun();
        skip(WEEK);
        token.arm(address(agentStake), abi.encodeCall(agentStake.getAgent, (agentId)));
        vm.prank(poster);
        escrow.slash(runId);
        assertTrue(token.succeeded());
        assertEq(token.answer(), abi.encode(agentStake.getAgent(agentId)));
    }

    function assertGuarded() private view {
        assertTrue(token.called());
        assertFalse(token.succeeded(), "got in");
        assertEq(token.answer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { TestUSDC } from "../../src/TestUSDC.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { PlainToken } from "../mocks/PlainToken.sol";

/// @notice What each verb costs, as a receipt would show it: every call is its own transaction (`isolate`), the 21,000 and the calldata
/// included. Warm state: the same parties have been through each ending before and all balances are non-zero. Plain ERC-20 with a standing
/// allowance, reward 100 USDC, 66-character URIs, addresses of full entropy. Written to snapshots/gas.json.
contract GasTest is ClawPayTest {
    function setUp() public override {
        vm.warp(START);
        usdc = TestUSDC(address(new PlainToken()));
        openMarket();
        usdc.mint(treasury, 1);
        escrow.collectFees();
        approvedRun();
        rejectedRun();
        slashedRun();
        cancelledRun();
        stakeFor(agentId, wallet, AT_RISK);
        openRun();
        claimedRun();
    }

    function test_gas_createAndFund() public {
        uint256 deadline = claimDeadline();
        vm.prank(poster);
        escrow.createAndFund(REWARD, deadline, 3, CONTENT);
        record("createAndFund");
    }

    /// @dev An allowance that is not infinite is written down each time.
    function test_gas_createAndFundFromAllowance() public {
        uint256 deadline = claimDeadline();
        vm.startPrank(poster);
        usdc.approve(address(escrow), FUNDS);
        escrow.createAndFund(REWARD, deadline, 3, CONTENT);
        record("createAndFundFromAllowance");
    }

    function test_gas_create() public {
        uint256 deadline = claimDeadline();
        vm.prank(poster);
        escrow.create(REWARD, deadline, 3, CONTENT);
        record("create");
    }

    function test_gas_fund() public {
        uint256 runId = draftRun();
        vm.prank(poster);
        escrow.fund(runId);
        record("fund");
    }

    function test_gas_claim() public {
        uint256 runId = openRun();
        uint256 terms = escrow.termsOf(runId);
        vm.prank(wallet);
        escrow.claim(runId, agentId, terms);
        record("claim");
    }

    function test_gas_start() public {
        uint256 runId = claimedRun();
        vm.prank(wallet);
        escrow.start(runId);
        record("start");
    }

    function test_gas_submit() public {
        uint256 runId = startedRun();
        vm.prank(wallet);
        escrow.submit(runId, DELIVERABLE);
        record("submit");
    }

    /// @dev Emits RunStarted too.
    function test_gas_submitUnstarted() public {
        uint256 runId = claimedRun();
        vm.prank(wallet);
        escrow.submit(runId, DELIVERABLE);
        record("submitUnstarted");
    }

    function test_gas_approve() public {
        uint256 runId = submittedRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.prank(poster);
        escrow.approve(runId, reviewBy);
        record("approve");
    }

    function test_gas_requestRevision() public {
        uint256 runId = submittedRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.prank(poster);
        escrow.requestRevision(runId, reviewBy, FEEDBACK);
        record("requestRevision");
    }

    function test_gas_reject() public {
        uint256 runId = rejectableRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.prank(poster);
        escrow.reject(runId, reviewBy);
        record("reject");
    }

    function test_gas_cancel() public {
        uint256 runId = openRun();
        vm.prank(poster);
        escrow.cancel(runId);
        record("cancel");
    }

    function test_gas_slash() public {
        uint256 runId = claimedRun();
        skip(WEEK);
        vm.prank(poster);
        escrow.slash(runId);
        record("slash");
    }

    function test_gas_finalize() public {
        uint256 runId = submittedRun();
        skip(WEEK);
        vm.prank(stranger);
        escrow.finalize(runId);
        record("finalize");
    }

    function test_gas_stake() public {
        vm.prank(wallet);
        agentStake.stake(agentId, AT_RISK);
        record("stake");
    }

    function test_gas_unstake() public {
        stakeFor(agentId, wallet, AT_RISK);
        vm.prank(wallet);
        agentStake.unstake(agentId, AT_RISK);
        record("unstake");
    }

    function test_gas_collectFees() public {
        approvedRun();
        vm.prank(stranger);
        escrow.collectFees();
        record("collectFees");
    }

    function record(string memory op) private {
        vm.snapshotValue("gas", op, vm.lastCallGas().gasTotalUsed);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { AgentStake } from "../../src/AgentStake.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { SkimmingToken } from "../mocks/SkimmingToken.sol";

/// @notice createAndFund (the refusals it shares with create are in Create.t.sol)
/// ├── the caller cannot pay: refused with the token's reason, no run is left behind
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise: an OPEN run, reward and fee escrowed
contract CreateAndFundTest is ClawPayTest {
    function test_createAndFund_opensARunAndEscrowsRewardAndFee() public {
        uint256 deadline = claimDeadline();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCreated(1, poster, REWARD, FEE, deadline, 3, CONTENT);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFunded(1, REWARD + FEE);
        vm.prank(poster);
        uint256 runId = escrow.createAndFund(REWARD, deadline, 3, CONTENT);

        assertEq(runId, 1);
        assertState(runId, RunState.OPEN);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
    }

    function test_createAndFund_leavesNothingBehindWhenTheCallerCannotPay() public {
        address poor = makeAddr("poor");
        usdc.mint(poor, REWARD + FEE - 1);
        uint256 deadline = claimDeadline();
        vm.startPrank(poor);
        usdc.approve(address(escrow), REWARD + FEE - 1);
        vm.expectRevert("TestUSDC: transfer exceeds allowance");
        escrow.createAndFund(REWARD, deadline, 3, CONTENT);

        usdc.approve(address(escrow), REWARD + FEE);
        vm.expectRevert("TestUSDC: transfer exceeds balance");
        escrow.createAndFund(REWARD, deadline, 3, CONTENT);
        assertEq(escrow.runCount(), 0);

        usdc.mint(poor, 1);
        escrow.createAndFund(REWARD, deadline, 3, CONTENT);
        assertEq(usdc.balanceOf(poor), 0);
        assertEq(usdc.allowance(poor, address(escrow)), 0);
    }

    function test_createAndFund_insistsOnEveryUnitItAskedFor() public {
        SkimmingToken skimming = new SkimmingToken();
        (, RunEscrow other) = deployPair(address(skimming), address(registry));
        skimming.mint(poster, FUNDS);
        uint256 deadline = claimDeadline();
        vm.startPrank(poster);
        skimming.approve(address(other), FUNDS);
        vm.expectRevert(abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, REWARD + FEE, REWARD + FEE - 1));
        other.createAndFund(REWARD, deadline, 3, CONTENT);
    }

    function testFuzz_createAndFund_escrowsExactlyRewardPlusFlooredFee(uint256 reward) public {
        reward = bound(reward, 1 * USDC, FUNDS * 9 / 10);
        uint256 deadline = claimDeadline();
        vm.prank(poster);
        escrow.createAndFund(reward, deadline, 3, CONTENT);
        assertEq(usdc.balanceOf(address(escrow)), reward + reward / 20);
    }
}

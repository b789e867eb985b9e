// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice USDC sent to the contracts by mistake: stays there, belongs to no party, and breaks nothing
contract DonationTest is ClawPayTest {
    function test_donation_changesNeitherFundingNorPayoutsNorFees() public {
        usdc.mint(address(escrow), 7 * USDC);
        usdc.mint(address(agentStake), 7 * USDC);
        approvedRun();
        slashedRun();
        stakeFor(agentId, wallet, AT_RISK);
        escrow.collectFees();
        vm.prank(wallet);
        agentStake.unstake(agentId, AGENT_STAKE);
        assertEq(usdc.balanceOf(treasury), FEE);
        assertEq(usdc.balanceOf(address(escrow)), 7 * USDC);
        assertEq(usdc.balanceOf(address(agentStake)), 7 * USDC);
    }
}

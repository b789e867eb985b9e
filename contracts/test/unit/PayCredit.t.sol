// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "../../src/interfaces/ICustody.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice payCredit, of the escrow and of the stake
/// ├── no credit: refused
/// ├── the token still refuses: refused with the token's reason, the credit stays
/// └── otherwise, by anybody: paid once, in full, to the account it is owed to
contract PayCreditTest is ClawPayTest {
    function setUp() public override {
        super.setUp();
        uint256 runId = claimedRun();
        uint256 cancelled = openRun();
        skip(WEEK);
        usdc.blacklist(poster);
        vm.startPrank(poster);
        escrow.slash(runId);
        escrow.cancel(cancelled);
        vm.stopPrank();
    }

    function test_payCredit_addsCreditsUpAndPaysThemToTheirAccountOnly() public {
        uint256 owed = 2 * (REWARD + FEE);
        assertEq(escrow.creditOf(poster), owed);
        assertEq(agentStake.creditOf(poster), AT_RISK);
        usdc.unBlacklist(poster);
        uint256 before = usdc.balanceOf(poster);

        vm.expectEmit(address(escrow));
        emit ICustody.CreditPaid(poster, owed);
        vm.prank(stranger);
        escrow.payCredit(poster);
        vm.expectEmit(address(agentStake));
        emit ICustody.CreditPaid(poster, AT_RISK);
        vm.prank(stranger);
        agentStake.payCredit(poster);

        assertEq(usdc.balanceOf(poster), before + owed + AT_RISK);
        assertEq(usdc.balanceOf(stranger), FUNDS);
        assertEq(usdc.balanceOf(address(escrow)), 0);
        assertEq(escrow.creditOf(poster), 0);
        assertEq(agentStake.creditOf(poster), 0);
    }

    function test_payCredit_paysOnce() public {
        usdc.unBlacklist(poster);
        escrow.payCredit(poster);
        agentStake.payCredit(poster);
        openRun(); // money that is not the creditor's
        assertRefused(
            poster, abi.encodeCall(escrow.payCredit, (poster)), abi.encodeWithSelector(ICustody.Custody_NoCredit.selector, poster)
        );
        assertRefusedBy(
            address(agentStake),
            poster,
            abi.encodeCall(agentStake.payCredit, (poster)),
            abi.encodeWithSelector(ICustody.Custody_NoCredit.selector, poster)
        );
    }

    function test_payCredit_keepsTheCreditWhileTheTokenRefuses() public {
        bytes memory reason = abi.encodeWithSignature("Error(string)", "TestUSDC: account is blacklisted");
        assertRefused(stranger, abi.encodeCall(escrow.payCredit, (poster)), reason);
        assertRefusedBy(address(agentStake), stranger, abi.encodeCall(agentStake.payCredit, (poster)), reason);
        assertEq(escrow.creditOf(poster), 2 * (REWARD + FEE));
        assertEq(agentStake.creditOf(poster), AT_RISK);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { TestUSDC } from "../../src/TestUSDC.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice the stand-in for USDC as an ERC-20, where the real one bites (permits and authorizations have their own files)
/// ├── blacklisted sender, caller or recipient, even of nothing: refused
/// ├── blacklisted owner or spender: may approve and be approved
/// ├── paused: transfer, transferFrom, approve and mint refused
/// ├── an infinite allowance is spent like any other
/// ├── its own address takes nothing
/// └── several faults: pause, caller, payer, payee, allowance, zero address, balance, in this order
contract TestUSDCTest is ClawPayTest {
    bytes4 private constant ERROR = bytes4(keccak256("Error(string)"));

    function test_usdc_looksLikeUsdc() public view {
        assertEq(usdc.name(), "USD Coin");
        assertEq(usdc.symbol(), "USDC");
        assertEq(usdc.decimals(), 6);
        assertEq(usdc.version(), "2");
    }

    function test_usdc_refusesTheBlacklistedInEveryRoleEvenForNothing() public {
        vm.prank(poster);
        usdc.approve(stranger, FUNDS);
        bytes memory reason = abi.encodeWithSelector(ERROR, "TestUSDC: account is blacklisted");
        address[3] memory parties = [poster, stranger, wallet];
        for (uint256 i = 0; i < parties.length; ++i) {
            vm.expectEmit(address(usdc));
            emit TestUSDC.Blacklisted(parties[i]);
            usdc.blacklist(parties[i]);
            assertTrue(usdc.isBlacklisted(parties[i]));
            assertRefusedBy(address(usdc), stranger, abi.encodeCall(usdc.transferFrom, (poster, wallet, 0)), reason);
            vm.expectEmit(address(usdc));
            emit TestUSDC.UnBlacklisted(parties[i]);
            usdc.unBlacklist(parties[i]);
            assertFalse(usdc.isBlacklisted(parties[i]));
        }
        vm.prank(stranger);
        assertTrue(usdc.transferFrom(poster, wallet, 0));

        usdc.blacklist(poster);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.transfer, (wallet, 0)), reason);
        assertRefusedBy(address(usdc), wallet, abi.encodeCall(usdc.transfer, (poster, 0)), reason);
        assertRefusedBy(address(usdc), wallet, abi.encodeCall(usdc.mint, (poster, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.mint, (wallet, 1)), reason);
    }

    function test_usdc_letsTheBlacklistedApproveAndBeApproved() public {
        usdc.blacklist(poster);
        vm.expectEmit(address(usdc));
        emit IERC20.Approval(poster, stranger, 7);
        vm.prank(poster);
        assertTrue(usdc.approve(stranger, 7));
        vm.prank(stranger);
        assertTrue(usdc.approve(poster, 8));
        assertEq(usdc.allowance(poster, stranger), 7);
        assertEq(usdc.allowance(stranger, poster), 8);
    }

    function test_usdc_takesNothingForItself() public {
        assertTrue(usdc.isBlacklisted(address(usdc)));
        assertRefusedBy(
            address(usdc),
            poster,
            abi.encodeCall(usdc.transfer, (address(usdc), 1)),
            abi.encodeWithSelector(ERROR, "TestUSDC: account is blacklisted")
        );
    }

    function test_usdc_stopsWhilePaused() public {
        vm.expectEmit(address(usdc));
        emit TestUSDC.Pause();
        usdc.pause();
        assertTrue(usdc.paused());
        bytes memory reason = abi.encodeWithSelector(ERROR, "TestUSDC: paused");
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.transfer, (wallet, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.transferFrom, (poster, wallet, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.approve, (wallet, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.mint, (wallet, 1)), reason);
        vm.expectEmit(address(usdc));
        emit TestUSDC.Unpause();
        usdc.unpause();
        vm.prank(poster);
        assertTrue(usdc.transfer(wallet, 1));
        assertEq(usdc.balanceOf(wallet), FUNDS - AGENT_STAKE + 1);
    }

    function test_usdc_spendsAnInfiniteAllowance() public {
        vm.prank(poster);
        usdc.approve(stranger, type(uint256).max);
        vm.prank(stranger);
        assertTrue(usdc.transferFrom(poster, wallet, 5));
        assertEq(usdc.allowance(poster, stranger), type(uint256).max - 5);
        assertEq(usdc.balanceOf(poster), FUNDS - 5);
    }

    function test_usdc_refusesMoreThanThereIsInWords() public {
        assertSays(poster, abi.encodeCall(usdc.transfer, (wallet, FUNDS + 1)), "TestUSDC: transfer exceeds balance");
        assertSays(stranger, abi.encodeCall(usdc.transferFrom, (poster, wallet, 1)), "TestUSDC: transfer exceeds allowance");
        assertSays(poster, abi.encodeCall(usdc.transfer, (address(0), 1)), "TestUSDC: transfer to the zero address");
        assertSays(poster, abi.encodeCall(usdc.approve, (address(0), 1)), "TestUSDC: approve to the zero address");
        assertSays(poster, abi.encodeCall(usdc.mint, (address(0), 1)), "TestUSDC: mint to the zero address");
    }

    function test_usdc_namesTheFirstFaultInOrder() public {
        usdc.pause();
        usdc.blacklist(stranger);
        bytes memory call = abi.encodeCall(usdc.transferFrom, (poster, address(0), FUNDS + 1));
        assertSays(stranger, call, "TestUSDC: paused");
        usdc.unpause();
        assertSays(stranger, call, "TestUSDC: account is blacklisted");
        usdc.unBlacklist(stranger);
        assertSays(stranger, call, "TestUSDC: transfer exceeds allowance");
        vm.prank(poster);
        usdc.approve(stranger, FUNDS + 1);
        assertSays(stranger, call, "TestUSDC: transfer to the zero address");
        assertSays(stranger, abi.encodeCall(usdc.transferFrom, (poster, wallet, FUNDS + 1)), "TestUSDC: transfer exceeds balance");
    }

    function assertSays(address caller, bytes memory call, string memory reason) private {
        assertRefusedBy(address(usdc), caller, call, abi.encodeWithSelector(ERROR, reason));
    }
}

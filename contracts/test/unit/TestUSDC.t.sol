// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { TestUSDC } from "../../src/TestUSDC.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice the stand-in for USDC, where the real one bites
/// ├── blacklisted sender, caller or recipient, even of nothing: refused
/// ├── paused: transfer, approve and mint refused
/// ├── an infinite allowance is spent like any other
/// └── its own address takes nothing
contract TestUSDCTest is ClawPayTest {
    function test_usdc_looksLikeUsdc() public view {
        assertEq(usdc.name(), "USD Coin");
        assertEq(usdc.symbol(), "USDC");
        assertEq(usdc.decimals(), 6);
        assertEq(usdc.version(), "2");
    }

    function test_usdc_refusesTheBlacklistedInEveryRoleEvenForNothing() public {
        vm.prank(poster);
        usdc.approve(stranger, FUNDS);
        bytes memory reason = abi.encodeWithSignature("Error(string)", "TestUSDC: account is blacklisted");
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
        }
        vm.prank(stranger);
        assertTrue(usdc.transferFrom(poster, wallet, 0));

        usdc.blacklist(poster);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.transfer, (wallet, 0)), reason);
        assertRefusedBy(address(usdc), wallet, abi.encodeCall(usdc.transfer, (poster, 0)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.approve, (wallet, 1)), reason);
        assertRefusedBy(address(usdc), wallet, abi.encodeCall(usdc.approve, (poster, 1)), reason);
        assertRefusedBy(address(usdc), wallet, abi.encodeCall(usdc.mint, (poster, 1)), reason);
    }

    function test_usdc_takesNothingForItself() public {
        assertRefusedBy(
            address(usdc),
            poster,
            abi.encodeCall(usdc.transfer, (address(usdc), 1)),
            abi.encodeWithSignature("Error(string)", "TestUSDC: account is blacklisted")
        );
    }

    function test_usdc_stopsWhilePaused() public {
        usdc.pause();
        assertTrue(usdc.paused());
        bytes memory reason = abi.encodeWithSignature("Error(string)", "TestUSDC: paused");
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.transfer, (wallet, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.transferFrom, (poster, wallet, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.approve, (wallet, 1)), reason);
        assertRefusedBy(address(usdc), poster, abi.encodeCall(usdc.mint, (wallet, 1)), reason);
        usdc.unpause();
        vm.prank(poster);
        assertTrue(usdc.transfer(wallet, 1));
        assertEq(usdc.balanceOf(wallet), FUNDS - AGENT_STAKE + 1);
    }

    function test_usdc_spendsAnInfiniteAllowance() public {
        openRun();
        assertEq(usdc.allowance(poster, address(escrow)), type(uint256).max - REWARD - FEE);
    }

    function test_usdc_refusesMoreThanThereIsInWords() public {
        bytes4 error_ = bytes4(keccak256("Error(string)"));
        assertRefusedBy(
            address(usdc),
            poster,
            abi.encodeCall(usdc.transfer, (wallet, FUNDS + 1)),
            abi.encodeWithSelector(error_, "TestUSDC: transfer exceeds balance")
        );
        assertRefusedBy(
            address(usdc),
            stranger,
            abi.encodeCall(usdc.transferFrom, (poster, wallet, 1)),
            abi.encodeWithSelector(error_, "TestUSDC: transfer exceeds allowance")
        );
        assertRefusedBy(
            address(usdc),
            poster,
            abi.encodeCall(usdc.transfer, (address(0), 1)),
            abi.encodeWithSelector(error_, "TestUSDC: transfer to the zero address")
        );
        assertRefusedBy(
            address(usdc),
            poster,
            abi.encodeCall(usdc.approve, (address(0), 1)),
            abi.encodeWithSelector(error_, "TestUSDC: approve to the zero address")
        );
        assertRefusedBy(
            address(usdc),
            poster,
            abi.encodeCall(usdc.mint, (address(0), 1)),
            abi.encodeWithSelector(error_, "TestUSDC: mint to the zero address")
        );
    }
}

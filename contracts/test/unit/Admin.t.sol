// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice setTreasury, pause, unpause, ownership
/// ├── caller is not the owner: refused
/// ├── setTreasury to zero, the token or one of our contracts: refused
/// ├── paused: exactly create, createAndFund, fund and claim are refused; every way out stays open
/// └── ownership moves in two steps
contract AdminTest is ClawPayTest {
    function test_setTreasury_changesWhereFeesGo() public {
        approvedRun();
        vm.expectEmit(address(escrow));
        emit IRunEscrow.TreasuryChanged(treasury, stranger);
        vm.prank(owner);
        escrow.setTreasury(stranger);
        assertEq(escrow.treasury(), stranger);
        escrow.collectFees();
        assertEq(usdc.balanceOf(stranger), FUNDS + FEE);
        assertEq(usdc.balanceOf(treasury), 0);
    }

    function test_setTreasury_refusesPlacesWhereMoneyWouldBeLost() public {
        address[6] memory places = [address(0), address(usdc), address(escrow), address(agentStake), address(registry), address(forwarder)];
        for (uint256 i = 0; i < places.length; ++i) {
            assertRefused(
                owner,
                abi.encodeCall(escrow.setTreasury, (places[i])),
                abi.encodeWithSelector(IRunEscrow.RunEscrow_InvalidTreasury.selector, places[i])
            );
        }
    }

    function test_admin_isTheOwnersAlone() public {
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, treasury);
        assertRefused(treasury, abi.encodeCall(escrow.setTreasury, (stranger)), reason);
        assertRefused(treasury, abi.encodeCall(escrow.pause, ()), reason);
        assertRefused(treasury, abi.encodeCall(escrow.unpause, ()), reason);
        assertRefused(treasury, abi.encodeCall(escrow.transferOwnership, (stranger)), reason);
    }

    function test_ownership_movesOnlyWhenAccepted() public {
        vm.prank(owner);
        escrow.transferOwnership(stranger);
        assertEq(escrow.owner(), owner);
        assertRefused(
            stranger, abi.encodeCall(escrow.pause, ()), abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger)
        );
        vm.startPrank(stranger);
        escrow.acceptOwnership();
        escrow.pause();
        vm.stopPrank();
        assertEq(escrow.owner(), stranger);
        assertTrue(escrow.paused());
    }

    function test_pause_stopsExactlyCreateCreateAndFundFundAndClaim() public {
        uint256 draft = draftRun();
        uint256 open = openRun();
        uint256 terms = escrow.termsOf(open);
        vm.prank(owner);
        escrow.pause();
        bytes memory reason = abi.encodeWithSelector(Pausable.EnforcedPause.selector);
        uint256 deadline = claimDeadline();
        assertRefused(poster, abi.encodeCall(escrow.create, (REWARD, deadline, 3, CONTENT)), reason);
        assertRefused(poster, abi.encodeCall(escrow.createAndFund, (REWARD, deadline, 3, CONTENT)), reason);
        assertRefused(poster, abi.encodeCall(escrow.fund, (draft)), reason);
        assertRefused(wallet, abi.encodeCall(escrow.claim, (open, agentId, terms)), reason);

        vm.prank(owner);
        escrow.unpause();
        vm.prank(poster);
        escrow.fund(draft);
        claim(open);
    }

    function test_pause_leavesEveryWayOutOpen() public {
        uint256[8] memory runs =
            [draftRun(), openRun(), claimedRun(), claimedRun(), claimedRun(), submittedRun(), rejectableRun(), submittedRun()];
        vm.prank(owner);
        escrow.pause();

        vm.startPrank(poster);
        escrow.cancel(runs[0]);
        escrow.cancel(runs[1]);
        escrow.approve(runs[5], START + WEEK);
        escrow.reject(runs[6], START + WEEK);
        vm.stopPrank();
        vm.prank(wallet);
        escrow.start(runs[2]);
        submit(runs[2]);
        requestRevision(runs[2]);
        submit(runs[2]);
        submit(runs[3]);
        skip(WEEK);
        escrow.finalize(runs[7]);
        vm.prank(poster);
        escrow.slash(runs[4]);
        approve(runs[2]);
        approve(runs[3]);
        escrow.collectFees();
        stakeFor(agentId, wallet, AT_RISK);
        vm.prank(wallet);
        agentStake.unstake(agentId, AGENT_STAKE);
        assertEq(usdc.balanceOf(address(escrow)), 0);
        assertEq(usdc.balanceOf(address(agentStake)), 0);
    }

    function test_treasuryChange_touchesNothingOfAFundedRun() public {
        uint256 runId = submittedRun();
        IRunEscrow.Run memory before = escrow.getRun(runId);
        vm.prank(owner);
        escrow.setTreasury(stranger);
        assertEq(abi.encode(escrow.getRun(runId)), abi.encode(before));
        uint256 paid = usdc.balanceOf(wallet);
        approve(runId);
        assertEq(usdc.balanceOf(wallet), paid + REWARD);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { TestUSDC } from "../../src/TestUSDC.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";
import { SkimmingUSDC } from "../mocks/SkimmingUSDC.sol";

/// @notice fundWithPermit
/// ├── paused: refused
/// ├── unknown run, not the poster: refused
/// ├── any state but DRAFT: refused
/// ├── at the deadline or later: refused
/// ├── the permit fails: passed over, the allowance decides
/// ├── caller blacklisted, token paused: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise: OPEN, reward and fee escrowed, no allowance left
contract FundWithPermitTest is Signing {
    string private constant SHORT = "TestUSDC: transfer exceeds allowance";
    uint256 private posterKey = keyOf("poster");

    function setUp() public override {
        super.setUp();
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
    }

    function test_fundWithPermit_opensTheDraftAndLeavesNoAllowance() public {
        uint256 runId = draftRun();
        bytes memory call = callFor(runId, permit());
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFunded(runId, REWARD + FEE);
        vm.expectEmit(address(usdc));
        emit IERC20.Approval(poster, address(escrow), REWARD + FEE);
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(poster, address(escrow), REWARD + FEE);
        send(poster, address(escrow), call);

        assertState(runId, RunState.OPEN);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
        assertEq(usdc.allowance(poster, address(escrow)), 0);
    }

    function test_fundWithPermit_worksThoughSomebodySentThePermitBefore() public {
        uint256 runId = draftRun();
        ICustody.Permit memory p = permit();
        vm.prank(stranger);
        usdc.permit(poster, address(escrow), REWARD + FEE, p.deadline, p.signature);
        send(poster, address(escrow), callFor(runId, p));
        assertState(runId, RunState.OPEN);
    }

    function test_fundWithPermit_ofAnotherAmountOrKeyLeavesItToTheAllowance() public {
        uint256 runId = draftRun();
        ICustody.Permit memory lesser = permitFor(posterKey, poster, address(escrow), REWARD + FEE - 1);
        assertSays(runId, lesser, SHORT);
        assertSays(runId, permitFor(keyOf("stranger"), poster, address(escrow), REWARD + FEE), SHORT);
        vm.prank(poster);
        usdc.approve(address(escrow), REWARD + FEE);
        send(poster, address(escrow), callFor(runId, lesser));
        assertState(runId, RunState.OPEN);
        assertEq(usdc.nonces(poster), 0);
    }

    function test_fundWithPermit_isForThePoster() public {
        bytes memory call = callFor(1, permit());
        assertRefused(poster, call, abi.encodeWithSelector(IRunEscrow.RunEscrow_RunNotFound.selector, 1));
        draftRun();
        assertRefused(stranger, call, abi.encodeWithSelector(IRunEscrow.RunEscrow_NotPoster.selector, 1, stranger, poster));
        assertEq(usdc.nonces(poster), 0);
    }

    function test_fundWithPermit_isRefusedOutsideDraft() public {
        vm.prank(poster);
        usdc.approve(address(escrow), type(uint256).max);
        assertRefusedOutside(bit(RunState.DRAFT), poster, emptyCall);
    }

    function test_fundWithPermit_isPossibleUntilTheSecondBeforeTheDeadline() public {
        uint256 runId = draftRun();
        uint256 deadline = claimDeadline();
        bytes4 fault = IRunEscrow.RunEscrow_DeadlinePassed.selector;
        vm.warp(deadline);
        assertRefused(poster, callFor(runId, permit()), abi.encodeWithSelector(fault, runId, deadline, deadline));
        vm.warp(deadline + 1);
        assertRefused(poster, callFor(runId, permit()), abi.encodeWithSelector(fault, runId, deadline, deadline + 1));
        vm.warp(deadline - 1);
        send(poster, address(escrow), callFor(runId, permit()));
    }

    function test_fundWithPermit_isRefusedByTheTokenAsAnyPayment() public {
        uint256 runId = draftRun();
        usdc.blacklist(poster);
        assertSays(runId, permit(), "TestUSDC: account is blacklisted");
        usdc.unBlacklist(poster);
        usdc.pause();
        assertSays(runId, permit(), "TestUSDC: paused");
        assertState(runId, RunState.DRAFT);
    }

    function test_fundWithPermit_isRefusedWhilePaused() public {
        bytes memory call = callFor(draftRun(), permit());
        vm.prank(owner);
        escrow.pause();
        assertRefused(poster, call, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        vm.prank(owner);
        escrow.unpause();
        send(poster, address(escrow), call);
    }

    function test_fundWithPermit_insistsOnEveryUnitItAskedFor() public {
        usdc = TestUSDC(address(new SkimmingUSDC()));
        (, escrow) = deployPair(address(usdc), address(registry));
        usdc.mint(poster, FUNDS);
        uint256 runId = draftRun();
        assertRefused(
            poster,
            callFor(runId, permit()),
            abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, REWARD + FEE, REWARD + FEE - 1)
        );
    }

    function permit() private view returns (ICustody.Permit memory) {
        return permitFor(posterKey, poster, address(escrow), REWARD + FEE);
    }

    function callFor(uint256 runId, ICustody.Permit memory p) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.fundWithPermit, (runId, p));
    }

    function emptyCall(uint256 runId) private pure returns (bytes memory) {
        return callFor(runId, ICustody.Permit(0, ""));
    }

    function assertSays(uint256 runId, ICustody.Permit memory p, string memory reason) private {
        assertTokenRefuses(address(escrow), poster, callFor(runId, p), reason);
    }
}

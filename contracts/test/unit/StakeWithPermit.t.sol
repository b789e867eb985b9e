// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { TestUSDC } from "../../src/TestUSDC.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { Signing } from "../base/Signing.sol";
import { SkimmingUSDC } from "../mocks/SkimmingUSDC.sol";

/// @notice stakeWithPermit
/// ├── what stake refuses: refused alike
/// ├── the permit fails: passed over, the allowance decides
/// ├── another's permit: moves nothing of the other's
/// ├── caller blacklisted, token paused: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise, be the escrow paused: the agent's stake grows by the caller's money, no allowance is left
contract StakeWithPermitTest is Signing {
    string private constant SHORT = "TestUSDC: transfer exceeds allowance";
    uint256 private constant AMOUNT = 20 * USDC;
    uint256 private walletKey = keyOf("wallet");
    uint256 private newcomer;
    uint256 private funds;

    function setUp() public override {
        super.setUp();
        newcomer = registerAgent(wallet);
        vm.prank(wallet);
        usdc.approve(address(agentStake), 0);
        funds = usdc.balanceOf(wallet);
    }

    function test_stakeWithPermit_stakesTheCallersMoneyAndLeavesNoAllowance() public {
        bytes memory call = callFor(newcomer, AMOUNT, permit(AMOUNT));
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(newcomer, wallet, AMOUNT, AMOUNT, 0);
        vm.expectEmit(address(usdc));
        emit IERC20.Approval(wallet, address(agentStake), AMOUNT);
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(wallet, address(agentStake), AMOUNT);
        send(wallet, address(agentStake), call);

        assertEq(agentStake.getAgent(newcomer).stake, AMOUNT);
        assertEq(agentStake.getAgent(newcomer).stakedSince, START);
        assertEq(usdc.balanceOf(wallet), funds - AMOUNT);
        assertEq(usdc.balanceOf(address(agentStake)), AGENT_STAKE + AMOUNT);
        assertEq(usdc.allowance(wallet, address(agentStake)), 0);
        assertEq(usdc.nonces(wallet), 1);
    }

    function test_stakeWithPermit_worksThoughSomebodySentThePermitBefore() public {
        ICustody.Permit memory p = permit(AMOUNT);
        vm.prank(stranger);
        usdc.permit(wallet, address(agentStake), AMOUNT, p.deadline, p.signature);
        send(wallet, address(agentStake), callFor(newcomer, AMOUNT, p));
        assertEq(agentStake.getAgent(newcomer).stake, AMOUNT);
        assertEq(usdc.nonces(wallet), 1);
    }

    function test_stakeWithPermit_ofAnotherAmountSpenderOrKeyLeavesItToTheAllowance() public {
        assertSays(permit(AMOUNT - 1), SHORT);
        assertSays(permit(AMOUNT + 1), SHORT);
        assertSays(permitFor(walletKey, wallet, address(escrow), AMOUNT), SHORT);
        assertSays(permitFor(keyOf("stranger"), wallet, address(agentStake), AMOUNT), SHORT);
        ICustody.Permit memory expired = permit(AMOUNT);
        vm.warp(expired.deadline + 1);
        assertSays(expired, SHORT);
        vm.prank(wallet);
        usdc.approve(address(agentStake), AMOUNT);
        send(wallet, address(agentStake), callFor(newcomer, AMOUNT, expired));
        assertEq(agentStake.getAgent(newcomer).stake, AMOUNT);
        assertEq(usdc.nonces(wallet), 0);
    }

    function test_stakeWithPermit_ofAnotherMovesNothingOfTheOthers() public {
        vm.prank(stranger);
        usdc.approve(address(agentStake), 0);
        assertTokenRefuses(address(agentStake), stranger, callFor(newcomer, AMOUNT, permit(AMOUNT)), SHORT);
        assertEq(usdc.balanceOf(wallet), funds);
    }

    function test_stakeWithPermit_isUsedOnce() public {
        ICustody.Permit memory p = permit(AMOUNT);
        send(wallet, address(agentStake), callFor(newcomer, AMOUNT, p));
        assertSays(p, SHORT);
    }

    function test_stakeWithPermit_isRefusedByTheTokenAsAnyPayment() public {
        usdc.blacklist(wallet);
        assertSays(permit(AMOUNT), "TestUSDC: account is blacklisted");
        usdc.unBlacklist(wallet);
        usdc.pause();
        assertSays(permit(AMOUNT), "TestUSDC: paused");
        assertEq(agentStake.getAgent(newcomer).stake, 0);
    }

    function test_stakeWithPermit_worksWhileTheEscrowIsPaused() public {
        vm.prank(owner);
        escrow.pause();
        send(wallet, address(agentStake), callFor(newcomer, AMOUNT, permit(AMOUNT)));
        assertEq(agentStake.getAgent(newcomer).stake, AMOUNT);
    }

    function test_stakeWithPermit_refusesWhatStakeRefuses() public {
        assertRefusedStake(77, AMOUNT, abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 77));
        uint256 tooLarge = 2 ** 48;
        assertRefusedStake(
            tooLarge, AMOUNT, abi.encodeWithSelector(IAgentStake.AgentStake_AgentIdOutOfRange.selector, tooLarge, tooLarge - 1)
        );
        uint256 room = 2 ** 64 - 1;
        assertRefusedStake(newcomer, 0, abi.encodeWithSelector(IAgentStake.AgentStake_AmountOutOfRange.selector, 0, 1, room));
        assertRefusedStake(newcomer, room + 1, abi.encodeWithSelector(IAgentStake.AgentStake_AmountOutOfRange.selector, room + 1, 1, room));
        assertEq(usdc.nonces(wallet), 0);
    }

    function test_stakeWithPermit_insistsOnEveryUnitItAskedFor() public {
        usdc = TestUSDC(address(new SkimmingUSDC()));
        (agentStake,) = deployPair(address(usdc), address(registry));
        usdc.mint(wallet, FUNDS);
        assertRefusedStake(newcomer, AMOUNT, abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, AMOUNT, AMOUNT - 1));
    }

    function permit(uint256 amount) private view returns (ICustody.Permit memory) {
        return permitFor(walletKey, wallet, address(agentStake), amount);
    }

    function callFor(uint256 id, uint256 amount, ICustody.Permit memory p) private pure returns (bytes memory) {
        return abi.encodeCall(IAgentStake.stakeWithPermit, (id, amount, p));
    }

    function assertSays(ICustody.Permit memory p, string memory reason) private {
        assertTokenRefuses(address(agentStake), wallet, callFor(newcomer, AMOUNT, p), reason);
    }

    function assertRefusedStake(uint256 id, uint256 amount, bytes memory reason) private {
        assertRefusedBy(address(agentStake), wallet, callFor(id, amount, permit(amount)), reason);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice unstake
/// ├── unknown agent: refused
/// ├── caller is not the token's owner, whatever else it may be: refused
/// ├── FROZEN: refused
/// ├── nothing: refused
/// ├── more than is withdrawable: refused
/// ├── the token refuses the owner: refused, no other party is waiting
/// └── otherwise: paid to the owner
///     └── falling below the minimum ends the uninterrupted time
contract UnstakeTest is ClawPayTest {
    function test_unstake_paysTheOwner() public {
        uint256 before = usdc.balanceOf(wallet);
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Unstaked(agentId, wallet, 80 * USDC, MINIMUM_STAKE);
        unstake(80 * USDC);
        assertEq(usdc.balanceOf(wallet), before + 80 * USDC);
        assertEq(agentStake.getAgent(agentId).stake, MINIMUM_STAKE);
        assertEq(agentStake.getAgent(agentId).stakedSince, START, "still at the minimum");
    }

    function test_unstake_belowTheMinimumEndsTheUninterruptedTime() public {
        unstake(80 * USDC + 1);
        assertEq(agentStake.getAgent(agentId).stakedSince, 0);
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.UNVERIFIED));
        skip(3 days);
        stakeFor(agentId, wallet, 1);
        assertEq(agentStake.getAgent(agentId).stakedSince, START + 3 days);
    }

    function test_unstake_leavesNothingWithoutRunsInHand() public {
        unstake(AGENT_STAKE);
        assertEq(agentStake.getAgent(agentId).stake, 0);
        assertEq(usdc.balanceOf(address(agentStake)), 0);
    }

    function test_unstake_leavesTheMinimumWithUpToTwoRunsInHandAndTheCommitmentWithMore() public {
        uint256[4] memory staying = [MINIMUM_STAKE, MINIMUM_STAKE, 3 * AT_RISK, 4 * AT_RISK];
        for (uint256 i = 0; i < staying.length; ++i) {
            claimedRun();
            uint256 withdrawable = AGENT_STAKE - staying[i];
            assertEq(agentStake.getAgent(agentId).withdrawable, withdrawable);
            assertNotUnstaked(
                wallet,
                withdrawable + 1,
                abi.encodeWithSelector(IAgentStake.AgentStake_ExceedsWithdrawable.selector, agentId, withdrawable + 1, withdrawable)
            );
            uint256 snapshot = vm.snapshotState();
            unstake(withdrawable);
            assertEq(agentStake.getAgent(agentId).withdrawable, 0);
            vm.revertToState(snapshot);
        }
    }

    function test_unstake_letsNothingOutWhileFrozenUntilAllIsStakedAgain() public {
        slashedRun();
        assertNotUnstaked(wallet, 1, abi.encodeWithSelector(IAgentStake.AgentStake_Frozen.selector, agentId, AT_RISK));
        stakeFor(agentId, wallet, AT_RISK - 1);
        assertNotUnstaked(wallet, 1, abi.encodeWithSelector(IAgentStake.AgentStake_Frozen.selector, agentId, 1));
        stakeFor(agentId, wallet, 1);
        unstake(AGENT_STAKE);
    }

    function test_unstake_isOpenToABannedAgentForWhatIsNotHeld() public {
        uint256 held = claimedRun();
        submit(held);
        for (uint256 i = 0; i < 3; ++i) {
            slashedRun();
            if (i < 2) stakeFor(agentId, wallet, AT_RISK);
        }
        IAgentStake.Agent memory agent = agentStake.getAgent(agentId);
        assertEq(uint256(agent.status), uint256(AgentStatus.BANNED));
        assertEq(agent.owed, AT_RISK, "owing does not freeze the banned");
        assertEq(agent.withdrawable, 90 * USDC - MINIMUM_STAKE);
        unstake(agent.withdrawable);
        approve(held);
        unstake(MINIMUM_STAKE);
        assertEq(agentStake.getAgent(agentId).stake, 0);
    }

    function test_unstake_allowsNothingWhenASlashLeftLessThanTheMinimum() public {
        unstake(80 * USDC);
        uint256 first = claimedRun();
        claimedRun();
        skip(WEEK);
        vm.prank(poster);
        escrow.slash(first);
        stakeFor(agentId, wallet, AT_RISK - 1);
        assertEq(agentStake.getAgent(agentId).withdrawable, 0);
        stakeFor(agentId, wallet, 1);
        assertEq(agentStake.getAgent(agentId).withdrawable, 0);
        stakeFor(agentId, wallet, 1);
        assertEq(agentStake.getAgent(agentId).withdrawable, 1);
    }

    function test_unstake_isTheOwnersAlone() public {
        (address hot, uint256 key) = makeAddrAndKey("hot wallet");
        setAgentWallet(agentId, wallet, hot, key);
        vm.startPrank(wallet);
        registry.approve(stranger, agentId);
        registry.setApprovalForAll(stranger, true);
        vm.stopPrank();
        bytes4 fault = IAgentStake.AgentStake_NotOwner.selector;
        assertNotUnstaked(hot, 1, abi.encodeWithSelector(fault, agentId, hot, wallet));
        assertNotUnstaked(stranger, 1, abi.encodeWithSelector(fault, agentId, stranger, wallet));
        vm.prank(wallet);
        registry.transferFrom(wallet, poster, agentId);
        assertNotUnstaked(wallet, 1, abi.encodeWithSelector(fault, agentId, wallet, poster));
        uint256 before = usdc.balanceOf(poster);
        vm.prank(poster);
        agentStake.unstake(agentId, AGENT_STAKE);
        assertEq(usdc.balanceOf(poster), before + AGENT_STAKE);
    }

    function test_unstake_refusesNothingAndUnknownAgents() public {
        assertNotUnstaked(wallet, 0, abi.encodeWithSelector(IAgentStake.AgentStake_AmountOutOfRange.selector, 0, 1, AGENT_STAKE));
        assertNotUnstaked(
            wallet,
            type(uint256).max,
            abi.encodeWithSelector(IAgentStake.AgentStake_ExceedsWithdrawable.selector, agentId, type(uint256).max, AGENT_STAKE)
        );
        assertRefusedBy(
            address(agentStake),
            wallet,
            abi.encodeCall(agentStake.unstake, (77, 1)),
            abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 77)
        );
    }

    function test_unstake_isRefusedWithTheTokensReason() public {
        usdc.blacklist(wallet);
        assertNotUnstaked(wallet, 1, abi.encodeWithSignature("Error(string)", "TestUSDC: account is blacklisted"));
        assertEq(agentStake.getAgent(agentId).stake, AGENT_STAKE);
    }

    function unstake(uint256 amount) private {
        vm.prank(wallet);
        agentStake.unstake(agentId, amount);
    }

    function assertNotUnstaked(address caller, uint256 amount, bytes memory reason) private {
        assertRefusedBy(address(agentStake), caller, abi.encodeCall(agentStake.unstake, (agentId, amount)), reason);
    }
}

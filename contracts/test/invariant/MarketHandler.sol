// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { CommonBase } from "forge-std/Base.sol";
import { StdUtils } from "forge-std/StdUtils.sol";

import { AgentStake } from "../../src/AgentStake.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";

/// @notice Plays the market at random. Each call that the rules would refuse is skipped, so a revert is a finding, and every change of a
/// run's state is recorded as an edge.
contract MarketHandler is CommonBase, StdUtils {
    uint256 private constant RUNS = 12;

    RunEscrow private immutable ESCROW;
    AgentStake private immutable STAKE;
    TestUSDC private immutable USDC;
    address private immutable POSTER;
    address[2] private _wallets;
    uint256[2] private _agents;

    /// @notice Bit `16 x from + to` for each edge seen; the row above the states stands for "not there".
    uint256 public edges;
    uint256 public constant NOT_THERE = 15;

    constructor(
        RunEscrow escrow_,
        AgentStake stake_,
        TestUSDC usdc_,
        address poster_,
        address[2] memory wallets_,
        uint256[2] memory agents_
    ) {
        (ESCROW, STAKE, USDC, POSTER) = (escrow_, stake_, usdc_, poster_);
        (_wallets, _agents) = (wallets_, agents_);
    }

    function create(uint256 reward, uint256 maxRevisions, bool funded) external {
        uint256 runId = ESCROW.runCount() + 1;
        if (runId > RUNS) return;
        reward = bound(reward, 1e6, 1000e6);
        maxRevisions = bound(maxRevisions, 0, 3);
        uint256 deadline = vm.getBlockTimestamp() + 60 days;
        vm.prank(POSTER);
        if (funded) ESCROW.createAndFund(reward, deadline, maxRevisions, "x");
        else ESCROW.create(reward, deadline, maxRevisions, "x");
        _record(NOT_THERE, runId);
    }

    function fund(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || run.state != RunState.DRAFT || vm.getBlockTimestamp() >= run.deadline) return;
        vm.prank(POSTER);
        ESCROW.fund(runId);
        _record(uint256(run.state), runId);
    }

    function cancel(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || run.state > RunState.OPEN) return;
        vm.prank(POSTER);
        ESCROW.cancel(runId);
        _record(uint256(run.state), runId);
    }

    function claim(uint256 seed, uint256 who) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || run.state != RunState.OPEN || vm.getBlockTimestamp() >= run.deadline) return;
        who = bound(who, 0, 1);
        if (STAKE.getAgent(_agents[who]).owed != 0 || STAKE.getAgent(_agents[who]).slashes >= 3) return;
        if (STAKE.getAgent(_agents[who]).stake < 20e6 || STAKE.getAgent(_agents[who]).free < 10e6) return;
        uint256 terms = ESCROW.termsOf(runId);
        vm.prank(_wallets[who]);
        ESCROW.claim(runId, _agents[who], terms);
        _record(uint256(run.state), runId);
    }

    function start(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || run.state != RunState.CLAIMED || vm.getBlockTimestamp() >= run.dueAt) return;
        vm.prank(run.wallet);
        ESCROW.start(runId);
        _record(uint256(run.state), runId);
    }

    function submit(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || vm.getBlockTimestamp() >= run.dueAt) return;
        vm.prank(run.wallet);
        ESCROW.submit(runId, "x");
        _record(uint256(run.state), runId);
    }

    function requestRevision(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || vm.getBlockTimestamp() >= run.reviewBy || run.revisions == run.maxRevisions) return;
        vm.prank(POSTER);
        ESCROW.requestRevision(runId, run.reviewBy, "");
        _record(uint256(run.state), runId);
    }

    function approve(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || run.state != RunState.SUBMITTED) return;
        vm.prank(POSTER);
        ESCROW.approve(runId, run.reviewBy);
        _record(uint256(run.state), runId);
    }

    function reject(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0) return;
        bool submitted = run.state == RunState.SUBMITTED && vm.getBlockTimestamp() < run.reviewBy && run.revisions == run.maxRevisions;
        bool overdue = run.state == RunState.REVISION_REQUESTED && vm.getBlockTimestamp() >= run.dueAt;
        if (!submitted && !overdue) return;
        vm.prank(POSTER);
        ESCROW.reject(runId, submitted ? run.reviewBy : run.dueAt);
        _record(uint256(run.state), runId);
    }

    function finalize(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || !ESCROW.isFinalizable(runId)) return;
        ESCROW.finalize(runId);
        _record(uint256(run.state), runId);
    }

    function slash(uint256 seed) external {
        (uint256 runId, IRunEscrow.Run memory run) = _pick(seed);
        if (runId == 0 || !ESCROW.isSlashable(runId)) return;
        vm.prank(POSTER);
        ESCROW.slash(runId);
        _record(uint256(run.state), runId);
    }

    function stake(uint256 who, uint256 amount) external {
        who = bound(who, 0, 1);
        amount = bound(amount, 1, 50e6);
        if (USDC.isBlacklisted(_wallets[who])) return;
        vm.prank(_wallets[who]);
        STAKE.stake(_agents[who], amount);
    }

    function unstake(uint256 who, uint256 amount) external {
        who = bound(who, 0, 1);
        uint256 withdrawable = STAKE.getAgent(_agents[who]).withdrawable;
        if (withdrawable == 0 || USDC.isBlacklisted(_wallets[who])) return;
        amount = bound(amount, 1, withdrawable);
        vm.prank(_wallets[who]);
        STAKE.unstake(_agents[who], amount);
    }

    function payCredits(uint256 who) external {
        address account = _account(who);
        if (USDC.isBlacklisted(account)) return;
        if (ESCROW.creditOf(account) != 0) ESCROW.payCredit(account);
        if (STAKE.creditOf(account) != 0) STAKE.payCredit(account);
    }

    function collectFees() external {
        ESCROW.collectFees();
    }

    /// @dev A wallet's blacklisting delays its money only; the poster is left able to fund.
    function toggleBlacklist(uint256 who) external {
        address account = _wallets[bound(who, 0, 1)];
        if (USDC.isBlacklisted(account)) USDC.unBlacklist(account);
        else USDC.blacklist(account);
    }

    function sendByMistake(uint256 amount, bool toEscrow) external {
        USDC.mint(toEscrow ? address(ESCROW) : address(STAKE), bound(amount, 1, 100e6));
    }

    function passTime(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 8 days));
    }

    function _pick(uint256 seed) private view returns (uint256 runId, IRunEscrow.Run memory run) {
        uint256 count = ESCROW.runCount();
        if (count == 0) return (runId, run);
        runId = bound(seed, 1, count);
        run = ESCROW.getRun(runId);
    }

    function _account(uint256 seed) private view returns (address) {
        seed = bound(seed, 0, 2);
        return seed == 2 ? POSTER : _wallets[seed];
    }

    function _record(uint256 from, uint256 runId) private {
        edges |= 1 << (16 * from + uint256(ESCROW.getRun(runId).state));
    }
}

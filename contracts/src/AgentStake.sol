// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { IERC721 } from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import { Custody } from "./Custody.sol";
import { IAgentRegistry } from "./interfaces/IAgentRegistry.sol";
import { AgentStatus, IAgentStake } from "./interfaces/IAgentStake.sol";
import { IUSDC } from "./interfaces/IUSDC.sol";
import { TrustLadder } from "./libraries/TrustLadder.sol";
import { AgentRecord } from "./types/AgentRecord.sol";

/// @title Agents' stakes and the trust ladder
/// @dev One word per agent, so that eligibility and commitment are one read and one write. No owner: nothing here can be changed.
contract AgentStake is IAgentStake, Custody {
    using SafeERC20 for IUSDC;

    uint256 private constant MAX_AGENT_ID = type(uint48).max;

    /// @dev Head of the EIP-3009 nonces.
    bytes32 private constant STAKE_TAG =
        keccak256("Stake(uint256 chainId,address agentStake,address from,uint256 agentId,uint256 amount,bytes32 salt)");

    address private immutable REGISTRY;
    address private immutable ESCROW;
    uint256 private immutable MINIMUM_STAKE;
    uint56 private immutable STAKE_AT_RISK;
    uint256 private immutable BANNED_AFTER_SLASHES;
    uint256 private immutable ESTABLISHED_AFTER;
    uint256 private immutable ESTABLISHED_COMPLETIONS;

    mapping(uint256 agentId => AgentRecord) private _agents;

    /// @param usdc_ The token staked; its code must be there already.
    /// @param agentRegistry_ The ERC-8004 identity registry; its code must be there already.
    /// @param runEscrow_ The address at which the escrow will be deployed; the escrow's constructor checks that it is.
    /// @param forwarder_ The ERC-2771 forwarder whose word on who is calling is taken; zero for none.
    constructor(address usdc_, address agentRegistry_, address runEscrow_, address forwarder_, Parameters memory rules)
        Custody(usdc_, forwarder_)
    {
        if (
            usdc_.code.length == 0 || agentRegistry_.code.length == 0 || runEscrow_ == address(0) || rules.stakeAtRisk == 0
                || rules.stakeAtRisk > rules.minimumStake || rules.minimumStake > type(uint56).max || rules.bannedAfterSlashes == 0
                || rules.bannedAfterSlashes > type(uint32).max || rules.establishedAfter > type(uint40).max
                || rules.establishedCompletions > type(uint32).max
        ) revert AgentStake_InvalidParameters();
        REGISTRY = agentRegistry_;
        ESCROW = runEscrow_;
        MINIMUM_STAKE = rules.minimumStake;
        STAKE_AT_RISK = SafeCast.toUint56(rules.stakeAtRisk);
        BANNED_AFTER_SLASHES = rules.bannedAfterSlashes;
        ESTABLISHED_AFTER = rules.establishedAfter;
        ESTABLISHED_COMPLETIONS = rules.establishedCompletions;
    }

    /// @dev The caller itself, not `_msgSender()`: no forwarder relays for the escrow.
    modifier onlyEscrow() {
        if (msg.sender != ESCROW) revert AgentStake_NotEscrow(msg.sender);
        _;
    }

    /// @inheritdoc IAgentStake
    function stake(uint256 agentId, uint256 amount) external nonReentrant {
        address from = _msgSender();
        _deposit(agentId, from, amount);

        _pull(from, amount);
    }

    /// @inheritdoc IAgentStake
    function stakeWithPermit(uint256 agentId, uint256 amount, Permit calldata permit) external nonReentrant {
        address from = _msgSender();
        _deposit(agentId, from, amount);

        _pullWithPermit(from, amount, permit);
    }

    /// @inheritdoc IAgentStake
    function stakeWithAuthorization(address from, uint256 agentId, uint256 amount, Authorization calldata authorization)
        external
        nonReentrant
    {
        _deposit(agentId, from, amount);

        _pullWithAuthorization(from, amount, stakeNonce(from, agentId, amount, authorization.salt), authorization);
    }

    /// @inheritdoc IAgentStake
    function unstake(uint256 agentId, uint256 amount) external nonReentrant {
        address owner = IERC721(REGISTRY).ownerOf(agentId);
        if (_msgSender() != owner) revert AgentStake_NotOwner(agentId, _msgSender(), owner);
        AgentRecord record = _agents[agentId];
        AgentStatus status = _statusOf(record);
        if (status == AgentStatus.FROZEN) revert AgentStake_Frozen(agentId, record.owed());
        uint256 withdrawable = TrustLadder.withdrawable(record, status, MINIMUM_STAKE, STAKE_AT_RISK);
        if (amount == 0) revert AgentStake_AmountOutOfRange(amount, 1, withdrawable);
        if (amount > withdrawable) revert AgentStake_ExceedsWithdrawable(agentId, amount, withdrawable);

        record = _reduced(record, SafeCast.toUint64(amount));
        _agents[agentId] = record;
        emit Unstaked(agentId, owner, amount, record.stake());

        USDC.safeTransfer(owner, amount);
    }

    /// @inheritdoc IAgentStake
    function commit(uint256 agentId, address caller) external onlyEscrow returns (uint256 stakeAtRisk) {
        if (agentId > MAX_AGENT_ID) revert AgentStake_AgentIdOutOfRange(agentId, MAX_AGENT_ID);
        if (!isAgent(agentId, caller)) revert AgentStake_NotAgent(agentId, caller);
        AgentRecord record = _agents[agentId];
        AgentStatus status = _statusOf(record);
        if (!TrustLadder.mayClaim(status)) revert AgentStake_NotEligible(agentId, status);
        stakeAtRisk = STAKE_AT_RISK;
        uint256 free = TrustLadder.free(record, stakeAtRisk);
        if (free < stakeAtRisk) revert AgentStake_StakeCommitted(agentId, free, stakeAtRisk);

        _agents[agentId] = record.withRunsInHand(record.runsInHand() + 1);
    }

    /// @inheritdoc IAgentStake
    function release(uint256 agentId, bool completed) external onlyEscrow {
        AgentRecord record = _agents[agentId];
        if (completed) record = record.withCompletions(record.completions() + 1);
        _agents[agentId] = record.withRunsInHand(record.runsInHand() - 1);
    }

    /// @inheritdoc IAgentStake
    function slash(uint256 agentId, uint256 runId, address recipient) external onlyEscrow nonReentrant returns (uint256 slashed) {
        slashed = STAKE_AT_RISK;
        AgentRecord record = _reduced(_agents[agentId], STAKE_AT_RISK);
        record = record.withRunsInHand(record.runsInHand() - 1).withSlashes(record.slashes() + 1);
        _agents[agentId] = record.withOwed(record.owed() + STAKE_AT_RISK);

        _pay(runId, recipient, slashed);
    }

    /// @inheritdoc IAgentStake
    function getAgent(uint256 agentId) external view returns (Agent memory agent) {
        AgentRecord record = _agents[agentId];
        agent.status = _statusOf(record);
        agent.stake = record.stake();
        agent.committed = TrustLadder.committed(record, STAKE_AT_RISK);
        agent.free = TrustLadder.free(record, STAKE_AT_RISK);
        agent.owed = record.owed();
        agent.runsInHand = record.runsInHand();
        agent.slashes = record.slashes();
        agent.completions = record.completions();
        agent.stakedSince = record.stakedSince();
        agent.withdrawable = TrustLadder.withdrawable(record, agent.status, MINIMUM_STAKE, STAKE_AT_RISK);
    }

    /// @inheritdoc IAgentStake
    function statusOf(uint256 agentId) external view returns (AgentStatus) {
        return _statusOf(_agents[agentId]);
    }

    /// @inheritdoc IAgentStake
    function isAgent(uint256 agentId, address caller) public view returns (bool) {
        if (IERC721(REGISTRY).ownerOf(agentId) == caller) return true;
        // An unset agent wallet is zero, and zero is no caller's agent.
        return caller != address(0) && IAgentRegistry(REGISTRY).getAgentWallet(agentId) == caller;
    }

    /// @inheritdoc IAgentStake
    function stakeNonce(address from, uint256 agentId, uint256 amount, bytes32 salt) public view returns (bytes32) {
        return keccak256(abi.encode(STAKE_TAG, block.chainid, address(this), from, agentId, amount, salt));
    }

    /// @inheritdoc IAgentStake
    function parameters() external view returns (Parameters memory) {
        return Parameters({
            minimumStake: MINIMUM_STAKE,
            stakeAtRisk: STAKE_AT_RISK,
            bannedAfterSlashes: BANNED_AFTER_SLASHES,
            establishedAfter: ESTABLISHED_AFTER,
            establishedCompletions: ESTABLISHED_COMPLETIONS
        });
    }

    /// @inheritdoc IAgentStake
    function agentRegistry() external view returns (address) {
        return REGISTRY;
    }

    /// @inheritdoc IAgentStake
    function runEscrow() external view returns (address) {
        return ESCROW;
    }

    /// @dev Writes the deposit down and reports it; the caller must pull `amount` before the call ends.
    function _deposit(uint256 agentId, address from, uint256 amount) private {
        if (agentId > MAX_AGENT_ID) revert AgentStake_AgentIdOutOfRange(agentId, MAX_AGENT_ID);
        IERC721(REGISTRY).ownerOf(agentId); // reverts for an unknown agent, whose stake no owner could withdraw
        AgentRecord record = _agents[agentId];
        uint256 room = type(uint64).max - record.stake();
        if (amount == 0 || amount > room) revert AgentStake_AmountOutOfRange(amount, 1, room);

        uint64 newStake = record.stake() + SafeCast.toUint64(amount);
        uint56 owed = record.owed();
        uint56 newOwed = amount < owed ? owed - SafeCast.toUint56(amount) : 0;
        if (record.stake() < MINIMUM_STAKE && newStake >= MINIMUM_STAKE) {
            record = record.withStakedSince(SafeCast.toUint40(block.timestamp));
        }
        _agents[agentId] = record.withStake(newStake).withOwed(newOwed);
        emit Staked(agentId, from, amount, newStake, newOwed);
    }

    function _statusOf(AgentRecord record) private view returns (AgentStatus) {
        return
            TrustLadder.statusOf(record, MINIMUM_STAKE, BANNED_AFTER_SLASHES, ESTABLISHED_AFTER, ESTABLISHED_COMPLETIONS, block.timestamp);
    }

    /// @dev A stake that falls below the minimum ends the uninterrupted time that ESTABLISHED needs.
    function _reduced(AgentRecord record, uint64 amount) private view returns (AgentRecord) {
        uint64 left = record.stake() - amount;
        if (left < MINIMUM_STAKE) record = record.withStakedSince(0);
        return record.withStake(left);
    }
}

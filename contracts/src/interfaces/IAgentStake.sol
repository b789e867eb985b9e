// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ICustody } from "./ICustody.sol";

/// @notice An agent's standing: a pure function of its record and chain time. Only PROVISIONAL and ESTABLISHED may claim.
/// @dev The order is part of the ABI.
enum AgentStatus {
    /// Stake below the minimum.
    UNVERIFIED,
    /// Stake at or above the minimum.
    PROVISIONAL,
    /// PROVISIONAL, staked without interruption for long enough, with enough completions.
    ESTABLISHED,
    /// Slashed, and what was slashed has not been staked again in full.
    FROZEN,
    /// Slashed too often. Forever.
    BANNED
}

/// @title Agents' stakes, what is committed of them, and the trust ladder
/// @notice An agent stakes once and may then hold several runs, each committing `stakeAtRisk`. Stake belongs to the agent id, whichever account
/// deposited it; only the agent token's owner withdraws, to itself. Only the escrow commits, releases and slashes, and what is committed
/// can never leave, so every slash is paid in full.
///
/// Units: USDC base units (6 decimals); seconds of `block.timestamp`. Agent ids fit 48 bits.
///
/// Every change of a stake that a run causes is reported by the escrow's event of the same transaction; this contract reports the rest.
///
/// Gasless: as in IRunEscrow, by `trustedForwarder` or by authorization.
///
/// Assumptions about the token: as in IRunEscrow. About the registry: `ownerOf` answers the agent's owner and reverts for an unknown id,
/// `getAgentWallet` answers its ERC-8004 agent wallet or zero. ERC-721 approvals grant nothing here.
///
/// Warning: the account that can upgrade a foreign registry can move agents, and so is trusted with their stakes. Where a registry lets agents be
/// burned, a burned agent's stake can never be withdrawn; what it holds in hand is still delivered, paid or slashed.
interface IAgentStake is ICustody {
    /// @notice The immutable rules of this deployment.
    struct Parameters {
        /// Stake needed to claim any run, base units.
        uint256 minimumStake;
        /// Stake committed by each run in hand, and taken by a slash, base units.
        uint256 stakeAtRisk;
        /// Slashes after which an agent is BANNED.
        uint256 bannedAfterSlashes;
        /// Uninterrupted seconds at or above the minimum stake before an agent is ESTABLISHED.
        uint256 establishedAfter;
        /// Completions before an agent is ESTABLISHED.
        uint256 establishedCompletions;
    }

    /// @notice Everything known about an agent's stake, and what follows from it now.
    struct Agent {
        AgentStatus status;
        /// All of it, committed or not.
        uint256 stake;
        /// `stakeAtRisk` x runs in hand.
        uint256 committed;
        /// Stake not committed.
        uint256 free;
        /// Slashed and not yet staked again; FROZEN until it is zero.
        uint256 owed;
        uint256 runsInHand;
        uint256 slashes;
        uint256 completions;
        /// When the stake last reached the minimum; zero while it is below.
        uint256 stakedSince;
        /// What `unstake` allows now.
        uint256 withdrawable;
    }

    /// @param from Who paid.
    /// @param stake The agent's stake afterwards.
    /// @param owed What the agent still owes afterwards.
    event Staked(uint256 indexed agentId, address indexed from, uint256 amount, uint256 stake, uint256 owed);
    /// @param to The agent token's owner.
    /// @param stake The agent's stake afterwards.
    event Unstaked(uint256 indexed agentId, address indexed to, uint256 amount, uint256 stake);
    error AgentStake_NotEscrow(address caller);
    /// @notice The caller is neither the agent token's owner nor its agent wallet.
    error AgentStake_NotAgent(uint256 agentId, address caller);
    error AgentStake_NotOwner(uint256 agentId, address caller, address owner);
    /// @notice Agent ids above 48 bits are not supported.
    error AgentStake_AgentIdOutOfRange(uint256 agentId, uint256 maximum);
    /// @notice The agent's status does not allow claiming.
    error AgentStake_NotEligible(uint256 agentId, AgentStatus status);
    /// @notice The stake is committed to runs already in hand.
    error AgentStake_StakeCommitted(uint256 agentId, uint256 free, uint256 required);
    error AgentStake_AmountOutOfRange(uint256 amount, uint256 minimum, uint256 maximum);
    error AgentStake_ExceedsWithdrawable(uint256 agentId, uint256 amount, uint256 withdrawable);
    /// @notice A FROZEN agent withdraws nothing until `owed` has been staked again.
    error AgentStake_Frozen(uint256 agentId, uint256 owed);
    /// @notice A constructor argument is outside what the rules allow.
    error AgentStake_InvalidParameters();

    /// @notice Deposits for an agent, paying down what it owes. Anyone, for any registered agent, by ERC-20 allowance.
    /// Warning: the deposit belongs to the agent id at once; only its owner can withdraw it.
    /// @param amount Base units, more than zero.
    /// @dev Checked in this order: agent id, agent exists (the registry's error), amount, then the token.
    function stake(uint256 agentId, uint256 amount) external;

    /// @notice `stake` with the caller's permit for `amount`. A permit that fails is passed over: where another account sent it before, the
    /// allowance is there.
    /// @dev Checked in the order of `stake`.
    function stakeWithPermit(uint256 agentId, uint256 amount, Permit calldata permit) external;

    /// @notice `stake` from `from`, who signed an authorization for `amount` with the nonce `stakeNonce`. Anyone.
    /// @dev Checked in the order of `stake`; the token checks the signature, its time and that it was not used before.
    function stakeWithAuthorization(address from, uint256 agentId, uint256 amount, Authorization calldata authorization) external;

    /// @notice Withdraws free stake to the agent token's owner. Owner only, at any time.
    /// While runs are in hand at least the minimum, and `stakeAtRisk` for each, stays; a FROZEN agent withdraws nothing.
    /// @dev Checked in this order: agent exists (the registry's error), owner, FROZEN, amount. Reverts where the token refuses the owner:
    /// no other party is waiting.
    function unstake(uint256 agentId, uint256 amount) external;

    /// @notice Commits `stakeAtRisk` to one more run. Escrow only. Reverts unless `caller` is the agent's owner or agent wallet, the
    /// status allows claiming, and the free stake covers it.
    /// @return stakeAtRisk Base units committed.
    /// @dev Checked in this order: caller, agent id, agent exists (the registry's error), owner or wallet, status, free stake.
    function commit(uint256 agentId, address caller) external returns (uint256 stakeAtRisk);

    /// @notice Releases one run's commitment. Escrow only.
    /// @param completed Whether the run was approved and counts as a completion.
    function release(uint256 agentId, bool completed) external;

    /// @notice Takes one run's commitment from the stake and pays it to `recipient`, or credits it. Escrow only.
    /// @return slashed Base units taken.
    function slash(uint256 agentId, uint256 runId, address recipient) external returns (uint256 slashed);

    /// @notice All zero and UNVERIFIED for an agent that never staked, registered or not.
    function getAgent(uint256 agentId) external view returns (Agent memory);

    function statusOf(uint256 agentId) external view returns (AgentStatus);

    /// @notice Whether `caller` acts for the agent: its token's owner or its agent wallet. Reverts with the registry's error for an unknown
    /// agent.
    function isAgent(uint256 agentId, address caller) external view returns (bool);

    /// @notice The EIP-3009 nonce that lets `stakeWithAuthorization` do exactly this:
    /// keccak256(abi.encode(tag, chain id, agent stake, from, agent id, amount, salt)), where the tag is the keccak256 of
    /// `Stake(uint256 chainId,address agentStake,address from,uint256 agentId,uint256 amount,bytes32 salt)`.
    function stakeNonce(address from, uint256 agentId, uint256 amount, bytes32 salt) external view returns (bytes32);

    function parameters() external view returns (Parameters memory);

    function agentRegistry() external view returns (address);

    function runEscrow() external view returns (address);
}

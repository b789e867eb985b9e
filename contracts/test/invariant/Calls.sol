// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice Everything the parties can ask of the market's contracts.
enum Verb {
    CREATE,
    CREATE_AND_FUND,
    FUND,
    CANCEL,
    CLAIM,
    START,
    SUBMIT,
    REQUEST_REVISION,
    APPROVE,
    REJECT,
    FINALIZE,
    SLASH,
    STAKE,
    UNSTAKE,
    PAY_ESCROW_CREDIT,
    PAY_STAKE_CREDIT,
    COLLECT_FEES,
    SET_TREASURY,
    PAUSE,
    UNPAUSE,
    REGISTER,
    TRANSFER_AGENT,
    SET_AGENT_WALLET,
    UNSET_AGENT_WALLET
}

/// @notice How a call reaches the contract.
enum Path {
    /// The caller sends it.
    DIRECT,
    /// The caller signs it, the relayer sends it through the forwarder.
    FORWARDED,
    /// The caller sends it with a permit instead of an allowance.
    PERMIT,
    /// The caller signs a transfer authorization, a stranger sends it.
    AUTHORIZATION
}

/// @notice One call, as the handler makes it and the reference judges it. Each verb looks at the fields it needs.
struct Call {
    Verb verb;
    address caller;
    uint256 run;
    uint256 agent;
    /// Reward or stake, base units.
    uint256 amount;
    uint256 deadline;
    uint256 maxRevisions;
    /// What the caller believes: terms of a claim, `reviewBy` or `dueAt` of an answer.
    uint256 expected;
    /// Bytes of the text that goes with it.
    uint256 length;
    /// New treasury, an agent's new owner or wallet, or whose credit is paid.
    address account;
}

/// @dev What every token revert starts with: real USDC reverts with strings, and nothing here depends on which.
bytes4 constant TOKEN_REFUSES = 0x08c379a0;

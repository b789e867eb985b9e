// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721 } from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";

/// @notice Emits the events of a busy market in bulk, without doing what they report. A node that puts this code at the addresses of the
/// market's three contracts for a while has a history that the market could have had, at a small part of the gas.
/// @dev Assumes the default parameters: 5% fee, 10 USDC at risk, 7 days to submit and to review. Every count is small.
contract EventMill {
    uint256 private constant STAKE_AT_RISK = 10e6;
    uint256 private constant POSTERS = 50;

    /// @notice As the registry: agents 1 to `agents`.
    function register(uint256 agents) external {
        for (uint256 agent = 1; agent <= agents; ++agent) {
            emit IERC721.Transfer(address(0), _wallet(agent), agent);
            emit IAgentRegistry.Registered(agent, "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", _wallet(agent));
        }
    }

    /// @notice As the stake contract: `amount` base units behind each of agents 1 to `agents`.
    function stake(uint256 agents, uint256 amount) external {
        for (uint256 agent = 1; agent <= agents; ++agent) {
            emit IAgentStake.Staked(agent, _wallet(agent), amount, amount, 0);
        }
    }

    /// @notice As the escrow: `width` new runs, while those of the turn before are claimed, those of two turns before delivered, and those
    /// of three turns before paid. Six events a run, of turns 0, 1, 2, ...
    function turn(uint256 number, uint256 width, uint256 agents) external {
        uint256 last = number * width;
        for (uint256 run = last + 1; run <= last + width; ++run) {
            emit IRunEscrow.RunCreated(
                run,
                _poster(run),
                _reward(run),
                _fee(run),
                block.timestamp + 30 days,
                3,
                "ipfs://bafybeihkoviema7g3gxyt6la7vd5ho32ictqbilu3wnlo3rs7ewhnp7lly/run.json"
            );
            emit IRunEscrow.RunFunded(run, _reward(run) + _fee(run));
            if (number >= 1) _claim(run - width, agents);
            if (number >= 2) _submit(run - 2 * width);
            if (number >= 3) _approve(run - 3 * width, agents);
        }
    }

    function _claim(uint256 run, uint256 agents) private {
        uint256 agent = _agent(run, agents);
        emit IRunEscrow.RunClaimed(run, agent, _wallet(agent), STAKE_AT_RISK, block.timestamp + 7 days);
    }

    function _submit(uint256 run) private {
        emit IRunEscrow.RunStarted(run);
        emit IRunEscrow.RunSubmitted(
            run, block.timestamp + 7 days, "ipfs://bafybeif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu/work.tar"
        );
    }

    function _approve(uint256 run, uint256 agents) private {
        uint256 agent = _agent(run, agents);
        emit IRunEscrow.RunApproved(run, agent, _wallet(agent), _reward(run), _fee(run));
    }

    function _agent(uint256 run, uint256 agents) private pure returns (uint256) {
        return run % agents + 1;
    }

    function _wallet(uint256 agent) private pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0xa6e0000 + agent));
    }

    function _poster(uint256 run) private pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x905e0000 + run % POSTERS));
    }

    function _reward(uint256 run) private pure returns (uint256) {
        return 100e6 + run % 7919;
    }

    function _fee(uint256 run) private pure returns (uint256) {
        return _reward(run) * 500 / 10_000;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { Test } from "forge-std/Test.sol";

import { AgentStake } from "../../src/AgentStake.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { AgentRecord } from "../../src/types/AgentRecord.sol";
import { StubRegistry, StubToken } from "./Stubs.sol";

/// @notice committed <= stake, as an induction: from any record for which it holds, whatever is done, it holds after
/// @dev An agent that never staked has the zero record, for which it holds. This contract is the escrow.
contract AgentStakeSymbolicTest is Test {
    /// @dev A power of two, 8.39 USDC: what is committed is then a shift, which a solver sees through; a product it does not. The code is the
    /// same for every value, and what is compared with products stands in the ladder's and the unit tests.
    uint256 private constant AT_RISK = 1 << 23;
    uint256 private constant AGENT = 1;
    /// @dev Of the mapping from agent ids to records; `setUp` sees that it is right.
    uint256 private constant AGENTS_SLOT = 1;
    address private constant OWNER = address(0xA11CE);

    StubToken private token;
    AgentStake private agentStake;

    function setUp() public {
        token = new StubToken();
        agentStake = new AgentStake(
            address(token),
            address(new StubRegistry(OWNER)),
            address(this),
            address(0),
            IAgentStake.Parameters({
                minimumStake: 20e6, stakeAtRisk: AT_RISK, bannedAfterSlashes: 3, establishedAfter: 30 days, establishedCompletions: 5
            })
        );
        vm.store(address(agentStake), _slot(), bytes32(AgentRecord.unwrap(AgentRecord.wrap(0).withStake(7))));
        assert(agentStake.getAgent(AGENT).stake == 7);
    }

    /// @notice A claim commits one run's stake, out of stake that was free.
    function check_commit_takesOnlyFreeStake(uint256 word, uint40 time) public {
        AgentRecord was = _put(word);
        vm.warp(time);
        (bool ok,) = address(agentStake).call(abi.encodeCall(IAgentStake.commit, (AGENT, OWNER)));
        AgentRecord is_ = _get();
        assert(_holds(is_));
        assert(is_.stake() == was.stake());
        assert(is_.runsInHand() == (ok ? uint256(was.runsInHand()) + 1 : was.runsInHand()));
    }

    /// @notice The end of a run always frees its stake: it cannot be refused while a run is in hand.
    function check_release_alwaysFrees(uint256 word, bool completed) public {
        AgentRecord was = _put(word);
        vm.assume(was.runsInHand() > 0);
        vm.assume(was.completions() < type(uint32).max);
        (bool ok,) = address(agentStake).call(abi.encodeCall(IAgentStake.release, (AGENT, completed)));
        assert(ok);
        AgentRecord is_ = _get();
        assert(_holds(is_));
        assert(is_.stake() == was.stake() && is_.runsInHand() == was.runsInHand() - 1);
        assert(is_.completions() == was.completions() + (completed ? 1 : 0));
    }

    /// @notice A slash is always paid in full, whether the token pays at once or later.
    function check_slash_isAlwaysPaidInFull(uint256 word, address poster, bool refused) public {
        AgentRecord was = _put(word);
        vm.assume(was.runsInHand() > 0);
        vm.assume(was.slashes() < type(uint32).max);
        vm.assume(was.owed() <= type(uint56).max - AT_RISK);
        token.setRefusing(refused);
        (bool ok,) = address(agentStake).call(abi.encodeCall(IAgentStake.slash, (AGENT, 1, poster)));
        assert(ok);
        AgentRecord is_ = _get();
        assert(_holds(is_));
        assert(is_.stake() == was.stake() - AT_RISK && is_.runsInHand() == was.runsInHand() - 1);
        assert(is_.slashes() == was.slashes() + 1 && is_.owed() == was.owed() + AT_RISK);
        if (refused) assert(agentStake.creditOf(poster) == AT_RISK && token.payments() == 0);
        else assert(token.paidTo() == poster && token.paid() == AT_RISK && token.payments() == 1);
    }

    /// @notice Committed stake cannot leave, and what leaves goes to the owner alone.
    function check_unstake_leavesWhatIsCommitted(uint256 word, address caller, uint256 amount, uint40 time) public {
        AgentRecord was = _put(word);
        vm.assume(caller != address(0)); // which is the forwarder here, and no account
        vm.warp(time);
        vm.prank(caller);
        (bool ok,) = address(agentStake).call(abi.encodeCall(IAgentStake.unstake, (AGENT, amount)));
        AgentRecord is_ = _get();
        assert(_holds(is_));
        assert(is_.runsInHand() == was.runsInHand());
        if (!ok) return;
        assert(caller == OWNER && token.paidTo() == OWNER && token.paid() == amount && token.payments() == 1);
        assert(is_.stake() == was.stake() - amount);
    }

    /// @notice A deposit is added as it is, and pays down what is owed.
    function check_stake_addsWhatArrives(uint256 word, address caller, uint256 amount) public {
        AgentRecord was = _put(word);
        vm.assume(caller != address(0));
        vm.prank(caller);
        (bool ok,) = address(agentStake).call(abi.encodeCall(IAgentStake.stake, (AGENT, amount)));
        AgentRecord is_ = _get();
        assert(_holds(is_));
        if (!ok) return;
        assert(is_.stake() == was.stake() + amount && token.pulled() == amount);
        assert(is_.owed() == (amount < was.owed() ? was.owed() - amount : 0));
    }

    /// @notice Only the escrow commits, releases or slashes.
    function check_escrowOnly(address caller, uint256 word, bool completed) public {
        _put(word);
        vm.assume(caller != address(this));
        bytes[3] memory calls = [
            abi.encodeCall(IAgentStake.commit, (AGENT, OWNER)),
            abi.encodeCall(IAgentStake.release, (AGENT, completed)),
            abi.encodeCall(IAgentStake.slash, (AGENT, 1, caller))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(caller);
            (bool ok,) = address(agentStake).call(calls[i]);
            assert(!ok);
        }
    }

    /// @dev Unchecked, as 32 bits times 24 do not overflow.
    function _holds(AgentRecord record) private pure returns (bool) {
        unchecked {
            return uint256(record.runsInHand()) * AT_RISK <= record.stake();
        }
    }

    /// @dev Any record for which the induction's hypothesis holds.
    function _put(uint256 word) private returns (AgentRecord record) {
        record = AgentRecord.wrap(word);
        vm.assume(_holds(record));
        vm.store(address(agentStake), _slot(), bytes32(word));
    }

    function _get() private view returns (AgentRecord) {
        return AgentRecord.wrap(uint256(vm.load(address(agentStake), _slot())));
    }

    function _slot() private pure returns (bytes32) {
        return keccak256(abi.encode(AGENT, AGENTS_SLOT));
    }
}

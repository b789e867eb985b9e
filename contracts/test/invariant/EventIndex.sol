// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721 } from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";
import { VmSafe } from "forge-std/Vm.sol";

import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";

/// @notice What a reader knows that has read nothing but the events: the smallest possible indexer.
/// @dev Each run event is also held against the lifecycle diagram: it must come from a state that has such an arrow.
contract EventIndex {
    /// @dev What the events say about an agent.
    struct Facts {
        address owner;
        address wallet;
        uint256 stake;
        uint256 owed;
        uint256 committed;
        uint256 runsInHand;
        uint256 slashes;
        uint256 completions;
        uint256 stakedSince;
    }

    address private immutable ESCROW;
    address private immutable STAKES;
    address private immutable REGISTRY;
    uint256 private immutable MINIMUM_STAKE;

    IRunEscrow.Run[] private _runs;
    Facts[] private _agents;
    mapping(uint256 runId => uint256) private _held;
    mapping(uint256 runId => uint256) private _committed;
    mapping(address emitter => mapping(address account => uint256)) private _credits;
    mapping(uint256 runId => uint256) public deliveries;
    uint256 public uncollectedFees;
    address public treasury;
    bool public paused;

    error EventIndex_UnknownEvent(address emitter, bytes32 topic);
    error EventIndex_WrongOrder(uint256 runId, RunState found, bytes32 topic);
    error EventIndex_WrongAmount(uint256 runId, uint256 expected, uint256 told);

    /// @param minimumStake A constructor argument of the deployment, which no event tells.
    constructor(address escrow, address stakes, address registry, address treasury_, uint256 minimumStake) {
        (ESCROW, STAKES, REGISTRY, treasury, MINIMUM_STAKE) = (escrow, stakes, registry, treasury_, minimumStake);
    }

    function runCount() external view returns (uint256) {
        return _runs.length;
    }

    function agentCount() external view returns (uint256) {
        return _agents.length;
    }

    function runs(uint256[] calldata ids) external view returns (IRunEscrow.Run[] memory some) {
        some = new IRunEscrow.Run[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            some[i] = _runs[ids[i] - 1];
        }
    }

    function agents() external view returns (Facts[] memory) {
        return _agents;
    }

    function credits(address emitter, address[] calldata accounts) external view returns (uint256[] memory some) {
        some = new uint256[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            some[i] = _credits[emitter][accounts[i]];
        }
    }

    /// @notice Follows one transaction's events. Those of other contracts tell nothing here.
    function read(VmSafe.Log[] calldata logs) external {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == ESCROW) _escrowEvent(logs[i]);
            else if (logs[i].emitter == STAKES) _stakeEvent(logs[i]);
            else if (logs[i].emitter == REGISTRY) _registryEvent(logs[i]);
        }
    }

    function _escrowEvent(VmSafe.Log calldata log) private {
        bytes32 topic = log.topics[0];
        if (topic == IRunEscrow.RunCreated.selector) return _created(log);
        if (topic == ICustody.PayoutCredited.selector || topic == ICustody.CreditPaid.selector) return _credit(log);
        if (topic == IRunEscrow.FeesCollected.selector) {
            uncollectedFees -= abi.decode(log.data, (uint256));
            require(_account(log.topics[1]) == treasury, "fees went elsewhere");
        } else if (topic == IRunEscrow.TreasuryChanged.selector) {
            require(_account(log.topics[1]) == treasury, "another treasury was replaced");
            treasury = _account(log.topics[2]);
        } else if (topic == Pausable.Paused.selector) {
            paused = true;
        } else if (topic == Pausable.Unpaused.selector) {
            paused = false;
        } else {
            _runEvent(log, uint256(log.topics[1]));
        }
    }

    function _created(VmSafe.Log calldata log) private {
        IRunEscrow.Run storage it = _runs.push();
        require(uint256(log.topics[1]) == _runs.length, "a run id was skipped");
        it.poster = _account(log.topics[2]);
        (it.reward, it.fee, it.deadline, it.maxRevisions,) = abi.decode(log.data, (uint256, uint256, uint256, uint256, string));
    }

    function _runEvent(VmSafe.Log calldata log, uint256 id) private {
        bytes32 topic = log.topics[0];
        IRunEscrow.Run storage it = _runs[id - 1];
        if (topic == IRunEscrow.RunFunded.selector) {
            _leave(it, id, topic, RunState.DRAFT, RunState.DRAFT);
            it.state = RunState.OPEN;
            _held[id] = abi.decode(log.data, (uint256));
            _same(id, it.reward + it.fee, _held[id]);
        } else if (topic == IRunEscrow.RunCancelled.selector) {
            _leave(it, id, topic, RunState.DRAFT, RunState.OPEN);
            it.state = RunState.CANCELLED;
            _release(id, abi.decode(log.data, (uint256)));
        } else if (topic == IRunEscrow.RunClaimed.selector) {
            _leave(it, id, topic, RunState.OPEN, RunState.OPEN);
            (it.state, it.agentId, it.wallet) = (RunState.CLAIMED, uint256(log.topics[2]), _account(log.topics[3]));
            (_committed[id], it.dueAt) = abi.decode(log.data, (uint256, uint256));
            _agents[it.agentId - 1].committed += _committed[id];
            ++_agents[it.agentId - 1].runsInHand;
        } else if (topic == IRunEscrow.RunStarted.selector) {
            _leave(it, id, topic, RunState.CLAIMED, RunState.CLAIMED);
            it.state = RunState.IN_PROGRESS;
        } else if (topic == IRunEscrow.RunSubmitted.selector) {
            _leave(it, id, topic, RunState.IN_PROGRESS, RunState.REVISION_REQUESTED);
            (it.state, it.dueAt) = (RunState.SUBMITTED, 0);
            (it.reviewBy,) = abi.decode(log.data, (uint256, string));
            ++deliveries[id];
        } else if (topic == IRunEscrow.RevisionRequested.selector) {
            _leave(it, id, topic, RunState.SUBMITTED, RunState.SUBMITTED);
            (it.state, it.reviewBy) = (RunState.REVISION_REQUESTED, 0);
            (it.revisions, it.dueAt,) = abi.decode(log.data, (uint256, uint256, string));
        } else {
            _endEvent(log, id, it);
        }
    }

    function _endEvent(VmSafe.Log calldata log, uint256 id, IRunEscrow.Run storage it) private {
        bytes32 topic = log.topics[0];
        Facts storage facts = _agents[it.agentId - 1];
        _same(id, it.agentId, uint256(log.topics[2]));
        if (topic == IRunEscrow.RunApproved.selector || topic == IRunEscrow.RunFinalized.selector) {
            _leave(it, id, topic, RunState.SUBMITTED, RunState.SUBMITTED);
            (uint256 reward, uint256 fee) = abi.decode(log.data, (uint256, uint256));
            require(_account(log.topics[3]) == it.wallet, "another wallet was paid");
            _same(id, it.reward, reward);
            _release(id, reward + fee);
            it.state = RunState.APPROVED;
            uncollectedFees += fee;
            ++facts.completions;
        } else if (topic == IRunEscrow.RunRejected.selector) {
            _leave(it, id, topic, RunState.SUBMITTED, RunState.REVISION_REQUESTED);
            it.state = RunState.REJECTED;
            _release(id, abi.decode(log.data, (uint256)));
        } else if (topic == IRunEscrow.RunSlashed.selector) {
            _leave(it, id, topic, RunState.CLAIMED, RunState.IN_PROGRESS);
            it.state = RunState.SLASHED;
            (uint256 refund, uint256 slashed) = abi.decode(log.data, (uint256, uint256));
            _release(id, refund);
            _same(id, _committed[id], slashed);
            (facts.stake, facts.owed) = (facts.stake - slashed, facts.owed + slashed);
            ++facts.slashes;
            _markMinimum(facts, facts.stake + slashed);
        } else {
            revert EventIndex_UnknownEvent(log.emitter, topic);
        }
        (it.dueAt, it.reviewBy) = (0, 0);
        facts.committed -= _committed[id];
        --facts.runsInHand;
    }

    function _stakeEvent(VmSafe.Log calldata log) private {
        bytes32 topic = log.topics[0];
        if (topic == ICustody.PayoutCredited.selector || topic == ICustody.CreditPaid.selector) return _credit(log);
        Facts storage facts = _agents[uint256(log.topics[1]) - 1];
        uint256 before = facts.stake;
        uint256 amount;
        if (topic == IAgentStake.Staked.selector) {
            (amount, facts.stake, facts.owed) = abi.decode(log.data, (uint256, uint256, uint256));
            require(facts.stake == before + amount, "a deposit of another amount");
        } else if (topic == IAgentStake.Unstaked.selector) {
            (amount, facts.stake) = abi.decode(log.data, (uint256, uint256));
            require(facts.stake == before - amount, "a withdrawal of another amount");
            require(_account(log.topics[2]) == facts.owner, "stake went to somebody else than the owner");
        } else {
            revert EventIndex_UnknownEvent(log.emitter, topic);
        }
        _markMinimum(facts, before);
    }

    function _registryEvent(VmSafe.Log calldata log) private {
        bytes32 topic = log.topics[0];
        if (topic == IERC721.Transfer.selector) {
            uint256 id = uint256(log.topics[3]);
            if (log.topics[1] == 0) _agents.push();
            require(id <= _agents.length, "an agent id was skipped");
            _agents[id - 1].owner = _account(log.topics[2]);
        } else if (topic == IAgentRegistry.MetadataSet.selector) {
            (, bytes memory value) = abi.decode(log.data, (string, bytes));
            _agents[uint256(log.topics[1]) - 1].wallet = address(bytes20(value));
        }
    }

    function _credit(VmSafe.Log calldata log) private {
        uint256 amount = abi.decode(log.data, (uint256));
        if (log.topics[0] == ICustody.PayoutCredited.selector) _credits[log.emitter][_account(log.topics[2])] += amount;
        else _credits[log.emitter][_account(log.topics[1])] -= amount;
    }

    /// @dev A stake that crosses the minimum begins or ends the uninterrupted time.
    function _markMinimum(Facts storage facts, uint256 before) private {
        if (facts.stake < MINIMUM_STAKE) facts.stakedSince = 0;
        else if (before < MINIMUM_STAKE) facts.stakedSince = block.timestamp;
    }

    /// @dev What a run held leaves whole.
    function _release(uint256 id, uint256 amount) private {
        _same(id, _held[id], amount);
        _held[id] = 0;
    }

    function _leave(IRunEscrow.Run storage it, uint256 id, bytes32 topic, RunState either, RunState or_) private view {
        if (it.state != either && it.state != or_) revert EventIndex_WrongOrder(id, it.state, topic);
    }

    function _same(uint256 id, uint256 expected, uint256 told) private pure {
        if (expected != told) revert EventIndex_WrongAmount(id, expected, told);
    }

    function _account(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { StdAssertions } from "forge-std/StdAssertions.sol";

import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Call, Path, Verb } from "./Calls.sol";
import { EventIndex } from "./EventIndex.sol";
import { Market, MarketCalls } from "./MarketCalls.sol";
import { ReferenceMarket } from "./ReferenceMarket.sol";

/// @notice The parties, and the one way in which any of them calls the market: the reference judges the call first, so that a call it
/// accepts must succeed; then the reference does the same, the event index reads what was emitted, and every run's state is looked at.
abstract contract MarketActors is MarketCalls, StdAssertions {
    uint256 internal constant USDC = 1e6;
    uint256 internal constant ACCOUNTS = 11;
    uint256 internal constant AGENTS = 6;
    uint256 internal constant LIVE_RUNS = 12;
    /// @dev The row of `edges` above the states, for a run that was not there.
    uint256 internal constant NOT_THERE = 15;
    uint256 private constant FIRST_KEY = 0xC1A0;

    EventIndex public index;

    /// @dev Three posters, the third of whom owns an agent too; three agent owners; and others, who become owners, agent wallets or the
    /// treasury on the way, or remain strangers.
    address[] internal _accounts;
    /// @dev Runs that are not over, in no order, and the state each was last seen in.
    uint256[] internal _live;
    mapping(uint256 runId => uint256) private _seen;

    /// @notice Bit `16 x from + to` for each change of state that a run was seen to make.
    uint256 public edges;
    /// @notice How often a call succeeded, by verb and by how it came.
    mapping(Verb verb => mapping(Path path => uint256)) public done;

    constructor(Market memory market) {
        _market = market;
        rules = new ReferenceMarket(
            market.usdc,
            address(market.escrow),
            address(market.stakes),
            address(market.registry),
            address(market.forwarder),
            market.treasury,
            market.owner
        );
        index = new EventIndex(address(market.escrow), address(market.stakes), address(market.registry), market.treasury, 20 * USDC);
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            address account = vm.addr(FIRST_KEY + i);
            _keys[account] = FIRST_KEY + i;
            _accounts.push(account);
            // The third poster is often short of money.
            _mint(account, i == 2 ? 2000 * USDC : 200_000 * USDC);
        }
        // Agents 1 to 3 with owners of their own, agent 4 the third poster's; some can hold more runs than others.
        for (uint256 i = 3; i < 7; ++i) {
            Call memory call;
            (call.verb, call.caller) = (Verb.REGISTER, _accounts[i == 6 ? 2 : i]);
            _attempt(call, Path.DIRECT);
            (call.verb, call.agent, call.amount) = (Verb.STAKE, i - 2, 20 * USDC * (7 - i));
            _attempt(call, Path.DIRECT);
        }
    }

    function accounts() external view returns (address[] memory) {
        return _accounts;
    }

    function liveRuns() external view returns (uint256[] memory) {
        return _live;
    }

    // Calling

    /// @return Whether the rules allow the call; if they do, it was made.
    function _attempt(Call memory call, Path path) internal returns (bool) {
        if (rules.refusal(call) != bytes4(0)) return false;
        vm.recordLogs();
        (bool ok, bytes memory answer) = _send(call, path);
        if (!ok) _bubble(answer);
        rules.perform(call);
        index.read(vm.getRecordedLogs());
        uint256 touched = call.run;
        if (call.verb == Verb.CREATE || call.verb == Verb.CREATE_AND_FUND) {
            touched = rules.runCount();
            _contentLengths[touched] = call.length;
            _live.push(touched);
            _seen[touched] = NOT_THERE;
        }
        _look(touched);
        ++done[call.verb][path];
        return true;
    }

    // Choosing

    /// @dev Unrelated numbers out of one, each by its salt.
    function _roll(uint256 seed, string memory salt, uint256 sides) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt))) % sides;
    }

    function _someone(uint256 seed, string memory salt) internal view returns (address) {
        return _accounts[_roll(seed, salt, ACCOUNTS)];
    }

    /// @dev The verb on a run by an account that may usually call it and has just looked at the run.
    function _usual(Verb verb, uint256 id, uint256 seed) internal view returns (Call memory call) {
        IRunEscrow.Run memory run = rules.run(id);
        (call.verb, call.run, call.length) = (verb, id, 1 + _roll(seed, "length", 70));
        call.caller = run.poster;
        call.expected = run.reviewBy != 0 ? run.reviewBy : run.dueAt;
        if (verb == Verb.CLAIM) {
            call.agent = _roll(seed, "favourite", 2) == 0 ? 1 : 1 + _roll(seed, "agent", rules.agentCount());
            ReferenceMarket.Facts memory facts = rules.factsOf(call.agent);
            call.caller = facts.wallet != address(0) && _roll(seed, "actor", 2) == 0 ? facts.wallet : facts.owner;
            call.expected = rules.terms(id);
        } else if (verb == Verb.START || verb == Verb.SUBMIT) {
            bool byOwner = run.agentId != 0 && _roll(seed, "actor", 2) == 0;
            call.caller = byOwner ? rules.factsOf(run.agentId).owner : run.wallet;
        }
    }

    /// @dev The verb on the first run, from a random one on, on which the rules allow it.
    function _onSomeRun(Verb verb, uint256 seed) internal returns (bool) {
        return _onSomeRun(verb, seed, address(0));
    }

    /// @param caller Who calls instead of the usual caller; zero for no other.
    function _onSomeRun(Verb verb, uint256 seed, address caller) internal returns (bool) {
        uint256 count = _live.length;
        for (uint256 i = 0; i < count; ++i) {
            Call memory call = _usual(verb, _live[(seed % count + i) % count], seed);
            if (caller != address(0)) call.caller = caller;
            if (_attempt(call, _path(verb, seed))) return true;
        }
        return false;
    }

    /// @dev Everything can be signed for the relayer, except what belongs to the escrow's owner; what costs something has two more ways.
    function _path(Verb verb, uint256 seed) internal pure returns (Path) {
        bool pays = verb == Verb.CREATE_AND_FUND || verb == Verb.FUND || verb == Verb.STAKE;
        return Path(_roll(seed, "path", pays ? 4 : 2));
    }

    // Money that comes from nowhere

    function _mint(address to, uint256 amount) internal {
        if (_market.usdc.paused() || _market.usdc.isBlacklisted(to)) return;
        _market.usdc.mint(to, amount);
        rules.mint(to, amount);
    }

    // Looking

    /// @dev Records every change of state; only the run that was called may have changed. A run that is over is not looked at again here.
    function _look(uint256 touched) private {
        for (uint256 i = _live.length; i != 0; --i) {
            uint256 id = _live[i - 1];
            RunState state = _market.escrow.getRun(id).state;
            if (_seen[id] == uint256(state)) continue;
            assertEq(id, touched, "a run changed that nobody called");
            edges |= 1 << (16 * _seen[id] + uint256(state));
            _seen[id] = uint256(state);
            if (!_isOver(state)) continue;
            _live[i - 1] = _live[_live.length - 1];
            _live.pop();
        }
    }

    function _isOver(RunState state) private pure returns (bool) {
        return state == RunState.APPROVED || state == RunState.REJECTED || state == RunState.SLASHED || state == RunState.CANCELLED;
    }

    function _bubble(bytes memory reason) private pure {
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }
}

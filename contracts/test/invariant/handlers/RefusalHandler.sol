// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { RunState } from "../../../src/interfaces/IRunEscrow.sol";
import { Call, Path, Verb } from "../Calls.sol";
import { MarketActors } from "../MarketActors.sol";

/// @notice People who try what the rules refuse: an ordinary call with one thing wrong, or by the wrong person, or at the wrong time.
/// Each must be refused for the reason the rules give.
abstract contract RefusalHandler is MarketActors {
    uint256 private constant TRIES = 4;

    /// @notice How often a call was refused, by verb and reason.
    mapping(Verb verb => mapping(bytes4 selector => uint256)) public refused;

    error RefusalHandler_Accepted(Verb verb, bytes4 expected);
    error RefusalHandler_OtherReason(Verb verb, bytes4 expected, bytes answer);

    /// @dev Several at once: what is refused changes nothing.
    function tryRefused(uint256 seed) external {
        for (uint256 i = 0; i < TRIES; ++i) {
            _tryOnRun(seed ^ i);
        }
        _tryToOffer(seed);
        _tryOnStake(seed);
        _tryOnMoney(seed);
    }

    function _tryOnRun(uint256 seed) private {
        uint256 runs = rules.runCount();
        if (runs == 0) return;
        uint256 id = _live.length != 0 && _roll(seed, "over", 5) != 0 ? _live[_roll(seed, "run", _live.length)] : 1 + seed % runs;
        Verb verb = Verb(uint256(Verb.FUND) + _roll(seed, "verb", uint256(Verb.SLASH) - uint256(Verb.FUND) + 1));
        if (_roll(seed, "natural", 2) == 0) verb = _natural(rules.run(id).state, seed);
        Call memory call = _usual(verb, id, seed);
        uint256 twist = _roll(seed, "twist", 8);
        if (twist == 0 || twist > 5) call.caller = _someone(seed, "who");
        if (twist == 1) call.expected ^= 1;
        if (twist == 2) call.length = _roll(seed, "long", 2) * 2049;
        if (twist == 3) call.run = _roll(seed, "unknown", 2) * (runs + 1);
        if (twist == 4) call.agent = _roll(seed, "unknown", 2) == 0 ? rules.agentCount() + 1 : 1 << 48;
        _refuse(call);
    }

    /// @dev A verb that the state may accept, so that something else is at fault.
    function _natural(RunState state, uint256 seed) private pure returns (Verb) {
        if (state == RunState.DRAFT) return _roll(seed, "which", 2) == 0 ? Verb.FUND : Verb.CANCEL;
        if (state == RunState.OPEN) return _roll(seed, "which", 4) == 0 ? Verb.CANCEL : Verb.CLAIM;
        if (state == RunState.CLAIMED) return _roll(seed, "which", 2) == 0 ? Verb.START : Verb.SLASH;
        if (state == RunState.IN_PROGRESS) return _roll(seed, "which", 2) == 0 ? Verb.SUBMIT : Verb.SLASH;
        if (state == RunState.REVISION_REQUESTED) return _roll(seed, "which", 2) == 0 ? Verb.SUBMIT : Verb.REJECT;
        Verb[4] memory answers = [Verb.REQUEST_REVISION, Verb.APPROVE, Verb.REJECT, Verb.FINALIZE];
        return answers[_roll(seed, "which", 4)];
    }

    function _tryToOffer(uint256 seed) private {
        Call memory call;
        (call.verb, call.caller) = (_roll(seed, "verb", 2) == 0 ? Verb.CREATE : Verb.CREATE_AND_FUND, _accounts[_roll(seed, "who", 3)]);
        (call.amount, call.deadline) = (1 * USDC, vm.getBlockTimestamp() + 365 days);
        (call.maxRevisions, call.length) = (3, 2048);
        uint256 twist = _roll(seed, "twist", 8);
        if (twist == 0) call.amount = _roll(seed, "amount", 2) == 0 ? 1 * USDC - 1 : 1 << 56;
        if (twist == 1) call.amount = 2 ** 56 - 1; // no account has that much
        if (twist == 2) call.deadline = vm.getBlockTimestamp();
        if (twist == 3) call.deadline += 1;
        if (twist == 4) call.maxRevisions = 4;
        if (twist == 5) call.length = _roll(seed, "long", 2) * 2049;
        _refuse(call);
    }

    function _tryOnStake(uint256 seed) private {
        Call memory call;
        call.verb = _roll(seed, "verb", 2) == 0 ? Verb.STAKE : Verb.UNSTAKE;
        call.agent = 1 + _roll(seed, "agent", rules.agentCount());
        call.caller = rules.factsOf(call.agent).owner;
        call.amount = call.verb == Verb.STAKE ? 1 : rules.agent(call.agent).withdrawable + 1;
        uint256 twist = _roll(seed, "twist", 8);
        if (twist == 0) call.amount = 0;
        if (twist == 1) call.amount = _roll(seed, "amount", 2) == 0 ? 1 << 64 : type(uint256).max;
        if (twist == 2) call.amount = 1 << 63; // no account has that much
        if (twist == 3) call.agent = _roll(seed, "unknown", 2) == 0 ? 0 : rules.agentCount() + 1;
        if (twist == 4) call.agent = 1 << 48;
        if (twist == 5) call.caller = _someone(seed, "who");
        _refuse(call);
    }

    function _tryOnMoney(uint256 seed) private {
        Call memory call;
        call.verb = Verb(uint256(Verb.PAY_ESCROW_CREDIT) + _roll(seed, "verb", uint256(Verb.UNPAUSE) - uint256(Verb.PAY_ESCROW_CREDIT) + 1));
        call.caller = _roll(seed, "owner", 2) == 0 ? _market.owner : _someone(seed, "who");
        call.account = _someone(seed, "account");
        if (call.verb == Verb.SET_TREASURY) {
            call.account = _never(_roll(seed, "treasury", 6));
        }
        _refuse(call);
    }

    /// @dev Addresses that can be no treasury.
    function _never(uint256 which) private view returns (address) {
        address[6] memory never = [
            address(0),
            address(_market.usdc),
            address(_market.escrow),
            address(_market.stakes),
            address(_market.registry),
            address(_market.forwarder)
        ];
        return never[which];
    }

    function _refuse(Call memory call) private {
        bytes4 expected = rules.refusal(call);
        if (expected == bytes4(0)) return;
        (bool ok, bytes memory answer) = _send(call, Path.DIRECT);
        if (ok) revert RefusalHandler_Accepted(call.verb, expected);
        if (bytes4(answer) != expected) revert RefusalHandler_OtherReason(call.verb, expected, answer);
        ++refused[call.verb][expected];
    }
}

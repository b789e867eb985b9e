// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { TestUSDC } from "../../src/TestUSDC.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Call, TOKEN_REFUSES, Verb } from "./Calls.sol";

/// @notice The market as the specification tells it, in plain storage: who may do what and when, and where every base unit is.
/// @dev Shares no rule with the contracts: numbers are written out, and nothing here is asked of them. Of the token it asks only what the
/// token alone decides, its pause and its blacklist.
contract ReferenceMarket {
    uint256 private constant USDC = 1e6;
    uint256 private constant WEEK = 7 * 86_400;
    uint256 private constant STAKE_AT_RISK = 10 * USDC;
    uint256 private constant MINIMUM_STAKE = 20 * USDC;
    uint256 private constant LARGEST_REWARD = 72_057_594_037_927_935; // 2^56 - 1

    struct Facts {
        address owner;
        address wallet;
        uint256 stake;
        uint256 owed;
        uint256 runsInHand;
        uint256 slashes;
        uint256 completions;
        uint256 stakedSince;
    }

    TestUSDC private immutable TOKEN;
    address private immutable ESCROW;
    address private immutable STAKES;
    address private immutable REGISTRY;
    address private immutable FORWARDER;
    address private immutable OWNER;

    IRunEscrow.Run[] private _runs;
    Facts[] private _agents;

    /// @notice Base units by holder, the two contracts included.
    mapping(address account => uint256) public balanceOf;
    mapping(address account => uint256) public escrowCredit;
    mapping(address account => uint256) public stakeCredit;
    uint256 public fees;
    uint256 public minted;
    /// @notice Sent to a contract by mistake: no party's, and in no party's way.
    mapping(address account => uint256) public donated;
    address public treasury;
    bool public paused;

    constructor(TestUSDC token, address escrow, address stakes, address registry, address forwarder, address treasury_, address owner) {
        (TOKEN, ESCROW, STAKES, REGISTRY, FORWARDER, treasury, OWNER) = (token, escrow, stakes, registry, forwarder, treasury_, owner);
    }

    // What is

    function runCount() external view returns (uint256) {
        return _runs.length;
    }

    function agentCount() external view returns (uint256) {
        return _agents.length;
    }

    function run(uint256 id) external view returns (IRunEscrow.Run memory) {
        return _runs[id - 1];
    }

    function runs(uint256[] calldata ids) external view returns (IRunEscrow.Run[] memory some) {
        some = new IRunEscrow.Run[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            some[i] = _runs[ids[i] - 1];
        }
    }

    function factsOf(uint256 agentId) external view returns (Facts memory) {
        return _agents[agentId - 1];
    }

    /// @notice What `getAgent` must answer now.
    function agent(uint256 agentId) public view returns (IAgentStake.Agent memory answer) {
        Facts storage facts = _agents[agentId - 1];
        answer.status = _status(facts);
        answer.stake = facts.stake;
        answer.committed = STAKE_AT_RISK * facts.runsInHand;
        answer.free = facts.stake - answer.committed;
        answer.owed = facts.owed;
        answer.runsInHand = facts.runsInHand;
        answer.slashes = facts.slashes;
        answer.completions = facts.completions;
        answer.stakedSince = facts.stakedSince;
        answer.withdrawable = _withdrawable(facts);
    }

    function agents() external view returns (IAgentStake.Agent[] memory all) {
        all = new IAgentStake.Agent[](_agents.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = agent(i + 1);
        }
    }

    /// @notice What each account has, and what each contract owes it.
    function books(address[] calldata accounts)
        external
        view
        returns (uint256[] memory balances, uint256[] memory escrowCredits, uint256[] memory stakeCredits)
    {
        balances = new uint256[](accounts.length);
        escrowCredits = new uint256[](accounts.length);
        stakeCredits = new uint256[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            balances[i] = balanceOf[accounts[i]];
            escrowCredits[i] = escrowCredit[accounts[i]];
            stakeCredits[i] = stakeCredit[accounts[i]];
        }
    }

    /// @notice The word a claimant must have seen.
    function terms(uint256 id) public view returns (uint256) {
        IRunEscrow.Run storage it = _runs[id - 1];
        uint256 stage = it.state == RunState.DRAFT ? 0 : 1;
        if (it.state == RunState.CANCELLED) stage = 2;
        return uint256(uint160(it.poster)) * 2 ** 96 + it.reward * 2 ** 40 + it.deadline * 2 ** 4 + stage * 2 ** 2 + it.maxRevisions;
    }

    /// @notice Whether a slash by the poster, or anybody's finalizing, is possible now.
    function isSlashable(uint256 id) external view returns (bool) {
        RunState state = _runs[id - 1].state;
        return (state == RunState.CLAIMED || state == RunState.IN_PROGRESS) && block.timestamp >= _runs[id - 1].dueAt;
    }

    function isFinalizable(uint256 id) external view returns (bool) {
        return _runs[id - 1].state == RunState.SUBMITTED && block.timestamp >= _runs[id - 1].reviewBy;
    }

    /// @notice Whether the token lets `sender` move from `from` to `to`, money aside.
    function tokenMoves(address sender, address from, address to) public view returns (bool) {
        return !TOKEN.paused() && !TOKEN.isBlacklisted(sender) && !TOKEN.isBlacklisted(from) && !TOKEN.isBlacklisted(to);
    }

    // What may be done

    /// @notice The selector of the error that the call must revert with now; zero where it must succeed.
    function refusal(Call calldata call) external view returns (bytes4) {
        Verb verb = call.verb;
        if (verb == Verb.CREATE || verb == Verb.CREATE_AND_FUND) return _createRefusal(call);
        if (verb <= Verb.SLASH) return _runRefusal(call);
        if (verb == Verb.STAKE) return _stakeRefusal(call);
        if (verb == Verb.UNSTAKE) return _unstakeRefusal(call);
        if (verb == Verb.PAY_ESCROW_CREDIT) return _creditRefusal(call.account, escrowCredit[call.account], ESCROW);
        if (verb == Verb.PAY_STAKE_CREDIT) return _creditRefusal(call.account, stakeCredit[call.account], STAKES);
        if (verb == Verb.COLLECT_FEES) return fees == 0 || tokenMoves(ESCROW, ESCROW, treasury) ? bytes4(0) : TOKEN_REFUSES;
        if (verb <= Verb.UNPAUSE) return _ownerRefusal(call);
        return bytes4(0);
    }

    function _createRefusal(Call calldata call) private view returns (bytes4) {
        if (paused) return Pausable.EnforcedPause.selector;
        if (call.amount < 1 * USDC || call.amount > LARGEST_REWARD) return IRunEscrow.RunEscrow_RewardOutOfRange.selector;
        if (call.deadline <= block.timestamp || call.deadline > block.timestamp + 365 * 86_400) {
            return IRunEscrow.RunEscrow_DeadlineOutOfRange.selector;
        }
        if (call.maxRevisions > 3) return IRunEscrow.RunEscrow_TooManyRevisions.selector;
        if (call.length < 1 || call.length > 2048) return IRunEscrow.RunEscrow_LengthOutOfRange.selector;
        if (call.verb == Verb.CREATE) return bytes4(0);
        return _pullRefusal(call.caller, call.amount + call.amount * 5 / 100, ESCROW);
    }

    function _runRefusal(Call calldata call) private view returns (bytes4) {
        if (paused && (call.verb == Verb.FUND || call.verb == Verb.CLAIM)) return Pausable.EnforcedPause.selector;
        if (call.run == 0 || call.run > _runs.length) return IRunEscrow.RunEscrow_RunNotFound.selector;
        IRunEscrow.Run storage it = _runs[call.run - 1];
        if (call.verb == Verb.FUND) return _fundRefusal(call, it);
        if (call.verb == Verb.CANCEL) {
            if (call.caller != it.poster) return IRunEscrow.RunEscrow_NotPoster.selector;
            return it.state == RunState.DRAFT || it.state == RunState.OPEN ? bytes4(0) : IRunEscrow.RunEscrow_WrongState.selector;
        }
        if (call.verb == Verb.CLAIM) return _claimRefusal(call, it);
        if (call.verb == Verb.START || call.verb == Verb.SUBMIT) return _workRefusal(call, it);
        if (call.verb == Verb.REQUEST_REVISION || call.verb == Verb.APPROVE) return _answerRefusal(call, it);
        if (call.verb == Verb.REJECT) return _rejectRefusal(call, it);
        if (call.verb == Verb.FINALIZE) {
            if (it.state != RunState.SUBMITTED) return IRunEscrow.RunEscrow_WrongState.selector;
            return block.timestamp >= it.reviewBy ? bytes4(0) : IRunEscrow.RunEscrow_TooEarly.selector;
        }
        if (it.state != RunState.CLAIMED && it.state != RunState.IN_PROGRESS) return IRunEscrow.RunEscrow_WrongState.selector;
        return _expiryRefusal(call, it);
    }

    function _fundRefusal(Call calldata call, IRunEscrow.Run storage it) private view returns (bytes4) {
        if (call.caller != it.poster) return IRunEscrow.RunEscrow_NotPoster.selector;
        if (it.state != RunState.DRAFT) return IRunEscrow.RunEscrow_WrongState.selector;
        if (block.timestamp >= it.deadline) return IRunEscrow.RunEscrow_DeadlinePassed.selector;
        return _pullRefusal(call.caller, it.reward + it.fee, ESCROW);
    }

    function _claimRefusal(Call calldata call, IRunEscrow.Run storage it) private view returns (bytes4) {
        if (it.state != RunState.OPEN) return IRunEscrow.RunEscrow_WrongState.selector;
        if (block.timestamp >= it.deadline) return IRunEscrow.RunEscrow_DeadlinePassed.selector;
        if (call.expected != terms(call.run)) return IRunEscrow.RunEscrow_TermsChanged.selector;
        if (call.caller == it.poster) return IRunEscrow.RunEscrow_PosterCannotClaim.selector;
        if (call.agent >= 2 ** 48) return IAgentStake.AgentStake_AgentIdOutOfRange.selector;
        if (!_isRegistered(call.agent)) return IERC721Errors.ERC721NonexistentToken.selector;
        Facts storage facts = _agents[call.agent - 1];
        if (call.caller != facts.owner && call.caller != facts.wallet) return IAgentStake.AgentStake_NotAgent.selector;
        AgentStatus status = _status(facts);
        if (status != AgentStatus.PROVISIONAL && status != AgentStatus.ESTABLISHED) return IAgentStake.AgentStake_NotEligible.selector;
        if (facts.stake < STAKE_AT_RISK * (facts.runsInHand + 1)) return IAgentStake.AgentStake_StakeCommitted.selector;
        return bytes4(0);
    }

    function _workRefusal(Call calldata call, IRunEscrow.Run storage it) private view returns (bytes4) {
        bool ready = it.state == RunState.CLAIMED;
        if (call.verb == Verb.SUBMIT) ready = ready || it.state == RunState.IN_PROGRESS || it.state == RunState.REVISION_REQUESTED;
        if (!ready) return IRunEscrow.RunEscrow_WrongState.selector;
        if (call.caller != it.wallet && call.caller != _agents[it.agentId - 1].owner) return IRunEscrow.RunEscrow_NotRunAgent.selector;
        if (block.timestamp >= it.dueAt) return IRunEscrow.RunEscrow_TooLate.selector;
        if (call.verb == Verb.SUBMIT && (call.length < 1 || call.length > 2048)) return IRunEscrow.RunEscrow_LengthOutOfRange.selector;
        return bytes4(0);
    }

    function _answerRefusal(Call calldata call, IRunEscrow.Run storage it) private view returns (bytes4) {
        if (call.caller != it.poster) return IRunEscrow.RunEscrow_NotPoster.selector;
        if (it.state != RunState.SUBMITTED) return IRunEscrow.RunEscrow_WrongState.selector;
        if (call.expected != it.reviewBy) return IRunEscrow.RunEscrow_SubmissionChanged.selector;
        if (call.verb == Verb.APPROVE) return bytes4(0);
        if (block.timestamp >= it.reviewBy) return IRunEscrow.RunEscrow_TooLate.selector;
        if (it.revisions == it.maxRevisions) return IRunEscrow.RunEscrow_NoRevisionsLeft.selector;
        return call.length > 2048 ? IRunEscrow.RunEscrow_LengthOutOfRange.selector : bytes4(0);
    }

    function _rejectRefusal(Call calldata call, IRunEscrow.Run storage it) private view returns (bytes4) {
        if (it.state == RunState.SUBMITTED) {
            if (call.caller != it.poster) return IRunEscrow.RunEscrow_NotPoster.selector;
            if (call.expected != it.reviewBy) return IRunEscrow.RunEscrow_SubmissionChanged.selector;
            if (block.timestamp >= it.reviewBy) return IRunEscrow.RunEscrow_TooLate.selector;
            return it.revisions == it.maxRevisions ? bytes4(0) : IRunEscrow.RunEscrow_RevisionsLeft.selector;
        }
        if (it.state != RunState.REVISION_REQUESTED) return IRunEscrow.RunEscrow_WrongState.selector;
        if (call.expected != it.dueAt) return IRunEscrow.RunEscrow_SubmissionChanged.selector;
        return _expiryRefusal(call, it);
    }

    /// @dev The poster from `dueAt`, anybody else a week later.
    function _expiryRefusal(Call calldata call, IRunEscrow.Run storage it) private view returns (bytes4) {
        uint256 from = call.caller == it.poster ? it.dueAt : it.dueAt + WEEK;
        return block.timestamp >= from ? bytes4(0) : IRunEscrow.RunEscrow_TooEarly.selector;
    }

    function _stakeRefusal(Call calldata call) private view returns (bytes4) {
        if (call.agent >= 2 ** 48) return IAgentStake.AgentStake_AgentIdOutOfRange.selector;
        if (!_isRegistered(call.agent)) return IERC721Errors.ERC721NonexistentToken.selector;
        uint256 room = 2 ** 64 - 1 - _agents[call.agent - 1].stake;
        if (call.amount == 0 || call.amount > room) return IAgentStake.AgentStake_AmountOutOfRange.selector;
        return _pullRefusal(call.caller, call.amount, STAKES);
    }

    function _unstakeRefusal(Call calldata call) private view returns (bytes4) {
        if (!_isRegistered(call.agent)) return IERC721Errors.ERC721NonexistentToken.selector;
        Facts storage facts = _agents[call.agent - 1];
        if (call.caller != facts.owner) return IAgentStake.AgentStake_NotOwner.selector;
        if (_status(facts) == AgentStatus.FROZEN) return IAgentStake.AgentStake_Frozen.selector;
        if (call.amount == 0) return IAgentStake.AgentStake_AmountOutOfRange.selector;
        if (call.amount > _withdrawable(facts)) return IAgentStake.AgentStake_ExceedsWithdrawable.selector;
        return tokenMoves(STAKES, STAKES, facts.owner) ? bytes4(0) : TOKEN_REFUSES;
    }

    function _ownerRefusal(Call calldata call) private view returns (bytes4) {
        if (call.caller != OWNER) return Ownable.OwnableUnauthorizedAccount.selector;
        if (call.verb == Verb.PAUSE) return paused ? Pausable.EnforcedPause.selector : bytes4(0);
        if (call.verb == Verb.UNPAUSE) return paused ? bytes4(0) : Pausable.ExpectedPause.selector;
        address to = call.account;
        bool invalid = to == address(0) || to == address(TOKEN) || to == ESCROW || to == STAKES || to == REGISTRY || to == FORWARDER;
        return invalid ? IRunEscrow.RunEscrow_InvalidTreasury.selector : bytes4(0);
    }

    function _creditRefusal(address account, uint256 credit, address debtor) private view returns (bytes4) {
        if (credit == 0) return ICustody.Custody_NoCredit.selector;
        return tokenMoves(debtor, debtor, account) ? bytes4(0) : TOKEN_REFUSES;
    }

    function _pullRefusal(address from, uint256 amount, address to) private view returns (bytes4) {
        return tokenMoves(to, from, to) && balanceOf[from] >= amount ? bytes4(0) : TOKEN_REFUSES;
    }

    // What it does

    /// @notice Does what the call must have done. Only for calls that `refusal` does not refuse.
    function perform(Call calldata call) external {
        Verb verb = call.verb;
        if (verb == Verb.CREATE || verb == Verb.CREATE_AND_FUND) _create(call);
        else if (verb <= Verb.SLASH) _step(call, _runs[call.run - 1]);
        else if (verb == Verb.STAKE) _stake(call, _agents[call.agent - 1]);
        else if (verb == Verb.UNSTAKE) _unstake(call, _agents[call.agent - 1]);
        else if (verb == Verb.PAY_ESCROW_CREDIT) _payCredit(escrowCredit, ESCROW, call.account);
        else if (verb == Verb.PAY_STAKE_CREDIT) _payCredit(stakeCredit, STAKES, call.account);
        else if (verb == Verb.COLLECT_FEES) _collectFees();
        else if (verb == Verb.SET_TREASURY) treasury = call.account;
        else if (verb == Verb.PAUSE) paused = true;
        else if (verb == Verb.UNPAUSE) paused = false;
        else if (verb == Verb.REGISTER) _agents.push(Facts(call.caller, call.caller, 0, 0, 0, 0, 0, 0));
        else if (verb == Verb.TRANSFER_AGENT) (_agents[call.agent - 1].owner, _agents[call.agent - 1].wallet) = (call.account, address(0));
        else if (verb == Verb.SET_AGENT_WALLET) _agents[call.agent - 1].wallet = call.account;
        else _agents[call.agent - 1].wallet = address(0);
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        minted += amount;
        if (to == ESCROW || to == STAKES) donated[to] += amount;
    }

    function _create(Call calldata call) private {
        IRunEscrow.Run storage it = _runs.push();
        it.poster = call.caller;
        it.reward = call.amount;
        it.fee = call.amount * 5 / 100;
        it.deadline = call.deadline;
        it.maxRevisions = call.maxRevisions;
        if (call.verb == Verb.CREATE_AND_FUND) _fund(it);
    }

    function _fund(IRunEscrow.Run storage it) private {
        it.state = RunState.OPEN;
        _move(it.poster, ESCROW, it.reward + it.fee);
    }

    function _step(Call calldata call, IRunEscrow.Run storage it) private {
        if (call.verb == Verb.FUND) {
            _fund(it);
        } else if (call.verb == Verb.CANCEL) {
            if (it.state == RunState.OPEN) _refund(it);
            it.state = RunState.CANCELLED;
        } else if (call.verb == Verb.CLAIM) {
            (it.state, it.agentId, it.wallet, it.dueAt) = (RunState.CLAIMED, call.agent, call.caller, block.timestamp + WEEK);
            ++_agents[call.agent - 1].runsInHand;
        } else if (call.verb == Verb.START) {
            it.state = RunState.IN_PROGRESS;
        } else if (call.verb == Verb.SUBMIT) {
            (it.state, it.dueAt, it.reviewBy) = (RunState.SUBMITTED, 0, block.timestamp + WEEK);
        } else if (call.verb == Verb.REQUEST_REVISION) {
            (it.state, it.dueAt, it.reviewBy) = (RunState.REVISION_REQUESTED, block.timestamp + WEEK, 0);
            ++it.revisions;
        } else {
            _end(call.verb, it, _agents[it.agentId - 1]);
        }
    }

    function _end(Verb verb, IRunEscrow.Run storage it, Facts storage facts) private {
        (it.dueAt, it.reviewBy) = (0, 0);
        --facts.runsInHand;
        if (verb == Verb.APPROVE || verb == Verb.FINALIZE) {
            it.state = RunState.APPROVED;
            ++facts.completions;
            fees += it.fee;
            _payOut(escrowCredit, ESCROW, it.wallet, it.reward);
        } else if (verb == Verb.REJECT) {
            it.state = RunState.REJECTED;
            _refund(it);
        } else {
            it.state = RunState.SLASHED;
            facts.stake -= STAKE_AT_RISK;
            facts.owed += STAKE_AT_RISK;
            ++facts.slashes;
            if (facts.stake < MINIMUM_STAKE) facts.stakedSince = 0;
            _payOut(stakeCredit, STAKES, it.poster, STAKE_AT_RISK);
            _refund(it);
        }
    }

    function _stake(Call calldata call, Facts storage facts) private {
        if (facts.stake < MINIMUM_STAKE && facts.stake + call.amount >= MINIMUM_STAKE) facts.stakedSince = block.timestamp;
        facts.stake += call.amount;
        facts.owed -= call.amount < facts.owed ? call.amount : facts.owed;
        _move(call.caller, STAKES, call.amount);
    }

    function _unstake(Call calldata call, Facts storage facts) private {
        facts.stake -= call.amount;
        if (facts.stake < MINIMUM_STAKE) facts.stakedSince = 0;
        _move(STAKES, facts.owner, call.amount);
    }

    function _collectFees() private {
        _move(ESCROW, treasury, fees);
        fees = 0;
    }

    function _payCredit(mapping(address => uint256) storage credits, address debtor, address account) private {
        _move(debtor, account, credits[account]);
        credits[account] = 0;
    }

    function _refund(IRunEscrow.Run storage it) private {
        _payOut(escrowCredit, ESCROW, it.poster, it.reward + it.fee);
    }

    /// @dev What the token refuses to pay is owed.
    function _payOut(mapping(address => uint256) storage credits, address debtor, address account, uint256 amount) private {
        if (tokenMoves(debtor, debtor, account)) _move(debtor, account, amount);
        else credits[account] += amount;
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }

    // The trust ladder, as section 4 of the specification numbers it

    function _status(Facts storage facts) private view returns (AgentStatus) {
        if (facts.slashes >= 3) return AgentStatus.BANNED;
        if (facts.owed > 0) return AgentStatus.FROZEN;
        if (facts.stake < MINIMUM_STAKE) return AgentStatus.UNVERIFIED;
        if (block.timestamp - facts.stakedSince >= 30 * 86_400 && facts.completions >= 5) return AgentStatus.ESTABLISHED;
        return AgentStatus.PROVISIONAL;
    }

    /// @dev Stake less what its runs in hand hold back: ten for each, and never less than twenty.
    function _withdrawable(Facts storage facts) private view returns (uint256) {
        if (facts.slashes < 3 && facts.owed > 0) return 0;
        uint256 kept = facts.runsInHand * STAKE_AT_RISK;
        if (facts.runsInHand == 1) kept = MINIMUM_STAKE;
        return facts.stake > kept ? facts.stake - kept : 0;
    }

    function _isRegistered(uint256 agentId) private view returns (bool) {
        return agentId != 0 && agentId <= _agents.length;
    }
}

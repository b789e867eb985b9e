// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";
import { MessageHashUtils } from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import { AgentRegistry } from "../../src/AgentRegistry.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @notice The market of `tests/vectors/world.json` on the deployed contracts, made by playing its prelude.
/// The files are written by the Rust domain (`cargo run -p clawpay-domain --example vectors`); here the contracts are asked the same.
abstract contract VectorWorld is ClawPayTest {
    /// @dev A call that makes a situation, and must succeed.
    struct Step {
        string verb;
        address caller;
        uint256 time;
        uint256 agent;
        uint256 run;
        uint256 amount;
        uint256 deadline;
        uint256 maxRevisions;
        address account;
    }

    /// @dev What an attempt ends in, as the legend's word says it: a state or status by its position, or an error.
    struct Outcome {
        string word;
        bool refused;
        bytes4 selector;
        uint256 position;
    }

    uint256 private constant AGENT_WALLET_KEY = 1;

    address[] internal roles;
    string[] internal roleNames;
    uint256 internal start;
    mapping(bytes32 word => bytes4) private _selectors;
    mapping(bytes32 word => uint256) private _positionsPlusOne;

    function setUp() public override {
        string memory world = vm.readFile("tests/vectors/world.json");
        roles = vm.parseJsonAddressArray(world, ".roles.account");
        roleNames = vm.parseJsonStringArray(world, ".roles.name");
        owner = _roleNamed("escrowOwner");
        treasury = _roleNamed("treasury");
        start = vm.parseJsonUintArray(world, ".start.at")[0];
        _nameErrors();
        _nameStates(vm.parseJsonStringArray(world, ".states.name"), uint256(type(RunState).max));
        _nameStates(vm.parseJsonStringArray(world, ".statuses.name"), uint256(type(AgentStatus).max));

        usdc = new TestUSDC();
        forwarder = new ERC2771Forwarder("ClawPay Runs");
        registry = new AgentRegistry(address(forwarder));
        (agentStake, escrow) = deployPair(address(usdc), address(registry));
        for (uint256 i = 0; i < roles.length; ++i) {
            usdc.mint(roles[i], 1 << 80);
            vm.startPrank(roles[i]);
            usdc.approve(address(escrow), type(uint256).max);
            usdc.approve(address(agentStake), type(uint256).max);
            vm.stopPrank();
        }
        Step[] memory prelude = readSteps(world, ".prelude");
        assertGt(prelude.length, 40, "the prelude is missing");
        for (uint256 i = 0; i < prelude.length; ++i) {
            play(prelude[i]);
        }
        vm.warp(start);
    }

    // Reading

    function column(string memory json, string memory table, string memory name) internal pure returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, string.concat(table, ".", name));
    }

    function readSteps(string memory json, string memory table) internal view returns (Step[] memory steps) {
        string[] memory verbs = vm.parseJsonStringArray(json, string.concat(table, ".verb"));
        uint256[] memory callers = column(json, table, "caller");
        uint256[] memory times = column(json, table, "at");
        uint256[] memory agents = column(json, table, "agent");
        uint256[] memory runs = column(json, table, "run");
        uint256[] memory amounts = column(json, table, "amount");
        uint256[] memory deadlines = column(json, table, "deadline");
        uint256[] memory maxRevisions = column(json, table, "maxRevisions");
        address[] memory accounts = vm.parseJsonAddressArray(json, string.concat(table, ".account"));
        steps = new Step[](verbs.length);
        for (uint256 i = 0; i < verbs.length; ++i) {
            steps[i] = Step({
                verb: verbs[i],
                caller: roles[callers[i]],
                time: times[i],
                agent: agents[i],
                run: runs[i],
                amount: amounts[i],
                deadline: deadlines[i],
                maxRevisions: maxRevisions[i],
                account: accounts[i]
            });
        }
    }

    function readOutcomes(string memory json) internal view returns (Outcome[] memory outcomes) {
        string[] memory words = vm.parseJsonStringArray(json, ".outcomes.word");
        outcomes = new Outcome[](words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            bytes32 word = keccak256(bytes(words[i]));
            uint256 position = _positionsPlusOne[word];
            bytes4 selector = _selectors[word];
            assertTrue((position == 0) != (selector == 0), string.concat("neither a state nor an error: ", words[i]));
            outcomes[i] = Outcome(words[i], position == 0, selector, position == 0 ? 0 : position - 1);
        }
    }

    // Playing

    function play(Step memory step) internal {
        vm.warp(step.time);
        (address target, bytes memory data) = _call(step);
        (bool ok, bytes memory answer) = send(step.caller, target, data);
        assertTrue(ok, string.concat(step.verb, " is refused: ", vm.toString(answer)));
    }

    function send(address caller, address target, bytes memory data) internal returns (bool ok, bytes memory answer) {
        vm.prank(caller);
        (ok, answer) = target.call(data);
    }

    /// @dev A step of an existing run, as everybody would take it who has seen the run.
    function usual(string memory verb, uint256 runId, uint256 byAgent, uint256 expectedTerms, uint256 expectedDeadline)
        internal
        pure
        returns (bytes memory)
    {
        if (same(verb, "fund")) return abi.encodeCall(IRunEscrow.fund, (runId));
        if (same(verb, "cancel")) return abi.encodeCall(IRunEscrow.cancel, (runId));
        if (same(verb, "claim")) return abi.encodeCall(IRunEscrow.claim, (runId, byAgent, expectedTerms));
        if (same(verb, "start")) return abi.encodeCall(IRunEscrow.start, (runId));
        if (same(verb, "submit")) return abi.encodeCall(IRunEscrow.submit, (runId, text(1)));
        if (same(verb, "requestRevision")) return abi.encodeCall(IRunEscrow.requestRevision, (runId, expectedDeadline, text(0)));
        if (same(verb, "approve")) return abi.encodeCall(IRunEscrow.approve, (runId, expectedDeadline));
        if (same(verb, "reject")) return abi.encodeCall(IRunEscrow.reject, (runId, expectedDeadline));
        if (same(verb, "finalize")) return abi.encodeCall(IRunEscrow.finalize, (runId));
        if (same(verb, "slash")) return abi.encodeCall(IRunEscrow.slash, (runId));
        revert(string.concat("no verb is called ", verb));
    }

    function expectedDeadlineOf(uint256 runId) internal view returns (uint256) {
        IRunEscrow.Run memory run = escrow.getRun(runId);
        return run.reviewBy != 0 ? run.reviewBy : run.dueAt;
    }

    function text(uint256 length) internal pure returns (string memory) {
        bytes memory letters = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            letters[i] = "x";
        }
        return string(letters);
    }

    function same(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    /// @dev Whether a call ended as the domain says it must; the position of a success is for the caller to compare.
    function agrees(Outcome memory expected, bool ok, bytes memory answer) internal pure returns (bool) {
        return expected.refused ? !ok && bytes4(answer) == expected.selector : ok;
    }

    function disagreement(Outcome memory expected, bool ok, bytes memory answer) internal pure returns (string memory) {
        return string.concat(
            ": the domain says ", expected.word, ", the contract ", ok ? "succeeds" : string.concat("reverts with ", vm.toString(answer))
        );
    }

    function _call(Step memory step) private view returns (address, bytes memory) {
        string memory verb = step.verb;
        if (same(verb, "register")) return (address(registry), abi.encodeWithSignature("register()"));
        if (same(verb, "setWallet")) return (address(registry), _setWallet(step));
        if (same(verb, "transfer")) {
            return (address(registry), abi.encodeCall(registry.transferFrom, (step.caller, step.account, step.agent)));
        }
        if (same(verb, "stake")) return (address(agentStake), abi.encodeCall(IAgentStake.stake, (step.agent, step.amount)));
        if (same(verb, "unstake")) return (address(agentStake), abi.encodeCall(IAgentStake.unstake, (step.agent, step.amount)));
        if (same(verb, "create")) {
            return (address(escrow), abi.encodeCall(IRunEscrow.create, (step.amount, step.deadline, step.maxRevisions, text(1))));
        }
        if (same(verb, "createAndFund")) {
            return (address(escrow), abi.encodeCall(IRunEscrow.createAndFund, (step.amount, step.deadline, step.maxRevisions, text(1))));
        }
        return (address(escrow), usual(verb, step.run, step.agent, escrow.termsOf(step.run), expectedDeadlineOf(step.run)));
    }

    /// @dev The new wallet consents by signature.
    function _setWallet(Step memory step) private view returns (bytes memory) {
        assertEq(vm.addr(AGENT_WALLET_KEY), step.account, "the agent wallet is not the one whose key is known");
        uint256 deadline = vm.getBlockTimestamp();
        bytes32 consent = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                step.agent,
                step.account,
                step.caller,
                deadline
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ERC8004IdentityRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(AGENT_WALLET_KEY, MessageHashUtils.toTypedDataHash(domain, consent));
        return abi.encodeCall(registry.setAgentWallet, (step.agent, step.account, deadline, abi.encodePacked(r, s, v)));
    }

    /// @dev The words come in the order of the domain's enums; the contracts answer by position.
    function _nameStates(string[] memory words, uint256 last) private {
        assertEq(words.length, last + 1, "another number of words than the enum has values");
        for (uint256 i = 0; i < words.length; ++i) {
            _positionsPlusOne[keccak256(bytes(words[i]))] = i + 1;
        }
    }

    function _nameErrors() private {
        _name("RunEscrow_WrongState", IRunEscrow.RunEscrow_WrongState.selector);
        _name("RunEscrow_NotPoster", IRunEscrow.RunEscrow_NotPoster.selector);
        _name("RunEscrow_NotRunAgent", IRunEscrow.RunEscrow_NotRunAgent.selector);
        _name("RunEscrow_PosterCannotClaim", IRunEscrow.RunEscrow_PosterCannotClaim.selector);
        _name("RunEscrow_RewardOutOfRange", IRunEscrow.RunEscrow_RewardOutOfRange.selector);
        _name("RunEscrow_DeadlineOutOfRange", IRunEscrow.RunEscrow_DeadlineOutOfRange.selector);
        _name("RunEscrow_TooManyRevisions", IRunEscrow.RunEscrow_TooManyRevisions.selector);
        _name("RunEscrow_LengthOutOfRange", IRunEscrow.RunEscrow_LengthOutOfRange.selector);
        _name("RunEscrow_DeadlinePassed", IRunEscrow.RunEscrow_DeadlinePassed.selector);
        _name("RunEscrow_TermsChanged", IRunEscrow.RunEscrow_TermsChanged.selector);
        _name("RunEscrow_SubmissionChanged", IRunEscrow.RunEscrow_SubmissionChanged.selector);
        _name("RunEscrow_TooLate", IRunEscrow.RunEscrow_TooLate.selector);
        _name("RunEscrow_TooEarly", IRunEscrow.RunEscrow_TooEarly.selector);
        _name("RunEscrow_NoRevisionsLeft", IRunEscrow.RunEscrow_NoRevisionsLeft.selector);
        _name("RunEscrow_RevisionsLeft", IRunEscrow.RunEscrow_RevisionsLeft.selector);
        _name("AgentStake_NotAgent", IAgentStake.AgentStake_NotAgent.selector);
        _name("AgentStake_NotOwner", IAgentStake.AgentStake_NotOwner.selector);
        _name("AgentStake_NotEligible", IAgentStake.AgentStake_NotEligible.selector);
        _name("AgentStake_StakeCommitted", IAgentStake.AgentStake_StakeCommitted.selector);
        _name("AgentStake_AmountOutOfRange", IAgentStake.AgentStake_AmountOutOfRange.selector);
        _name("AgentStake_ExceedsWithdrawable", IAgentStake.AgentStake_ExceedsWithdrawable.selector);
        _name("AgentStake_Frozen", IAgentStake.AgentStake_Frozen.selector);
        _name("ERC721NonexistentToken", IERC721Errors.ERC721NonexistentToken.selector);
    }

    function _roleNamed(string memory name) private view returns (address) {
        for (uint256 i = 0; i < roles.length; ++i) {
            if (same(roleNames[i], name)) return roles[i];
        }
        revert(string.concat("nobody is called ", name));
    }

    function _name(string memory word, bytes4 selector) private {
        _selectors[keccak256(bytes(word))] = selector;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { Test } from "forge-std/Test.sol";

import { AgentRegistry } from "../../src/AgentRegistry.sol";
import { AgentStake } from "../../src/AgentStake.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";

/// @notice One market with the default parameters, a poster with money, an agent with stake, and a run in any state on request.
/// A test states only what differs.
abstract contract ClawPayTest is Test {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant USDC = 1e6;
    uint256 internal constant REWARD = 100 * USDC;
    uint256 internal constant FEE = 5 * USDC;
    uint256 internal constant AT_RISK = 10 * USDC;
    uint256 internal constant MINIMUM_STAKE = 20 * USDC;
    uint256 internal constant AGENT_STAKE = 100 * USDC;
    uint256 internal constant WEEK = 7 days;
    uint256 internal constant FUNDS = 1_000_000 * USDC;
    string internal constant CONTENT = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    string internal constant DELIVERABLE = "ipfs://bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    string internal constant FEEDBACK = "Please add tests for edge cases.";

    TestUSDC internal usdc;
    ERC2771Forwarder internal forwarder;
    AgentRegistry internal registry;
    AgentStake internal agentStake;
    RunEscrow internal escrow;

    address internal owner = makeAddr("owner");
    address internal treasury = makeAddr("treasury");
    address internal poster = makeAddr("poster");
    address internal wallet = makeAddr("wallet");
    address internal stranger = makeAddr("stranger");
    uint256 internal agentId;

    function setUp() public virtual {
        vm.warp(START);
        usdc = TestUSDC(deploy("TestUSDC", ""));
        openMarket();
    }

    /// @dev Everything but the token, which must be there.
    function openMarket() internal {
        forwarder = deployForwarder();
        registry = AgentRegistry(deploy("AgentRegistry", abi.encode(forwarder)));
        (agentStake, escrow) = deployPair(address(usdc), address(registry));
        agentId = registerAgent(wallet);
        fundAndApprove(poster);
        fundAndApprove(wallet);
        fundAndApprove(stranger);
        stakeFor(agentId, wallet, AGENT_STAKE);
    }

    // Deployment

    function escrowParameters() internal pure returns (IRunEscrow.Parameters memory) {
        return IRunEscrow.Parameters({
            feeBps: 500, minimumReward: 1 * USDC, submissionTimeout: WEEK, reviewPeriod: WEEK, maxRevisions: 3, maxDeadlineAhead: 365 days
        });
    }

    function stakeParameters() internal pure returns (IAgentStake.Parameters memory) {
        return IAgentStake.Parameters({
            minimumStake: MINIMUM_STAKE, stakeAtRisk: AT_RISK, bannedAfterSlashes: 3, establishedAfter: 30 days, establishedCompletions: 5
        });
    }

    /// @dev Deploys what ships: the artifact of the default profile, not what the tests' own profile makes of the same source. Mutation
    /// testing names a folder with artifacts of its own; coverage names none, and gets those of the running build.
    function deploy(string memory name, bytes memory arguments) internal returns (address) {
        string memory artifacts = vm.envOr("CLAWPAY_ARTIFACTS", string("target/forge/out/"));
        string memory contractName = bytes(artifacts).length == 0 ? string.concat(":", name) : string.concat("/", name, ".json");
        return vm.deployCode(string.concat(artifacts, name, ".sol", contractName), arguments);
    }

    function deployForwarder() internal virtual returns (ERC2771Forwarder) {
        return new ERC2771Forwarder("ClawPay Runs");
    }

    /// @dev The stake contract comes first and is told where the escrow is going to be.
    function deployPair(address token, address agentRegistry) internal returns (AgentStake stake_, RunEscrow escrow_) {
        address escrowAddress = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        stake_ = AgentStake(deploy("AgentStake", abi.encode(token, agentRegistry, escrowAddress, forwarder, stakeParameters())));
        escrow_ = RunEscrow(deploy("RunEscrow", abi.encode(token, stake_, forwarder, treasury, owner, escrowParameters())));
    }

    // Parties

    function registerAgent(address agentOwner) internal returns (uint256 id) {
        vm.prank(agentOwner);
        id = registry.register(CONTENT);
    }

    /// @dev The owner sets a wallet that consents with its key.
    function setAgentWallet(uint256 id, address agentOwner, address newWallet, uint256 key) internal {
        uint256 deadline = vm.getBlockTimestamp() + 5 minutes;
        bytes memory signature = signConsent(id, newWallet, agentOwner, deadline, key);
        vm.prank(agentOwner);
        registry.setAgentWallet(id, newWallet, deadline, signature);
    }

    function signConsent(uint256 id, address newWallet, address agentOwner, uint256 deadline, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, consentDigest(id, newWallet, agentOwner, deadline));
        return abi.encodePacked(r, s, v);
    }

    /// @dev What ERC-8004 wallets sign, written out independently of the registry.
    function consentDigest(uint256 id, address newWallet, address agentOwner, uint256 deadline) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ERC8004IdentityRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 message = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                id,
                newWallet,
                agentOwner,
                deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    function fundAndApprove(address account) internal {
        usdc.mint(account, FUNDS);
        vm.startPrank(account);
        IERC20(usdc).approve(address(escrow), type(uint256).max);
        IERC20(usdc).approve(address(agentStake), type(uint256).max);
        vm.stopPrank();
    }

    function stakeFor(uint256 id, address from, uint256 amount) internal {
        vm.prank(from);
        agentStake.stake(id, amount);
    }

    // Runs, by the state they are left in

    function claimDeadline() internal view returns (uint256) {
        return vm.getBlockTimestamp() + 30 days;
    }

    function draftRun() internal returns (uint256 runId) {
        vm.prank(poster);
        runId = escrow.create(REWARD, claimDeadline(), 3, CONTENT);
    }

    function openRun() internal returns (uint256 runId) {
        return openRun(3);
    }

    function openRun(uint256 maxRevisions) internal returns (uint256 runId) {
        vm.prank(poster);
        runId = escrow.createAndFund(REWARD, claimDeadline(), maxRevisions, CONTENT);
    }

    function claimedRun() internal returns (uint256 runId) {
        runId = openRun();
        claim(runId);
    }

    function startedRun() internal returns (uint256 runId) {
        runId = claimedRun();
        vm.prank(wallet);
        escrow.start(runId);
    }

    function submittedRun() internal returns (uint256 runId) {
        runId = claimedRun();
        submit(runId);
    }

    /// @dev Submitted, and the poster may reject at once.
    function rejectableRun() internal returns (uint256 runId) {
        runId = openRun(0);
        claim(runId);
        submit(runId);
    }

    function revisionRequestedRun() internal returns (uint256 runId) {
        runId = submittedRun();
        requestRevision(runId);
    }

    function approvedRun() internal returns (uint256 runId) {
        runId = submittedRun();
        approve(runId);
    }

    function rejectedRun() internal returns (uint256 runId) {
        runId = rejectableRun();
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.prank(poster);
        escrow.reject(runId, reviewBy);
    }

    /// @dev Leaves the clock one timeout later.
    function slashedRun() internal returns (uint256 runId) {
        runId = claimedRun();
        skip(WEEK);
        vm.prank(poster);
        escrow.slash(runId);
    }

    function cancelledRun() internal returns (uint256 runId) {
        runId = openRun();
        vm.prank(poster);
        escrow.cancel(runId);
    }

    function runIn(RunState state) internal returns (uint256 runId) {
        if (state == RunState.DRAFT) return draftRun();
        if (state == RunState.OPEN) return openRun();
        if (state == RunState.CLAIMED) return claimedRun();
        if (state == RunState.IN_PROGRESS) return startedRun();
        if (state == RunState.SUBMITTED) return submittedRun();
        if (state == RunState.APPROVED) return approvedRun();
        if (state == RunState.REVISION_REQUESTED) return revisionRequestedRun();
        if (state == RunState.REJECTED) return rejectedRun();
        if (state == RunState.SLASHED) return slashedRun();
        return cancelledRun();
    }

    // Steps by their usual caller

    function claim(uint256 runId) internal {
        uint256 terms = escrow.termsOf(runId);
        vm.prank(wallet);
        escrow.claim(runId, agentId, terms);
    }

    function submit(uint256 runId) internal {
        vm.prank(wallet);
        escrow.submit(runId, DELIVERABLE);
    }

    function requestRevision(uint256 runId) internal {
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.prank(poster);
        escrow.requestRevision(runId, reviewBy, FEEDBACK);
    }

    function approve(uint256 runId) internal {
        uint256 reviewBy = escrow.getRun(runId).reviewBy;
        vm.prank(poster);
        escrow.approve(runId, reviewBy);
    }

    // Assertions

    function stateOf(uint256 runId) internal view returns (RunState) {
        return escrow.getRun(runId).state;
    }

    function assertState(uint256 runId, RunState expected) internal view {
        assertEq(uint256(stateOf(runId)), uint256(expected), "run state");
    }

    function bit(RunState state) internal pure returns (uint256) {
        return 1 << uint256(state);
    }

    /// @dev The escrow refuses `call` from `caller` with exactly `reason`.
    function assertRefused(address caller, bytes memory call, bytes memory reason) internal {
        assertRefusedBy(address(escrow), caller, call, reason);
    }

    function assertRefusedBy(address target, address caller, bytes memory call, bytes memory reason) internal {
        vm.prank(caller);
        (bool ok, bytes memory returned) = target.call(call);
        assertFalse(ok, "not refused");
        assertEq(returned, reason, "refused for another reason");
    }

    /// @dev Reaches every state outside `accepted` in a fresh market; each must refuse the call that `call` makes for the run.
    function assertRefusedOutside(uint256 accepted, address caller, function(uint256) internal returns (bytes memory) call) internal {
        for (uint256 i = 0; i <= uint256(type(RunState).max); ++i) {
            RunState state = RunState(i);
            if (accepted & bit(state) != 0) continue;
            uint256 snapshot = vm.snapshotState();
            uint256 runId = runIn(state);
            assertRefused(caller, call(runId), abi.encodeWithSelector(IRunEscrow.RunEscrow_WrongState.selector, runId, state, accepted));
            assertTrue(vm.revertToState(snapshot));
        }
    }
}

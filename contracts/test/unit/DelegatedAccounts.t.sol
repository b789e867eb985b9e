// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";
import { BatchDelegate } from "../mocks/BatchDelegate.sol";
import { ConsentingDelegate } from "../mocks/ConsentingDelegate.sol";

/// @notice keys delegated by EIP-7702, whom the token takes for contracts
/// ├── to code without ERC-1271
/// │   ├── by allowance: as ever, in one transaction with the approval too
/// │   ├── permit of the key: passed over, the allowance decides
/// │   ├── authorization of the key: refused
/// │   ├── forwarder: takes the key
/// │   └── agent: owner as ever, agent wallet without a way to agree
/// ├── to code with ERC-1271
/// │   ├── permit, authorization, agent wallet: taken, of 65 bytes and of others
/// │   └── forwarder: takes the key
/// └── no longer delegated: the key counts again
contract DelegatedAccountsTest is Signing {
    string private constant INVALID = "TestUSDC: invalid signature";
    string private constant SHORT = "TestUSDC: transfer exceeds allowance";
    uint256 private posterKey = keyOf("poster");
    address private bare;
    address private consenting;

    function setUp() public override {
        super.setUp();
        bare = address(new BatchDelegate());
        consenting = address(new ConsentingDelegate());
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
    }

    function test_delegated_postsByAllowance() public {
        delegate(posterKey, bare);
        send(poster, address(usdc), abi.encodeCall(usdc.approve, (address(escrow), REWARD + FEE)));
        uint256 runId = openRun();
        assertState(runId, RunState.OPEN);
        assertEq(escrow.getRun(runId).poster, poster);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
    }

    function test_delegated_approvesAndPostsInOneTransaction() public {
        delegate(posterKey, bare);
        BatchDelegate.Call[] memory calls = new BatchDelegate.Call[](2);
        calls[0] = BatchDelegate.Call(address(usdc), abi.encodeCall(usdc.approve, (address(escrow), REWARD + FEE)));
        calls[1] = BatchDelegate.Call(address(escrow), abi.encodeCall(IRunEscrow.createAndFund, (REWARD, claimDeadline(), 3, CONTENT)));
        vm.prank(poster);
        BatchDelegate(poster).execute(calls);
        assertState(1, RunState.OPEN);
        assertEq(escrow.getRun(1).poster, poster);
        assertEq(usdc.allowance(poster, address(escrow)), 0);
    }

    function test_delegatedWithoutErc1271_permitsAreLeftToTheAllowance() public {
        uint256 draft = draftRun();
        delegate(posterKey, bare);
        ICustody.Permit memory p = permitFor(posterKey, poster, address(escrow), REWARD + FEE);
        bytes memory create = abi.encodeCall(IRunEscrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, p));
        bytes memory fund = abi.encodeCall(IRunEscrow.fundWithPermit, (draft, p));
        assertTokenRefuses(address(escrow), poster, create, SHORT);
        assertTokenRefuses(address(escrow), poster, fund, SHORT);

        send(poster, address(usdc), abi.encodeCall(usdc.approve, (address(escrow), 2 * (REWARD + FEE))));
        send(poster, address(escrow), create);
        send(poster, address(escrow), fund);
        assertState(draft, RunState.OPEN);
        assertState(draft + 1, RunState.OPEN);
        assertEq(usdc.nonces(poster), 0);
    }

    function test_delegatedWithoutErc1271_authorizationsAreRefused() public {
        uint256 draft = draftRun();
        delegate(posterKey, bare);
        assertTokenRefuses(address(escrow), stranger, createCall(false), INVALID);
        assertTokenRefuses(address(escrow), stranger, fundCall(draft, false), INVALID);
        assertTokenRefuses(address(agentStake), stranger, stakeCall(false), INVALID);
    }

    function test_delegatedWithErc1271_permitsAreTakenInAnyLength() public {
        delegate(posterKey, consenting);
        for (uint256 i = 0; i < 2; ++i) {
            ICustody.Permit memory p = permitFor(posterKey, poster, address(escrow), REWARD + FEE);
            if (i == 1) p.signature = abi.encodePacked(p.signature, "session");
            send(poster, address(escrow), abi.encodeCall(IRunEscrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, p)));
            assertState(i + 1, RunState.OPEN);
            assertEq(usdc.nonces(poster), i + 1);
        }
    }

    function test_delegatedWithErc1271_authorizationsAreTakenInAnyLength() public {
        uint256 draft = draftRun();
        delegate(posterKey, consenting);
        for (uint256 i = 0; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            bool long = i == 1;
            send(stranger, address(escrow), createCall(long));
            send(stranger, address(escrow), fundCall(draft, long));
            send(stranger, address(agentStake), stakeCall(long));
            assertState(draft, RunState.OPEN);
            assertEq(escrow.getRun(draft + 1).poster, poster);
            assertEq(usdc.balanceOf(poster), FUNDS - 2 * (REWARD + FEE) - AT_RISK);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_delegatedWithErc1271_anothersSignatureIsRefused() public {
        delegate(posterKey, consenting);
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), REWARD + FEE, createAndFundNonce(poster, offer, SALT));
        bytes memory call = abi.encodeCall(
            IRunEscrow.createAndFundWithAuthorization,
            (poster, REWARD, offer.deadline, 3, CONTENT, authorize(keyOf("stranger"), terms, SALT))
        );
        assertTokenRefuses(address(escrow), stranger, call, INVALID);
    }

    function test_delegated_theForwarderTakesTheKey() public {
        address[2] memory delegates = [bare, consenting];
        for (uint256 i = 0; i < 2; ++i) {
            delegate(posterKey, delegates[i]);
            bytes memory create = abi.encodeCall(IRunEscrow.create, (REWARD, claimDeadline(), 3, CONTENT));
            ERC2771Forwarder.ForwardRequestData memory request = forwarded(posterKey, poster, address(escrow), create);
            vm.prank(stranger);
            forwarder.execute(request);
            assertEq(escrow.getRun(i + 1).poster, poster);

            request = forwarded(posterKey, poster, address(escrow), create);
            request.signature = abi.encodePacked(request.signature, "session");
            assertRefusedBy(
                address(forwarder),
                stranger,
                abi.encodeCall(forwarder.execute, (request)),
                abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderInvalidSigner.selector, address(0), poster)
            );
        }
    }

    function test_delegated_isAnAgent() public {
        delegate(keyOf("wallet"), bare);
        vm.prank(poster);
        usdc.approve(address(escrow), REWARD + FEE);
        uint256 runId = claimedRun();
        assertEq(escrow.getRun(runId).wallet, wallet);
        submit(runId);
        uint256 before = usdc.balanceOf(wallet);
        approve(runId);
        assertEq(usdc.balanceOf(wallet) - before, REWARD);
        send(wallet, address(agentStake), abi.encodeCall(IAgentStake.unstake, (agentId, AGENT_STAKE)));
        assertEq(usdc.balanceOf(wallet) - before, REWARD + AGENT_STAKE);
        send(wallet, address(registry), abi.encodeWithSignature("register()"));
        assertEq(registry.ownerOf(agentId + 1), wallet, "minted without asking the account's code");
    }

    function test_delegated_agreesToBeAnAgentWalletByItsCodeAlone() public {
        (address hot, uint256 hotKey) = makeAddrAndKey("hot wallet");
        bytes memory consent = signConsent(agentId, hot, wallet, START, hotKey);
        bytes memory call = abi.encodeCall(IAgentRegistry.setAgentWallet, (agentId, hot, START, consent));
        delegate(hotKey, bare);
        assertRefusedBy(
            address(registry), wallet, call, abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidSignature.selector, hot)
        );
        delegate(hotKey, consenting);
        send(wallet, address(registry), call);
        assertEq(registry.getAgentWallet(agentId), hot);
    }

    function test_delegated_noLongerTheKeyCountsAgain() public {
        delegate(posterKey, bare);
        assertTokenRefuses(address(escrow), stranger, createCall(false), INVALID);
        delegate(posterKey, address(0));
        assertEq(poster.code.length, 0);
        send(stranger, address(escrow), createCall(false));
        assertState(1, RunState.OPEN);
    }

    /// @dev Delegations take effect with a transaction; this one does nothing else.
    function delegate(uint256 key, address code) private {
        vm.signAndAttachDelegation(code, key);
        send(stranger, address(usdc), abi.encodeCall(usdc.approve, (stranger, 0)));
        address account = vm.addr(key);
        if (code != address(0)) assertEq(account.code, abi.encodePacked(hex"ef0100", code), "not delegated");
    }

    function createCall(bool long) private view returns (bytes memory) {
        Offer memory offer = standardOffer();
        ICustody.Authorization memory a = authorization(address(escrow), REWARD + FEE, createAndFundNonce(poster, offer, SALT), long);
        return abi.encodeCall(IRunEscrow.createAndFundWithAuthorization, (poster, REWARD, offer.deadline, 3, CONTENT, a));
    }

    function fundCall(uint256 runId, bool long) private view returns (bytes memory) {
        bytes32 nonce = fundNonce(poster, runId, standardOffer(), SALT);
        return abi.encodeCall(IRunEscrow.fundWithAuthorization, (runId, authorization(address(escrow), REWARD + FEE, nonce, long)));
    }

    function stakeCall(bool long) private view returns (bytes memory) {
        bytes32 nonce = stakeNonce(poster, agentId, AT_RISK, SALT);
        return abi.encodeCall(
            IAgentStake.stakeWithAuthorization, (poster, agentId, AT_RISK, authorization(address(agentStake), AT_RISK, nonce, long))
        );
    }

    function authorization(address to, uint256 value, bytes32 nonce, bool long) private view returns (ICustody.Authorization memory a) {
        a = authorize(posterKey, termsFor(poster, to, value, nonce), SALT);
        if (long) a.signature = abi.encodePacked(a.signature, "session");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";
import { PairWallet } from "../mocks/PairWallet.sol";
import { SigningWallet } from "../mocks/SigningWallet.sol";

/// @notice wallets that are contracts, one with signatures of 65 bytes, one with 130
/// ├── poster
/// │   ├── by allowance, by permit, by authorization: an OPEN run, refunded to the wallet, reviewed by the wallet
/// │   └── signed by another, by half of its signers or in the wrong order: refused
/// ├── agent: registers without a callback, stakes in all three ways, claims, delivers, is paid, withdraws
/// ├── agent wallet: agrees by ERC-1271
/// ├── 65 bytes reach the token as v, r, s, any other length as bytes
/// └── the forwarder: takes keys alone
contract ContractWalletsTest is Signing {
    bytes4 private constant PERMIT_VRS = bytes4(keccak256("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"));
    bytes4 private constant PERMIT_BYTES = bytes4(keccak256("permit(address,address,uint256,uint256,bytes)"));
    bytes4 private constant RECEIVE_VRS =
        bytes4(keccak256("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"));
    bytes4 private constant RECEIVE_BYTES =
        bytes4(keccak256("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"));
    uint256 private constant AMOUNT = 20 * USDC;

    address private signer;
    uint256 private key;
    uint256 private secondKey;
    /// @dev Signatures of 65 bytes, and of 130.
    address[2] private wallets;

    function setUp() public override {
        super.setUp();
        address second;
        (signer, key) = makeAddrAndKey("signer");
        (second, secondKey) = makeAddrAndKey("second signer");
        wallets = [address(new SigningWallet(signer)), address(new PairWallet(signer, second))];
        usdc.mint(wallets[0], FUNDS);
        usdc.mint(wallets[1], FUNDS);
    }

    function test_contractWallet_postsByAllowanceAndReviews() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            execute(account, address(usdc), abi.encodeCall(usdc.approve, (address(escrow), 2 * (REWARD + FEE))));
            uint256 cancelled = post(account, abi.encodeCall(IRunEscrow.createAndFund, (REWARD, claimDeadline(), 3, CONTENT)));
            assertEq(escrow.getRun(cancelled).poster, account);
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.cancel, (cancelled)));
            assertEq(usdc.balanceOf(account), FUNDS);

            uint256 paid = post(account, abi.encodeCall(IRunEscrow.create, (REWARD, claimDeadline(), 3, CONTENT)));
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.fund, (paid)));
            claim(paid);
            submit(paid);
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.requestRevision, (paid, START + WEEK, FEEDBACK)));
            submit(paid);
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.approve, (paid, START + WEEK)));
            assertState(paid, RunState.APPROVED);
            assertEq(usdc.balanceOf(account), FUNDS - REWARD - FEE);
        }
    }

    function test_contractWallet_postsByPermit() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            ICustody.Permit memory p = permit(account, address(escrow), REWARD + FEE);
            vm.expectCall(address(usdc), abi.encodePacked(i == 0 ? PERMIT_VRS : PERMIT_BYTES), 1);
            uint256 runId = post(account, abi.encodeCall(IRunEscrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, p)));
            assertState(runId, RunState.OPEN);
            assertEq(escrow.getRun(runId).poster, account);
            assertEq(usdc.nonces(account), 1);
            assertEq(usdc.allowance(account, address(escrow)), 0);
        }
    }

    function test_contractWallet_fundsByPermit() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            uint256 runId = post(account, abi.encodeCall(IRunEscrow.create, (REWARD, claimDeadline(), 3, CONTENT)));
            ICustody.Permit memory p = permit(account, address(escrow), REWARD + FEE);
            vm.expectCall(address(usdc), abi.encodePacked(i == 0 ? PERMIT_VRS : PERMIT_BYTES), 1);
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.fundWithPermit, (runId, p)));
            assertState(runId, RunState.OPEN);
            assertEq(usdc.balanceOf(account), FUNDS - REWARD - FEE);
        }
    }

    function test_contractWallet_postsByAuthorizationWhoeverSendsIt() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            Offer memory offer = standardOffer();
            ICustody.Authorization memory a =
                authorization(account, address(escrow), REWARD + FEE, createAndFundNonce(account, offer, SALT));
            vm.expectCall(address(usdc), abi.encodePacked(i == 0 ? RECEIVE_VRS : RECEIVE_BYTES), 1);
            vm.prank(stranger);
            uint256 runId = escrow.createAndFundWithAuthorization(account, REWARD, offer.deadline, 3, CONTENT, a);
            assertState(runId, RunState.OPEN);
            assertEq(escrow.getRun(runId).poster, account);
            assertEq(usdc.balanceOf(account), FUNDS - REWARD - FEE);
        }
    }

    function test_contractWallet_fundsByAuthorizationWhoeverSendsIt() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            uint256 runId = post(account, abi.encodeCall(IRunEscrow.create, (REWARD, claimDeadline(), 3, CONTENT)));
            bytes32 nonce = fundNonce(account, runId, standardOffer(), SALT);
            ICustody.Authorization memory a = authorization(account, address(escrow), REWARD + FEE, nonce);
            vm.expectCall(address(usdc), abi.encodePacked(i == 0 ? RECEIVE_VRS : RECEIVE_BYTES), 1);
            vm.prank(stranger);
            escrow.fundWithAuthorization(runId, a);
            assertState(runId, RunState.OPEN);
        }
    }

    function test_contractWallet_stakesInAllThreeWays() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            uint256 id = registerAgent(wallet);
            execute(account, address(usdc), abi.encodeCall(usdc.approve, (address(agentStake), AMOUNT)));
            execute(account, address(agentStake), abi.encodeCall(IAgentStake.stake, (id, AMOUNT)));

            ICustody.Permit memory p = permit(account, address(agentStake), AMOUNT);
            vm.expectCall(address(usdc), abi.encodePacked(i == 0 ? PERMIT_VRS : PERMIT_BYTES), 1);
            execute(account, address(agentStake), abi.encodeCall(IAgentStake.stakeWithPermit, (id, AMOUNT, p)));

            ICustody.Authorization memory a = authorization(account, address(agentStake), AMOUNT, stakeNonce(account, id, AMOUNT, SALT));
            vm.expectCall(address(usdc), abi.encodePacked(i == 0 ? RECEIVE_VRS : RECEIVE_BYTES), 1);
            vm.expectEmit(address(agentStake));
            emit IAgentStake.Staked(id, account, AMOUNT, 3 * AMOUNT, 0);
            vm.prank(stranger);
            agentStake.stakeWithAuthorization(account, id, AMOUNT, a);
            assertEq(usdc.balanceOf(account), FUNDS - 3 * AMOUNT);
        }
    }

    function test_contractWallet_isRefusedOnWhatItDidNotSign() public {
        Offer memory offer = standardOffer();
        bytes32[2] memory digests;
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 nonce = createAndFundNonce(wallets[i], offer, SALT);
            digests[i] = receiveDigest(termsFor(wallets[i], address(escrow), REWARD + FEE, nonce));
        }
        assertNotPosted(wallets[0], sign(secondKey, digests[0]));
        assertNotPosted(wallets[0], sign(key, digests[1]));
        assertNotPosted(wallets[0], malleated(sign(key, digests[0])));
        assertNotPosted(wallets[0], abi.encodePacked(sign(key, digests[0]), sign(secondKey, digests[0])));
        assertNotPosted(wallets[1], sign(key, digests[1]));
        assertNotPosted(wallets[1], sign(secondKey, digests[1]));
        assertNotPosted(wallets[1], abi.encodePacked(sign(secondKey, digests[1]), sign(key, digests[1])));
        assertNotPosted(wallets[1], abi.encodePacked(sign(key, digests[0]), sign(secondKey, digests[0])));
        assertNotPosted(wallets[1], "");
        assertNotPosted(address(escrow), sign(key, digests[0])); // code that knows nothing of ERC-1271
        assertEq(escrow.runCount(), 0);
    }

    function test_contractWallet_isRefusedOnAPermitItDidNotSign() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            ICustody.Permit memory p = permit(account, address(escrow), REWARD + FEE);
            p.deadline += 1;
            bytes memory call = abi.encodeCall(IRunEscrow.createAndFundWithPermit, (REWARD, claimDeadline(), 3, CONTENT, p));
            assertTokenRefuses(address(escrow), account, call, "TestUSDC: transfer exceeds allowance");
        }
    }

    function test_contractWallet_isAnAgentFromRegistrationToWithdrawal() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            execute(account, address(registry), abi.encodeWithSignature("register(string)", CONTENT));
            uint256 id = registry.agentCount();
            assertEq(registry.ownerOf(id), account);
            ICustody.Authorization memory a = authorization(account, address(agentStake), AMOUNT, stakeNonce(account, id, AMOUNT, SALT));
            vm.prank(stranger);
            agentStake.stakeWithAuthorization(account, id, AMOUNT, a);

            uint256 runId = openRun();
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.claim, (runId, id, escrow.termsOf(runId))));
            assertEq(escrow.getRun(runId).wallet, account);
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.start, (runId)));
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.submit, (runId, DELIVERABLE)));
            approve(runId);
            execute(account, address(agentStake), abi.encodeCall(IAgentStake.unstake, (id, AMOUNT)));
            assertEq(usdc.balanceOf(account), FUNDS + REWARD);
        }
    }

    function test_contractWallet_agreesToBeAnAgentWallet() public {
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            bytes memory consent = consentOf(account, consentDigest(agentId, account, wallet, START));
            vm.prank(wallet);
            registry.setAgentWallet(agentId, account, START, consent);
            assertTrue(agentStake.isAgent(agentId, account));
            uint256 runId = openRun();
            execute(account, address(escrow), abi.encodeCall(IRunEscrow.claim, (runId, agentId, escrow.termsOf(runId))));
            assertEq(escrow.getRun(runId).wallet, account);
        }
        bytes memory half = sign(key, consentDigest(agentId, wallets[1], wallet, START));
        assertRefusedBy(
            address(registry),
            wallet,
            abi.encodeCall(IAgentRegistry.setAgentWallet, (agentId, wallets[1], START, half)),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidSignature.selector, wallets[1])
        );
    }

    function test_contractWallet_hasNoUseForTheForwarder() public {
        bytes memory create = abi.encodeCall(IRunEscrow.create, (REWARD, claimDeadline(), 3, CONTENT));
        for (uint256 i = 0; i < 2; ++i) {
            address account = wallets[i];
            ERC2771Forwarder.ForwardRequestData memory request = forwarded(key, account, address(escrow), create);
            address recovered = signer;
            if (i == 1) {
                request.signature = consentOf(account, forwardDigest(request, 0));
                recovered = address(0);
            }
            assertRefusedBy(
                address(forwarder),
                stranger,
                abi.encodeCall(forwarder.execute, (request)),
                abi.encodeWithSelector(ERC2771Forwarder.ERC2771ForwarderInvalidSigner.selector, recovered, account)
            );
        }
    }

    function execute(address account, address target, bytes memory call) private returns (bytes memory) {
        vm.prank(signer);
        return SigningWallet(account).execute(target, call);
    }

    function post(address account, bytes memory call) private returns (uint256 runId) {
        return abi.decode(execute(account, address(escrow), call), (uint256));
    }

    function consentOf(address account, bytes32 digest) private view returns (bytes memory) {
        bytes memory first = sign(key, digest);
        return account == wallets[0] ? first : abi.encodePacked(first, sign(secondKey, digest));
    }

    function permit(address account, address spender, uint256 value) private view returns (ICustody.Permit memory p) {
        p.deadline = START + VALID_FOR;
        p.signature = consentOf(account, permitDigest(account, spender, value, usdc.nonces(account), p.deadline));
    }

    function authorization(address account, address to, uint256 value, bytes32 nonce) private view returns (ICustody.Authorization memory) {
        TokenAuthorization memory terms = termsFor(account, to, value, nonce);
        return authorized(terms, SALT, consentOf(account, receiveDigest(terms)));
    }

    function assertNotPosted(address account, bytes memory signature) private {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(account, address(escrow), REWARD + FEE, createAndFundNonce(account, offer, SALT));
        bytes memory call = abi.encodeCall(
            IRunEscrow.createAndFundWithAuthorization, (account, REWARD, offer.deadline, 3, CONTENT, authorized(terms, SALT, signature))
        );
        assertTokenRefuses(address(escrow), stranger, call, "TestUSDC: invalid signature");
    }
}

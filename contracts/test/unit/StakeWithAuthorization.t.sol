// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC3009 } from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { AgentStake } from "../../src/AgentStake.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { AgentStatus, IAgentStake } from "../../src/interfaces/IAgentStake.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { Signing } from "../base/Signing.sol";
import { SkimmingUSDC } from "../mocks/SkimmingUSDC.sol";

/// @notice stakeWithAuthorization
/// ├── what stake refuses: refused alike
/// ├── agent, amount, payer, salt, time, chain or contract other than signed: refused
/// ├── signed for another verb, for a transfer, or for the escrow: refused, as its own nonce is at the escrow
/// ├── used before: refused
/// ├── payer blacklisted, token paused: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise, whichever account sends it, be the escrow paused: the agent's stake grows by the signer's money
contract StakeWithAuthorizationTest is Signing {
    string private constant INVALID = "TestUSDC: invalid signature";
    uint256 private constant AMOUNT = 20 * USDC;
    uint256 private walletKey = keyOf("wallet");
    uint256 private newcomer;
    uint256 private funds;

    function setUp() public override {
        super.setUp();
        newcomer = registerAgent(wallet);
        vm.prank(wallet);
        usdc.approve(address(agentStake), 0);
        funds = usdc.balanceOf(wallet);
    }

    function test_stakeWithAuthorization_stakesTheSignersMoneyWhoeverSendsIt() public {
        bytes32 nonce = stakeNonce(wallet, newcomer, AMOUNT, SALT);
        bytes memory call = signedCall(newcomer, AMOUNT);
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(newcomer, wallet, AMOUNT, AMOUNT, 0);
        vm.expectEmit(address(usdc));
        emit IERC3009.AuthorizationUsed(wallet, nonce);
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(wallet, address(agentStake), AMOUNT);
        send(stranger, address(agentStake), call);

        IAgentStake.Agent memory agent = agentStake.getAgent(newcomer);
        assertEq(agent.stake, AMOUNT);
        assertEq(agent.stakedSince, START);
        assertEq(uint256(agent.status), uint256(AgentStatus.PROVISIONAL));
        assertEq(usdc.balanceOf(wallet), funds - AMOUNT);
        assertEq(usdc.balanceOf(stranger), FUNDS);
        assertEq(usdc.balanceOf(address(agentStake)), AGENT_STAKE + AMOUNT);
        assertTrue(usdc.authorizationState(wallet, nonce));
    }

    function test_stakeWithAuthorization_ofAnybodysMoneyBelongsToTheAgent() public {
        ICustody.Authorization memory a = authorization(keyOf("poster"), poster, newcomer, AMOUNT);
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(newcomer, poster, AMOUNT, AMOUNT, 0);
        send(stranger, address(agentStake), callFor(poster, newcomer, AMOUNT, a));
        assertEq(agentStake.getAgent(newcomer).withdrawable, AMOUNT);
        assertEq(usdc.balanceOf(poster), FUNDS - AMOUNT);
    }

    function testFuzz_stakeNonce_isTheHashOfChainContractPayerAgentAmountAndSalt(address from, uint256 id, uint256 amount, bytes32 salt)
        public
        view
    {
        assertEq(agentStake.stakeNonce(from, id, amount, salt), stakeNonce(from, id, amount, salt));
    }

    function test_stakeWithAuthorization_isRefusedOnAnythingOtherThanSigned() public {
        ICustody.Authorization memory a = authorization(walletKey, wallet, newcomer, AMOUNT);
        assertSays(callFor(wallet, agentId, AMOUNT, a), INVALID);
        assertSays(callFor(wallet, newcomer, AMOUNT - 1, a), INVALID);
        assertSays(callFor(wallet, newcomer, AMOUNT + 1, a), INVALID);
        assertSays(callFor(poster, newcomer, AMOUNT, a), INVALID);
        a.salt = keccak256("other salt");
        assertSays(callFor(wallet, newcomer, AMOUNT, a), INVALID);
        a = authorization(walletKey, wallet, newcomer, AMOUNT);
        a.validAfter -= 1;
        assertSays(callFor(wallet, newcomer, AMOUNT, a), INVALID);
        a = authorization(walletKey, wallet, newcomer, AMOUNT);
        a.validBefore += 1;
        assertSays(callFor(wallet, newcomer, AMOUNT, a), INVALID);
        assertSays(callFor(wallet, newcomer, AMOUNT, authorization(keyOf("stranger"), wallet, newcomer, AMOUNT)), INVALID);
        assertEq(agentStake.getAgent(newcomer).stake, 0);
    }

    function test_stakeWithAuthorization_isRefusedForAnotherAgentAtTheSamePrice() public {
        bytes32 nonce = stakeNonce(wallet, agentId, AMOUNT, SALT);
        ICustody.Authorization memory a = authorize(walletKey, termsFor(wallet, address(agentStake), AMOUNT, nonce), SALT);
        assertSays(callFor(wallet, newcomer, AMOUNT, a), INVALID);
        send(stranger, address(agentStake), callFor(wallet, agentId, AMOUNT, a));
    }

    function test_stakeWithAuthorization_isRefusedOnAnotherChainOrContract() public {
        bytes memory call = signedCall(newcomer, AMOUNT);
        (AgentStake other,) = deployPair(address(usdc), address(registry));
        assertTokenRefuses(address(other), stranger, call, INVALID);
        bytes32 nonce = stakeNonce(wallet, newcomer, AMOUNT, SALT);
        ICustody.Authorization memory a = authorize(walletKey, termsFor(wallet, address(other), AMOUNT, nonce), SALT);
        assertTokenRefuses(address(other), stranger, callFor(wallet, newcomer, AMOUNT, a), INVALID);

        vm.chainId(block.chainid + 1);
        assertSays(call, INVALID);
        a = authorize(walletKey, termsFor(wallet, address(agentStake), AMOUNT, nonce), SALT);
        assertSays(callFor(wallet, newcomer, AMOUNT, a), INVALID);
    }

    function test_stakeWithAuthorization_andTheEscrowsAreStrangersToEachOther() public {
        Offer memory offer = standardOffer();
        uint256 price = priceOf(offer);
        bytes32 salt = SALT;
        TokenAuthorization memory terms = termsFor(wallet, address(agentStake), price, createAndFundNonce(wallet, offer, salt));
        assertSays(callFor(wallet, newcomer, price, authorize(walletKey, terms, salt)), INVALID);

        terms = termsFor(wallet, address(escrow), price, stakeNonce(wallet, newcomer, price, salt));
        bytes memory call = abi.encodeCall(
            escrow.createAndFundWithAuthorization,
            (wallet, offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI, authorize(walletKey, terms, salt))
        );
        assertTokenRefuses(address(escrow), stranger, call, INVALID);
    }

    function test_stakeWithAuthorization_isRefusedWithATransfersSignatureAndCannotBeTakenByTheTokensVerbs() public {
        TokenAuthorization memory terms = termsFor(wallet, address(agentStake), AMOUNT, stakeNonce(wallet, newcomer, AMOUNT, SALT));
        assertSays(callFor(wallet, newcomer, AMOUNT, authorized(terms, SALT, sign(walletKey, transferDigest(terms)))), INVALID);

        bytes memory signature = sign(walletKey, receiveDigest(terms));
        string memory head = "address,address,uint256,uint256,uint256,bytes32";
        bytes[2] memory transfers = inBothEncodings("transferWithAuthorization", head, abi.encode(terms), signature);
        bytes[2] memory receipts = inBothEncodings("receiveWithAuthorization", head, abi.encode(terms), signature);
        for (uint256 i = 0; i < 2; ++i) {
            assertTokenRefuses(address(usdc), stranger, transfers[i], INVALID);
            assertTokenRefuses(address(usdc), stranger, receipts[i], "TestUSDC: caller is not the payee");
        }
        send(stranger, address(agentStake), callFor(wallet, newcomer, AMOUNT, authorized(terms, SALT, signature)));
    }

    function test_stakeWithAuthorization_isUsedOnceAndAnotherSaltIsAnotherDeposit() public {
        bytes memory call = signedCall(newcomer, AMOUNT);
        send(stranger, address(agentStake), call);
        assertSays(call, "TestUSDC: authorization was used or cancelled");
        bytes32 salt = keccak256("other salt");
        TokenAuthorization memory terms = termsFor(wallet, address(agentStake), AMOUNT, stakeNonce(wallet, newcomer, AMOUNT, salt));
        send(stranger, address(agentStake), callFor(wallet, newcomer, AMOUNT, authorize(walletKey, terms, salt)));
        assertEq(agentStake.getAgent(newcomer).stake, 2 * AMOUNT);
    }

    function test_stakeWithAuthorization_countsStrictlyBetweenItsTimes() public {
        TokenAuthorization memory terms = termsFor(wallet, address(agentStake), AMOUNT, stakeNonce(wallet, newcomer, AMOUNT, SALT));
        (terms.validAfter, terms.validBefore) = (START + 10, START + 12);
        bytes memory call = callFor(wallet, newcomer, AMOUNT, authorize(walletKey, terms, SALT));
        vm.warp(START + 10);
        assertSays(call, "TestUSDC: authorization is not valid yet");
        vm.warp(START + 12);
        assertSays(call, "TestUSDC: authorization has expired");
        vm.warp(START + 11);
        send(stranger, address(agentStake), call);
    }

    function test_stakeWithAuthorization_isRefusedByTheTokenAsAnyPayment() public {
        bytes memory call = signedCall(newcomer, AMOUNT);
        usdc.blacklist(wallet);
        assertSays(call, "TestUSDC: account is blacklisted");
        usdc.unBlacklist(wallet);
        usdc.pause();
        assertSays(call, "TestUSDC: paused");
        usdc.unpause();
        vm.prank(wallet);
        assertTrue(usdc.transfer(poster, funds - AMOUNT + 1));
        assertSays(call, "TestUSDC: transfer exceeds balance");
        assertEq(agentStake.getAgent(newcomer).stake, 0);
    }

    function test_stakeWithAuthorization_worksWhileTheEscrowIsPaused() public {
        vm.prank(owner);
        escrow.pause();
        send(stranger, address(agentStake), signedCall(newcomer, AMOUNT));
        assertEq(agentStake.getAgent(newcomer).stake, AMOUNT);
    }

    function test_stakeWithAuthorization_refusesWhatStakeRefuses() public {
        assertRefusedStake(77, AMOUNT, abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 77));
        uint256 tooLarge = 2 ** 48;
        assertRefusedStake(
            tooLarge, AMOUNT, abi.encodeWithSelector(IAgentStake.AgentStake_AgentIdOutOfRange.selector, tooLarge, tooLarge - 1)
        );
        uint256 room = 2 ** 64 - 1;
        assertRefusedStake(newcomer, 0, abi.encodeWithSelector(IAgentStake.AgentStake_AmountOutOfRange.selector, 0, 1, room));
        assertRefusedStake(newcomer, room + 1, abi.encodeWithSelector(IAgentStake.AgentStake_AmountOutOfRange.selector, room + 1, 1, room));
    }

    function test_stakeWithAuthorization_paysDownWhatIsOwed() public {
        slashedRun();
        vm.expectEmit(address(agentStake));
        emit IAgentStake.Staked(agentId, wallet, AT_RISK, AGENT_STAKE, 0);
        send(stranger, address(agentStake), signedCall(agentId, AT_RISK));
        assertEq(uint256(agentStake.statusOf(agentId)), uint256(AgentStatus.PROVISIONAL));
    }

    function test_stakeWithAuthorization_insistsOnEveryUnitItAskedFor() public {
        usdc = TestUSDC(address(new SkimmingUSDC()));
        (agentStake,) = deployPair(address(usdc), address(registry));
        usdc.mint(wallet, FUNDS);
        assertRefusedStake(newcomer, AMOUNT, abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, AMOUNT, AMOUNT - 1));
    }

    function authorization(uint256 key, address from, uint256 id, uint256 amount) private view returns (ICustody.Authorization memory) {
        return authorize(key, termsFor(from, address(agentStake), amount, stakeNonce(from, id, amount, SALT)), SALT);
    }

    function signedCall(uint256 id, uint256 amount) private view returns (bytes memory) {
        return callFor(wallet, id, amount, authorization(walletKey, wallet, id, amount));
    }

    function callFor(address from, uint256 id, uint256 amount, ICustody.Authorization memory a) private pure returns (bytes memory) {
        return abi.encodeCall(IAgentStake.stakeWithAuthorization, (from, id, amount, a));
    }

    function assertSays(bytes memory call, string memory reason) private {
        assertTokenRefuses(address(agentStake), stranger, call, reason);
    }

    function assertRefusedStake(uint256 id, uint256 amount, bytes memory reason) private {
        assertRefusedBy(address(agentStake), stranger, signedCall(id, amount), reason);
    }
}

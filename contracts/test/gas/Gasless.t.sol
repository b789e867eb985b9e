// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";

/// @notice What the ways cost in which a payer pays with a signature, or lets another pay the gas: measured like the verbs beside this file,
/// but with TestUSDC, which checks signatures, blacklist and pause as USDC does. So these compare with each other and with `...OverUSDC`.
contract GaslessGasTest is Signing {
    uint256 private posterKey = keyOf("poster");
    uint256 private walletKey = keyOf("wallet");
    address private relayer = makeAddr("relayer");

    function setUp() public override {
        super.setUp();
        approvedRun();
        stakeFor(agentId, wallet, AT_RISK);
        // An account's nonces begin at zero once; the relayer's gas is measured for those that have signed before.
        forward(posterKey, poster, address(escrow), abi.encodeCall(IRunEscrow.cancel, (openRun())));
        forward(walletKey, wallet, address(escrow), claimOf(openRun()));
        usdc.permit(poster, stranger, 1, type(uint256).max, sign(posterKey, permitDigest(poster, stranger, 1, 0, type(uint256).max)));
        usdc.permit(wallet, stranger, 1, type(uint256).max, sign(walletKey, permitDigest(wallet, stranger, 1, 0, type(uint256).max)));
    }

    /// @dev What ships. A library's contract that several profiles compile is in a file that names the profile, unless one was there before.
    function deployForwarder() internal override returns (ERC2771Forwarder) {
        string memory file = "target/forge/out/ERC2771Forwarder.sol/ERC2771Forwarder.default.json";
        if (!vm.exists(file)) file = "target/forge/out/ERC2771Forwarder.sol/ERC2771Forwarder.json";
        return ERC2771Forwarder(vm.deployCode(file, abi.encode("ClawPay Runs")));
    }

    function test_gas_createAndFundOverUSDC() public {
        Offer memory offer = standardOffer();
        vm.prank(poster);
        escrow.createAndFund(offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI);
        record("createAndFundOverUSDC");
    }

    function test_gas_createAndFundWithPermit() public {
        Offer memory offer = standardOffer();
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
        uint256 price = priceOf(offer);
        bytes memory call = abi.encodeCall(
            IRunEscrow.createAndFundWithPermit,
            (offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI, permitFor(posterKey, poster, address(escrow), price))
        );
        send(poster, address(escrow), call);
        record("createAndFundWithPermit");
    }

    function test_gas_createAndFundWithAuthorization() public {
        Offer memory offer = standardOffer();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), createAndFundNonce(poster, offer, SALT));
        bytes memory call = abi.encodeCall(
            IRunEscrow.createAndFundWithAuthorization,
            (poster, offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI, authorize(posterKey, terms, SALT))
        );
        send(relayer, address(escrow), call);
        record("createAndFundWithAuthorization");
    }

    function test_gas_fundWithAuthorization() public {
        Offer memory offer = standardOffer();
        uint256 runId = draftRun();
        TokenAuthorization memory terms = termsFor(poster, address(escrow), priceOf(offer), fundNonce(poster, runId, offer, SALT));
        bytes memory call = abi.encodeCall(IRunEscrow.fundWithAuthorization, (runId, authorize(posterKey, terms, SALT)));
        send(relayer, address(escrow), call);
        record("fundWithAuthorization");
    }

    function test_gas_stakeOverUSDC() public {
        vm.prank(wallet);
        agentStake.stake(agentId, AT_RISK);
        record("stakeOverUSDC");
    }

    function test_gas_stakeWithPermit() public {
        vm.prank(wallet);
        usdc.approve(address(agentStake), 0);
        bytes memory call =
            abi.encodeCall(agentStake.stakeWithPermit, (agentId, AT_RISK, permitFor(walletKey, wallet, address(agentStake), AT_RISK)));
        send(wallet, address(agentStake), call);
        record("stakeWithPermit");
    }

    function test_gas_stakeWithAuthorization() public {
        TokenAuthorization memory terms = termsFor(wallet, address(agentStake), AT_RISK, stakeNonce(wallet, agentId, AT_RISK, SALT));
        bytes memory call = abi.encodeCall(agentStake.stakeWithAuthorization, (wallet, agentId, AT_RISK, authorize(walletKey, terms, SALT)));
        send(relayer, address(agentStake), call);
        record("stakeWithAuthorization");
    }

    /// @dev The forwarder's work and the verb's: the difference to the verb alone is what going without ETH costs.
    function test_gas_claimForwarded() public {
        forward(walletKey, wallet, address(escrow), claimOf(openRun()));
        record("claimForwarded");
    }

    function test_gas_submitForwarded() public {
        uint256 runId = startedRun();
        forward(walletKey, wallet, address(escrow), abi.encodeCall(IRunEscrow.submit, (runId, DELIVERABLE)));
        record("submitForwarded");
    }

    function claimOf(uint256 runId) private view returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.claim, (runId, agentId, escrow.termsOf(runId)));
    }

    function forward(uint256 key, address from, address to, bytes memory data) private {
        ERC2771Forwarder.ForwardRequestData memory request = forwarded(key, from, to, data);
        vm.prank(relayer);
        forwarder.execute(request);
    }

    function record(string memory op) private {
        vm.snapshotValue("gas", op, vm.lastCallGas().gasTotalUsed);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { Pausable } from "@openzeppelin/contracts/utils/Pausable.sol";

import { RunEscrow } from "../../src/RunEscrow.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IRunEscrow, RunState } from "../../src/interfaces/IRunEscrow.sol";
import { Signing } from "../base/Signing.sol";
import { PlainToken } from "../mocks/PlainToken.sol";
import { SkimmingUSDC } from "../mocks/SkimmingUSDC.sol";

/// @notice createAndFundWithPermit
/// ├── paused: refused
/// ├── what create refuses: refused alike
/// ├── the permit fails: passed over
/// │   ├── another account sent it before, or the allowance is there anyway: as if it had not failed
/// │   └── another amount, spender, owner, key, chain or nonce, expired, malleated, of no use to the token: refused for want of allowance
/// ├── another's permit: moves nothing of the other's
/// ├── caller blacklisted, token paused, too little money: refused
/// ├── the token delivers less than it was asked for: refused
/// └── otherwise: an OPEN run, reward and fee escrowed, no allowance left
contract CreateAndFundWithPermitTest is Signing {
    string private constant SHORT = "TestUSDC: transfer exceeds allowance";
    uint256 private posterKey = keyOf("poster");

    function setUp() public override {
        super.setUp();
        vm.prank(poster);
        usdc.approve(address(escrow), 0);
    }

    function test_createAndFundWithPermit_opensARunAndLeavesNoAllowance() public {
        Offer memory offer = standardOffer();
        bytes memory call = callFor(offer, permit());
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunCreated(1, poster, REWARD, FEE, offer.deadline, 3, CONTENT);
        vm.expectEmit(address(escrow));
        emit IRunEscrow.RunFunded(1, REWARD + FEE);
        vm.expectEmit(address(usdc));
        emit IERC20.Approval(poster, address(escrow), REWARD + FEE);
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(poster, address(escrow), REWARD + FEE);
        assertEq(abi.decode(send(poster, address(escrow), call), (uint256)), 1);

        assertState(1, RunState.OPEN);
        assertEq(escrow.getRun(1).poster, poster);
        assertEq(usdc.balanceOf(poster), FUNDS - REWARD - FEE);
        assertEq(usdc.balanceOf(address(escrow)), REWARD + FEE);
        assertEq(usdc.allowance(poster, address(escrow)), 0);
        assertEq(usdc.nonces(poster), 1);
    }

    function test_createAndFundWithPermit_worksThoughSomebodySentThePermitBefore() public {
        ICustody.Permit memory p = permit();
        vm.prank(stranger);
        usdc.permit(poster, address(escrow), REWARD + FEE, p.deadline, p.signature);
        send(poster, address(escrow), callFor(standardOffer(), p));
        assertState(1, RunState.OPEN);
        assertEq(usdc.allowance(poster, address(escrow)), 0);
        assertEq(usdc.nonces(poster), 1, "used once");
    }

    function test_createAndFundWithPermit_worksOnAnAllowanceThatIsThere() public {
        vm.prank(poster);
        usdc.approve(address(escrow), REWARD + FEE);
        send(poster, address(escrow), callFor(standardOffer(), ICustody.Permit(0, "")));
        assertState(1, RunState.OPEN);
    }

    function test_createAndFundWithPermit_replacesALargerAllowance() public {
        vm.prank(poster);
        usdc.approve(address(escrow), type(uint256).max);
        send(poster, address(escrow), callFor(standardOffer(), permit()));
        assertEq(usdc.allowance(poster, address(escrow)), 0, "a permit says what is allowed, not what is added");
    }

    function test_createAndFundWithPermit_isUsedOnce() public {
        ICustody.Permit memory p = permit();
        send(poster, address(escrow), callFor(standardOffer(), p));
        assertSays(p, SHORT);
        assertEq(escrow.runCount(), 1);
    }

    function test_createAndFundWithPermit_takesAPermitForExactlyThisAlone() public {
        assertSays(permitFor(posterKey, poster, address(escrow), REWARD), SHORT);
        assertSays(permitFor(posterKey, poster, address(escrow), REWARD + FEE + 1), SHORT);
        assertSays(permitFor(posterKey, poster, address(escrow), type(uint256).max), SHORT);
        assertSays(permitFor(posterKey, poster, address(agentStake), REWARD + FEE), SHORT);
        assertSays(permitFor(posterKey, stranger, address(escrow), REWARD + FEE), SHORT);
        assertSays(permitFor(keyOf("stranger"), poster, address(escrow), REWARD + FEE), SHORT);
        ICustody.Permit memory p = permit();
        p.deadline += 1;
        assertSays(p, SHORT);
        p = permit();
        p.signature = malleated(p.signature);
        assertSays(p, SHORT);
        p = permit();
        p.signature = abi.encodePacked(p.signature, uint8(0));
        assertSays(p, SHORT);
        p.signature = "";
        assertSays(p, SHORT);
        p.signature = new bytes(65);
        assertSays(p, SHORT);
        p = permit();
        vm.chainId(block.chainid + 1);
        assertSays(p, SHORT);
        assertEq(escrow.runCount(), 0);
        assertEq(usdc.nonces(poster), 0);
    }

    function test_createAndFundWithPermit_countsUntilThePermitsDeadline() public {
        ICustody.Permit memory p = permit();
        Offer memory offer = standardOffer();
        vm.warp(p.deadline + 1);
        assertTokenRefuses(address(escrow), poster, callFor(offer, p), SHORT);
        vm.warp(p.deadline);
        send(poster, address(escrow), callFor(offer, p));
    }

    function test_createAndFundWithPermit_ofAnotherMovesNothingOfTheOthers() public {
        vm.prank(stranger);
        usdc.approve(address(escrow), 0);
        bytes memory call = callFor(standardOffer(), permit());
        assertTokenRefuses(address(escrow), stranger, call, SHORT);
        assertEq(usdc.balanceOf(poster), FUNDS);
        assertEq(usdc.allowance(poster, address(escrow)), 0);
    }

    function test_createAndFundWithPermit_isRefusedByTheTokenAsAnyPayment() public {
        ICustody.Permit memory p = permit();
        usdc.blacklist(poster);
        assertSays(p, "TestUSDC: account is blacklisted");
        usdc.unBlacklist(poster);
        usdc.pause();
        assertSays(p, "TestUSDC: paused");
        usdc.unpause();
        vm.prank(poster);
        assertTrue(usdc.transfer(wallet, FUNDS - REWARD - FEE + 1));
        assertSays(p, "TestUSDC: transfer exceeds balance");
        assertEq(usdc.nonces(poster), 0, "refused as a whole, the permit included");
        usdc.mint(poster, 1);
        send(poster, address(escrow), callFor(standardOffer(), p));
    }

    function test_createAndFundWithPermit_isRefusedWhilePaused() public {
        bytes memory call = callFor(standardOffer(), permit());
        vm.prank(owner);
        escrow.pause();
        assertRefused(poster, call, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        vm.prank(owner);
        escrow.unpause();
        send(poster, address(escrow), call);
    }

    function test_createAndFundWithPermit_refusesWhatCreateRefuses() public {
        Offer memory offer = standardOffer();
        offer.reward = 1 * USDC - 1;
        assertRefusedWith(
            offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_RewardOutOfRange.selector, 1 * USDC - 1, 1 * USDC, 2 ** 56 - 1)
        );
        offer.reward = 2 ** 56;
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_RewardOutOfRange.selector, 2 ** 56, 1 * USDC, 2 ** 56 - 1));
        offer = standardOffer();
        offer.deadline = START;
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_DeadlineOutOfRange.selector, START, START, START + 365 days));
        offer = standardOffer();
        offer.maxRevisions = 4;
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_TooManyRevisions.selector, 4, 3));
        offer = standardOffer();
        offer.contentURI = "";
        assertRefusedWith(offer, abi.encodeWithSelector(IRunEscrow.RunEscrow_LengthOutOfRange.selector, 0, 1, 2048));
        assertEq(usdc.nonces(poster), 0);
    }

    function test_createAndFundWithPermit_insistsOnEveryUnitItAskedFor() public {
        usdc = TestUSDC(address(new SkimmingUSDC()));
        (, escrow) = deployPair(address(usdc), address(registry));
        usdc.mint(poster, FUNDS);
        assertRefused(
            poster,
            callFor(standardOffer(), permit()),
            abi.encodeWithSelector(ICustody.Custody_WrongAmountReceived.selector, REWARD + FEE, REWARD + FEE - 1)
        );
    }

    function test_createAndFundWithPermit_worksByAllowanceOnATokenWithoutPermits() public {
        PlainToken plain = new PlainToken();
        (, RunEscrow other) = deployPair(address(plain), address(registry));
        plain.mint(poster, FUNDS);
        vm.prank(poster);
        plain.approve(address(other), 2 * (REWARD + FEE));
        send(poster, address(other), callFor(standardOffer(), permit()));
        send(poster, address(other), callFor(standardOffer(), ICustody.Permit(0, "")));
        assertEq(plain.balanceOf(address(other)), 2 * (REWARD + FEE));
    }

    function permit() private view returns (ICustody.Permit memory) {
        return permitFor(posterKey, poster, address(escrow), REWARD + FEE);
    }

    function callFor(Offer memory offer, ICustody.Permit memory p) private pure returns (bytes memory) {
        return abi.encodeCall(IRunEscrow.createAndFundWithPermit, (offer.reward, offer.deadline, offer.maxRevisions, offer.contentURI, p));
    }

    function assertSays(ICustody.Permit memory p, string memory reason) private {
        assertTokenRefuses(address(escrow), poster, callFor(standardOffer(), p), reason);
    }

    function assertRefusedWith(Offer memory offer, bytes memory reason) private {
        assertRefused(poster, callFor(offer, permitFor(posterKey, poster, address(escrow), priceOf(offer))), reason);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";
import { VectorWorld } from "./VectorWorld.sol";

/// @notice Offers around every limit: both ways of creating a run accept and refuse what the domain does, by the same error.
contract CreateVectorsTest is VectorWorld {
    uint256 private constant POSTER = 0;

    function test_CreateAnswersEveryOfferAsTheDomainDoes() public {
        _replay("create", IRunEscrow.create.selector);
    }

    function test_CreateAndFundAnswersEveryOfferAsTheDomainDoes() public {
        _replay("createAndFund", IRunEscrow.createAndFund.selector);
    }

    function _replay(string memory verb, bytes4 selector) private {
        vm.pauseGasMetering(); // more calls than a block holds
        string memory json = vm.readFile("tests/vectors/creates.json");
        Outcome[] memory outcomes = readOutcomes(json);
        uint256[] memory times = column(json, ".offers", "at");
        uint256[] memory rewards = column(json, ".offers", "reward");
        uint256[] memory deadlines = column(json, ".offers", "deadline");
        uint256[] memory maxRevisions = column(json, ".offers", "maxRevisions");
        uint256[] memory lengths = column(json, ".offers", "length");
        uint256[] memory expected = column(json, ".offers", verb);
        assertGe(expected.length, 800, "offers");

        uint256 created = 0;
        for (uint256 i = 0; i < expected.length; ++i) {
            vm.warp(times[i]);
            Outcome memory outcome = outcomes[expected[i]];
            bytes memory data = abi.encodeWithSelector(selector, rewards[i], deadlines[i], maxRevisions[i], text(lengths[i]));
            (bool ok, bytes memory answer) = send(roles[POSTER], address(escrow), data);
            assertTrue(agrees(outcome, ok, answer), string.concat("offer ", vm.toString(i), disagreement(outcome, ok, answer)));
            if (outcome.refused) continue;
            ++created;
            assertEq(uint256(escrow.getRun(abi.decode(answer, (uint256))).state), outcome.position, "state");
        }
        assertGt(created, 0, "nothing was created");
        assertLt(created, expected.length, "nothing was refused");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { AgentRegistry } from "../../src/AgentRegistry.sol";
import { AgentStake } from "../../src/AgentStake.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { IRunEscrow } from "../../src/interfaces/IRunEscrow.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";

/// @dev Answers with the calldata that it sees.
contract EchoingRegistry is AgentRegistry {
    constructor(address forwarder) AgentRegistry(forwarder) { }

    function echo(uint256) external view returns (bytes memory) {
        return _msgData();
    }
}

/// @dev Answers with the calldata that it sees.
contract EchoingEscrow is RunEscrow {
    constructor(address usdc, address stake, address forwarder, address treasury, address owner, IRunEscrow.Parameters memory rules)
        RunEscrow(usdc, stake, forwarder, treasury, owner, rules)
    { }

    function echo(uint256) external view returns (bytes memory) {
        return _msgData();
    }
}

/// @notice the calldata as the contracts' bases see it
/// ├── from the forwarder: without the caller that it appended
/// └── from anybody else: whole, whatever is appended
contract CallDataTest is ClawPayTest {
    function test_callData_losesWhatTheForwarderAppended() public {
        assertEcho(address(new EchoingRegistry(address(forwarder))));

        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        bytes memory arguments = abi.encode(usdc, registry, predicted, forwarder, stakeParameters());
        AgentStake stake = AgentStake(deploy("AgentStake", arguments));
        address usdc_ = address(usdc);
        assertEcho(address(new EchoingEscrow(usdc_, address(stake), address(forwarder), treasury, owner, escrowParameters())));
    }

    function assertEcho(address target) private {
        bytes memory call = abi.encodeCall(EchoingEscrow.echo, (7));
        bytes memory longer = abi.encodePacked(call, poster);
        assertEq(echoTo(address(forwarder), target, longer), call);
        assertEq(echoTo(stranger, target, longer), longer);
        assertEq(echoTo(stranger, target, call), call);
    }

    function echoTo(address caller, address target, bytes memory call) private returns (bytes memory) {
        vm.prank(caller);
        (bool ok, bytes memory returned) = target.call(call);
        assertTrue(ok);
        return abi.decode(returned, (bytes));
    }
}

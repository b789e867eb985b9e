// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { CommonBase } from "forge-std/Base.sol";

import { AgentRegistry } from "../../src/AgentRegistry.sol";
import { AgentStake } from "../../src/AgentStake.sol";
import { ERC2771Forwarder } from "../../src/ERC2771Forwarder.sol";
import { RunEscrow } from "../../src/RunEscrow.sol";
import { TestUSDC } from "../../src/TestUSDC.sol";
import { ICustody } from "../../src/interfaces/ICustody.sol";
import { IUSDC } from "../../src/interfaces/IUSDC.sol";
import { Call, Path, Verb } from "./Calls.sol";
import { ReferenceMarket } from "./ReferenceMarket.sol";

/// @notice The contracts that the parties meet in.
struct Market {
    TestUSDC usdc;
    AgentRegistry registry;
    AgentStake stakes;
    RunEscrow escrow;
    ERC2771Forwarder forwarder;
    address owner;
    address treasury;
}

/// @notice Puts a call on each of its paths: the calldata, the allowance, and whatever has to be signed, written out from the standards and
/// the reference pages without asking the contracts.
abstract contract MarketCalls is CommonBase {
    /// @dev Sends what others have signed. Has no USDC and no part in anything.
    address internal constant RELAYER = address(0x5E11D);

    Market internal _market;
    ReferenceMarket public rules;
    mapping(address account => uint256) internal _keys;
    /// @dev Bytes of a run's content URI, of which only the hash is kept on chain.
    mapping(uint256 runId => uint256) internal _contentLengths;
    uint256 private _signatures;
    /// @notice Permits that a stranger sent before the call that carries them.
    uint256 public permitsTaken;

    function _send(Call memory call, Path path) internal returns (bool ok, bytes memory answer) {
        (address target, bytes memory data) = _encode(call);
        address sender = call.caller;
        ++_signatures;
        if (path == Path.PERMIT) {
            data = _withPermit(call, target);
        } else if (path == Path.AUTHORIZATION) {
            (sender, data) = (RELAYER, _withAuthorization(call, target));
        } else {
            _allow(call, target);
            if (path == Path.FORWARDED) {
                (sender, target, data) = (RELAYER, address(_market.forwarder), _forwarded(call.caller, target, data));
            }
        }
        vm.prank(sender);
        (ok, answer) = target.call(data);
    }

    /// @dev An allowance of exactly what the call takes, where the token gives one.
    function _allow(Call memory call, address target) private {
        uint256 amount = _price(call);
        if (amount == 0 || _market.usdc.allowance(call.caller, target) >= amount) return;
        if (!rules.tokenMoves(call.caller, call.caller, target)) return;
        vm.prank(call.caller);
        _market.usdc.approve(target, amount);
    }

    /// @dev What the call takes from its caller; zero for the verbs that take nothing.
    function _price(Call memory call) private view returns (uint256) {
        if (call.verb == Verb.STAKE) return call.amount;
        if (call.verb == Verb.CREATE_AND_FUND) return call.amount < 2 ** 64 ? call.amount + call.amount * 5 / 100 : call.amount;
        if (call.verb != Verb.FUND || call.run == 0 || call.run > rules.runCount()) return 0;
        return rules.run(call.run).reward + rules.run(call.run).fee;
    }

    // Called by the caller

    function _encode(Call memory call) private view returns (address, bytes memory) {
        if (call.verb <= Verb.SLASH) return (address(_market.escrow), _encodeRun(call));
        if (call.verb == Verb.STAKE || call.verb == Verb.UNSTAKE || call.verb == Verb.PAY_STAKE_CREDIT) {
            return (address(_market.stakes), _encodeStake(call));
        }
        if (call.verb <= Verb.UNPAUSE) return (address(_market.escrow), _encodeMoney(call));
        return (address(_market.registry), _encodeAgent(call));
    }

    function _encodeRun(Call memory call) private view returns (bytes memory) {
        RunEscrow escrow = _market.escrow;
        (Verb verb, uint256 run, string memory text) = (call.verb, call.run, _text(call.length));
        if (verb == Verb.CREATE) return abi.encodeCall(escrow.create, (call.amount, call.deadline, call.maxRevisions, text));
        if (verb == Verb.CREATE_AND_FUND) {
            return abi.encodeCall(escrow.createAndFund, (call.amount, call.deadline, call.maxRevisions, text));
        }
        if (verb == Verb.FUND) return abi.encodeCall(escrow.fund, (run));
        if (verb == Verb.CANCEL) return abi.encodeCall(escrow.cancel, (run));
        if (verb == Verb.CLAIM) return abi.encodeCall(escrow.claim, (run, call.agent, call.expected));
        if (verb == Verb.START) return abi.encodeCall(escrow.start, (run));
        if (verb == Verb.SUBMIT) return abi.encodeCall(escrow.submit, (run, text));
        if (verb == Verb.REQUEST_REVISION) return abi.encodeCall(escrow.requestRevision, (run, call.expected, text));
        if (verb == Verb.APPROVE) return abi.encodeCall(escrow.approve, (run, call.expected));
        if (verb == Verb.REJECT) return abi.encodeCall(escrow.reject, (run, call.expected));
        if (verb == Verb.FINALIZE) return abi.encodeCall(escrow.finalize, (run));
        return abi.encodeCall(escrow.slash, (run));
    }

    function _encodeStake(Call memory call) private view returns (bytes memory) {
        AgentStake stakes = _market.stakes;
        if (call.verb == Verb.STAKE) return abi.encodeCall(stakes.stake, (call.agent, call.amount));
        if (call.verb == Verb.UNSTAKE) return abi.encodeCall(stakes.unstake, (call.agent, call.amount));
        return abi.encodeCall(stakes.payCredit, (call.account));
    }

    function _encodeMoney(Call memory call) private view returns (bytes memory) {
        RunEscrow escrow = _market.escrow;
        if (call.verb == Verb.PAY_ESCROW_CREDIT) return abi.encodeCall(escrow.payCredit, (call.account));
        if (call.verb == Verb.COLLECT_FEES) return abi.encodeCall(escrow.collectFees, ());
        if (call.verb == Verb.SET_TREASURY) return abi.encodeCall(escrow.setTreasury, (call.account));
        return call.verb == Verb.PAUSE ? abi.encodeCall(escrow.pause, ()) : abi.encodeCall(escrow.unpause, ());
    }

    function _encodeAgent(Call memory call) private view returns (bytes memory) {
        AgentRegistry registry = _market.registry;
        if (call.verb == Verb.REGISTER) return abi.encodeWithSignature("register()");
        if (call.verb == Verb.TRANSFER_AGENT) return abi.encodeCall(registry.transferFrom, (call.caller, call.account, call.agent));
        if (call.verb == Verb.UNSET_AGENT_WALLET) return abi.encodeCall(registry.unsetAgentWallet, (call.agent));
        uint256 deadline = _soon();
        bytes32 consent = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                call.agent,
                call.account,
                call.caller,
                deadline
            )
        );
        bytes memory signature = _sign(call.account, _domain("ERC8004IdentityRegistry", "1", address(registry)), consent);
        return abi.encodeCall(registry.setAgentWallet, (call.agent, call.account, deadline, signature));
    }

    // Signed by the caller, sent by others

    function _forwarded(address from, address to, bytes memory data) private view returns (bytes memory) {
        ERC2771Forwarder.ForwardRequestData memory request;
        (request.from, request.to, request.gas, request.deadline, request.data) = (from, to, 2_000_000, uint48(_soon()), data);
        bytes32 message = keccak256(
            abi.encode(
                keccak256("ForwardRequest(address from,address to,uint256 value,uint256 gas,uint256 nonce,uint48 deadline,bytes data)"),
                from,
                to,
                0,
                request.gas,
                _market.forwarder.nonces(from),
                request.deadline,
                keccak256(data)
            )
        );
        request.signature = _sign(from, _domain("ClawPay Runs", "1", address(_market.forwarder)), message);
        return abi.encodeCall(ERC2771Forwarder.execute, (request));
    }

    /// @dev Every fourth permit is taken from the mempool and sent by a stranger first, which must not matter.
    function _withPermit(Call memory call, address target) private returns (bytes memory) {
        uint256 amount = _price(call);
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                call.caller,
                target,
                amount,
                _market.usdc.nonces(call.caller),
                _soon()
            )
        );
        bytes memory signature = _sign(call.caller, _domain("USD Coin", "2", address(_market.usdc)), message);
        if (_signatures % 4 == 0) {
            vm.prank(RELAYER);
            IUSDC(address(_market.usdc)).permit(call.caller, target, amount, _soon(), signature);
            ++permitsTaken;
        }
        ICustody.Permit memory permit = ICustody.Permit(_soon(), signature);
        if (call.verb == Verb.STAKE) return abi.encodeCall(_market.stakes.stakeWithPermit, (call.agent, call.amount, permit));
        if (call.verb == Verb.FUND) return abi.encodeCall(_market.escrow.fundWithPermit, (call.run, permit));
        return abi.encodeCall(
            _market.escrow.createAndFundWithPermit, (call.amount, call.deadline, call.maxRevisions, _text(call.length), permit)
        );
    }

    function _withAuthorization(Call memory call, address target) private view returns (bytes memory) {
        bytes32 salt = bytes32(_signatures);
        bytes32 message = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                call.caller,
                target,
                _price(call),
                0,
                _soon(),
                _nonce(call, target, salt)
            )
        );
        bytes memory signature = _sign(call.caller, _domain("USD Coin", "2", address(_market.usdc)), message);
        ICustody.Authorization memory authorization = ICustody.Authorization(0, _soon(), salt, signature);
        if (call.verb == Verb.STAKE) {
            return abi.encodeCall(_market.stakes.stakeWithAuthorization, (call.caller, call.agent, call.amount, authorization));
        }
        if (call.verb == Verb.FUND) return abi.encodeCall(_market.escrow.fundWithAuthorization, (call.run, authorization));
        return abi.encodeCall(
            _market.escrow.createAndFundWithAuthorization,
            (call.caller, call.amount, call.deadline, call.maxRevisions, _text(call.length), authorization)
        );
    }

    /// @dev Binds the payer's one signature to the verb, the contract and every term.
    function _nonce(Call memory call, address target, bytes32 salt) private view returns (bytes32) {
        if (call.verb == Verb.STAKE) {
            bytes32 tag = keccak256("Stake(uint256 chainId,address agentStake,address from,uint256 agentId,uint256 amount,bytes32 salt)");
            return keccak256(abi.encode(tag, block.chainid, target, call.caller, call.agent, call.amount, salt));
        }
        if (call.verb == Verb.CREATE_AND_FUND) {
            bytes memory head = abi.encode(
                keccak256(
                    "CreateAndFund(uint256 chainId,address escrow,address poster,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32 contentHash,bytes32 salt)"
                ),
                block.chainid,
                target,
                call.caller
            );
            return _withTerms(head, call.amount, call.deadline, call.maxRevisions, call.length, salt);
        }
        bytes memory start = abi.encode(
            keccak256(
                "Fund(uint256 chainId,address escrow,address poster,uint256 runId,uint256 reward,uint256 deadline,uint256 maxRevisions,bytes32 contentHash,bytes32 salt)"
            ),
            block.chainid,
            target,
            call.caller,
            call.run
        );
        return _withTerms(
            start,
            rules.run(call.run).reward,
            rules.run(call.run).deadline,
            rules.run(call.run).maxRevisions,
            _contentLengths[call.run],
            salt
        );
    }

    function _withTerms(bytes memory head, uint256 reward, uint256 deadline, uint256 maxRevisions, uint256 length, bytes32 salt)
        private
        pure
        returns (bytes32)
    {
        return keccak256(bytes.concat(head, abi.encode(reward, deadline, maxRevisions, keccak256(bytes(_text(length))), salt)));
    }

    function _sign(address account, bytes32 domain, bytes32 message) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[account], keccak256(abi.encodePacked(hex"1901", domain, message)));
        return abi.encodePacked(r, s, v);
    }

    function _domain(string memory name, string memory version, address verifier) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                block.chainid,
                verifier
            )
        );
    }

    function _soon() private view returns (uint256) {
        return vm.getBlockTimestamp() + 1 minutes;
    }

    function _text(uint256 length) private pure returns (string memory) {
        return string(new bytes(length));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import { IERC721Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import { IERC721 } from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import { IAgentRegistry } from "../../src/interfaces/IAgentRegistry.sol";
import { ClawPayTest } from "../base/ClawPayTest.sol";
import { SigningWallet } from "../mocks/SigningWallet.sol";

/// @notice the identity registry
/// ├── register, in three forms, also by a contract that receives no tokens: the next id, the caller its owner and agent wallet
/// ├── setAgentURI, setMetadata, setAgentWallet, unsetAgentWallet
/// │   ├── unknown agent: refused
/// │   └── caller is neither owner nor approved: refused
/// ├── setMetadata and register of the reserved key: refused
/// ├── too many bytes: refused
/// ├── setAgentWallet
/// │   ├── to zero, after its deadline, with a deadline more than five minutes ahead: refused
/// │   ├── signed by another, or for another agent, wallet, owner, deadline, chain or registry: refused
/// │   └── otherwise: set, by a key or by a contract wallet
/// └── a transfer clears the agent wallet, and with it every consent given to the old owner
contract AgentRegistryTest is ClawPayTest {
    address private hot;
    uint256 private hotKey;

    function setUp() public override {
        super.setUp();
        (hot, hotKey) = makeAddrAndKey("hot wallet");
    }

    // register

    function test_register_mintsTheNextAgentWithItsOwnerAsWallet() public {
        vm.expectEmit(address(registry));
        emit IERC721.Transfer(address(0), stranger, agentId + 1);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.Registered(agentId + 1, CONTENT, stranger);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.MetadataSet(agentId + 1, "agentWallet", "agentWallet", abi.encodePacked(stranger));
        vm.prank(stranger);
        uint256 id = registry.register(CONTENT);

        assertEq(id, agentId + 1);
        assertEq(registry.agentCount(), id);
        assertEq(registry.ownerOf(id), stranger);
        assertEq(registry.tokenURI(id), CONTENT);
        assertEq(registry.getAgentWallet(id), stranger);
        assertEq(registry.getMetadata(id, "agentWallet"), abi.encodePacked(stranger));
    }

    function test_register_countsFromOneAndWithoutAURI() public {
        assertEq(agentId, 1);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.Registered(2, "", stranger);
        vm.prank(stranger);
        assertEq(registry.register(), 2);
        assertEq(registry.tokenURI(2), "");
    }

    function test_register_reportsEachFactOnce() public {
        vm.startPrank(stranger);
        vm.recordLogs();
        registry.register(CONTENT);
        assertEq(vm.getRecordedLogs().length, 4, "Transfer, MetadataUpdate, Registered, MetadataSet");
        registry.register("");
        assertEq(vm.getRecordedLogs().length, 3, "nothing of a URI that there is not");
    }

    function test_register_takesMetadata() public {
        IAgentRegistry.MetadataEntry[] memory metadata = new IAgentRegistry.MetadataEntry[](2);
        metadata[0] = IAgentRegistry.MetadataEntry("skill", "solidity");
        metadata[1] = IAgentRegistry.MetadataEntry("", "");
        vm.expectEmit(address(registry));
        emit IAgentRegistry.MetadataSet(2, "skill", "skill", "solidity");
        vm.prank(stranger);
        uint256 id = registry.register(CONTENT, metadata);
        assertEq(registry.getMetadata(id, "skill"), "solidity");
        assertEq(registry.getMetadata(id, "unset"), "");

        metadata[1].metadataKey = "agentWallet";
        assertRefusedBy(
            address(registry),
            stranger,
            abi.encodeWithSignature("register(string,(string,bytes)[])", CONTENT, metadata),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_ReservedMetadataKey.selector, "agentWallet")
        );
    }

    function test_register_doesNotCallTheReceiver() public {
        vm.prank(address(escrow)); // a contract that receives no tokens
        uint256 id = registry.register();
        assertEq(registry.ownerOf(id), address(escrow));
    }

    function test_register_takesUpTo8192Bytes() public {
        registry.register(string(new bytes(8192)));
        assertRefusedBy(
            address(registry),
            stranger,
            abi.encodeWithSignature("register(string)", string(new bytes(8193))),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_URITooLong.selector, 8193, 8192)
        );
    }

    // URI and metadata

    function test_setAgentURI_byOwnerOrApproved() public {
        vm.expectEmit(address(registry));
        emit IAgentRegistry.URIUpdated(agentId, "ipfs://new", wallet);
        vm.prank(wallet);
        registry.setAgentURI(agentId, "ipfs://new");
        assertEq(registry.tokenURI(agentId), "ipfs://new");

        vm.prank(wallet);
        registry.approve(stranger, agentId);
        vm.prank(stranger);
        registry.setAgentURI(agentId, "");
        assertEq(registry.tokenURI(agentId), "");
        vm.prank(wallet);
        registry.setApprovalForAll(poster, true);
        vm.prank(poster);
        registry.setAgentURI(agentId, "ipfs://operator");

        assertRefusedBy(
            address(registry),
            wallet,
            abi.encodeCall(registry.setAgentURI, (agentId, string(new bytes(8193)))),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_URITooLong.selector, 8193, 8192)
        );
    }

    function test_setMetadata_keepsBytesAndRefusesTheReservedKey() public {
        vm.expectEmit(address(registry));
        emit IAgentRegistry.MetadataSet(agentId, "skill", "skill", hex"00ff");
        vm.prank(wallet);
        registry.setMetadata(agentId, "skill", hex"00ff");
        assertEq(registry.getMetadata(agentId, "skill"), hex"00ff");
        assertRefusedBy(
            address(registry),
            wallet,
            abi.encodeCall(registry.setMetadata, (agentId, "agentWallet", abi.encodePacked(hot))),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_ReservedMetadataKey.selector, "agentWallet")
        );
    }

    function test_setMetadata_takesUpTo8192BytesOfKeyAndValueTogether() public {
        vm.prank(wallet);
        registry.setMetadata(agentId, "key", new bytes(8189));
        assertRefusedBy(
            address(registry),
            wallet,
            abi.encodeCall(registry.setMetadata, (agentId, "key", new bytes(8190))),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_MetadataTooLong.selector, 8193, 8192)
        );
    }

    function test_setters_areRefusedToOthersAndForUnknownAgents() public {
        bytes[4] memory calls = settersFor(agentId);
        for (uint256 i = 0; i < calls.length; ++i) {
            assertRefusedBy(
                address(registry),
                stranger,
                calls[i],
                abi.encodeWithSelector(IAgentRegistry.AgentRegistry_NotAuthorized.selector, agentId, stranger)
            );
        }
        calls = settersFor(77);
        bytes memory unknown = abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 77);
        for (uint256 i = 0; i < calls.length; ++i) {
            assertRefusedBy(address(registry), stranger, calls[i], unknown);
        }
        assertRefusedBy(address(registry), stranger, abi.encodeCall(registry.getAgentWallet, (77)), unknown);
        assertRefusedBy(address(registry), stranger, abi.encodeCall(registry.getMetadata, (77, "skill")), unknown);
    }

    // Agent wallet

    function test_setAgentWallet_setsAWalletThatConsented() public {
        vm.expectEmit(address(registry));
        emit IAgentRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", abi.encodePacked(hot));
        setAgentWallet(agentId, wallet, hot, hotKey);
        assertEq(registry.getAgentWallet(agentId), hot);
        assertEq(registry.getMetadata(agentId, "agentWallet"), abi.encodePacked(hot));
        assertTrue(agentStake.isAgent(agentId, hot));
        assertTrue(agentStake.isAgent(agentId, wallet));
        assertFalse(agentStake.isAgent(agentId, stranger));
    }

    function test_setAgentWallet_setsAContractWalletThatConsented() public {
        SigningWallet contractWallet = new SigningWallet(hot);
        uint256 deadline = START + 60;
        bytes memory signature = signConsent(agentId, address(contractWallet), wallet, deadline, hotKey);
        vm.prank(wallet);
        registry.setAgentWallet(agentId, address(contractWallet), deadline, signature);
        assertEq(registry.getAgentWallet(agentId), address(contractWallet));

        (, uint256 otherKey) = makeAddrAndKey("other");
        assertWalletRefused(
            address(contractWallet),
            deadline,
            signConsent(agentId, address(contractWallet), wallet, deadline, otherKey),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidSignature.selector, address(contractWallet))
        );
    }

    function test_setAgentWallet_byAnApprovedCallerNeedsTheConsentGivenToTheOwner() public {
        vm.prank(wallet);
        registry.approve(stranger, agentId);
        uint256 deadline = START + 60;
        assertRefusedBy(
            address(registry),
            stranger,
            abi.encodeCall(registry.setAgentWallet, (agentId, hot, deadline, signConsent(agentId, hot, stranger, deadline, hotKey))),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidSignature.selector, hot)
        );
        bytes memory consent = signConsent(agentId, hot, wallet, deadline, hotKey);
        vm.prank(stranger);
        registry.setAgentWallet(agentId, hot, deadline, consent);
        assertEq(registry.getAgentWallet(agentId), hot);
    }

    function test_setAgentWallet_takesDeadlinesFromNowToFiveMinutesAhead() public {
        uint256[2] memory accepted = [START, START + 5 minutes];
        for (uint256 i = 0; i < accepted.length; ++i) {
            bytes memory signature = signConsent(agentId, hot, wallet, accepted[i], hotKey);
            vm.prank(wallet);
            registry.setAgentWallet(agentId, hot, accepted[i], signature);
        }
        uint256 late = START + 5 minutes + 1;
        assertWalletRefused(
            hot,
            START - 1,
            signConsent(agentId, hot, wallet, START - 1, hotKey),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_SignatureExpired.selector, START - 1, START)
        );
        assertWalletRefused(
            hot,
            late,
            signConsent(agentId, hot, wallet, late, hotKey),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_DeadlineTooFar.selector, late, late - 1)
        );
    }

    function test_setAgentWallet_bindsEverythingThatWasSigned() public {
        uint256 other = registerAgent(wallet);
        uint256 deadline = START + 60;
        bytes memory reason = abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidSignature.selector, hot);
        assertWalletRefused(hot, deadline, signConsent(other, hot, wallet, deadline, hotKey), reason);
        assertWalletRefused(hot, deadline, signConsent(agentId, stranger, wallet, deadline, hotKey), reason);
        assertWalletRefused(hot, deadline, signConsent(agentId, hot, stranger, deadline, hotKey), reason);
        assertWalletRefused(hot, deadline, signConsent(agentId, hot, wallet, deadline + 1, hotKey), reason);
        assertWalletRefused(hot, deadline, "", reason);

        (, uint256 otherKey) = makeAddrAndKey("other");
        assertWalletRefused(hot, deadline, signConsent(agentId, hot, wallet, deadline, otherKey), reason);

        bytes memory consent = signConsent(agentId, hot, wallet, deadline, hotKey);
        vm.chainId(block.chainid + 1);
        assertWalletRefused(hot, deadline, consent, reason);
    }

    function test_setAgentWallet_refusesZero() public {
        assertWalletRefused(
            address(0), START, "", abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidAgentWallet.selector, address(0))
        );
    }

    function test_unsetAgentWallet_leavesNone() public {
        vm.expectEmit(address(registry));
        emit IAgentRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", "");
        vm.prank(wallet);
        registry.unsetAgentWallet(agentId);
        assertEq(registry.getAgentWallet(agentId), address(0));
        assertEq(registry.getMetadata(agentId, "agentWallet"), "");
        assertFalse(agentStake.isAgent(agentId, address(0)));
    }

    function test_transfer_clearsTheAgentWalletAndOldConsents() public {
        uint256 deadline = START + 60;
        bytes memory consent = signConsent(agentId, hot, wallet, deadline, hotKey);
        setAgentWallet(agentId, wallet, hot, hotKey);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", "");
        vm.prank(wallet);
        registry.transferFrom(wallet, stranger, agentId);
        assertEq(registry.getAgentWallet(agentId), address(0));
        assertFalse(agentStake.isAgent(agentId, hot));

        assertRefusedBy(
            address(registry),
            stranger,
            abi.encodeCall(registry.setAgentWallet, (agentId, hot, deadline, consent)),
            abi.encodeWithSelector(IAgentRegistry.AgentRegistry_InvalidSignature.selector, hot)
        );
    }

    function test_supportsInterface_speaksErc721AndItsMetadata() public view {
        assertTrue(registry.supportsInterface(type(IERC721).interfaceId));
        assertTrue(registry.supportsInterface(0x5b5e139f), "ERC-721 metadata");
        assertTrue(registry.supportsInterface(0x49064906), "ERC-4906");
        assertFalse(registry.supportsInterface(0xffffffff));
        assertEq(registry.name(), "AgentIdentity");
        assertEq(registry.symbol(), "AGENT");
    }

    function settersFor(uint256 id) private view returns (bytes[4] memory) {
        return [
            abi.encodeCall(registry.setAgentURI, (id, "x")),
            abi.encodeCall(registry.setMetadata, (id, "skill", "x")),
            abi.encodeCall(registry.setAgentWallet, (id, hot, START, "")),
            abi.encodeCall(registry.unsetAgentWallet, (id))
        ];
    }

    function assertWalletRefused(address newWallet, uint256 deadline, bytes memory signature, bytes memory reason) private {
        assertRefusedBy(
            address(registry), wallet, abi.encodeCall(registry.setAgentWallet, (agentId, newWallet, deadline, signature)), reason
        );
    }
}

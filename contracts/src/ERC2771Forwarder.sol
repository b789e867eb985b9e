// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

// The forwarder is OpenZeppelin's, deployed as it is; importing it here brings it into the build.
import { ERC2771Forwarder } from "@openzeppelin/contracts/metatx/ERC2771Forwarder.sol";

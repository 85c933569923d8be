// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

// Kinds of work that shares are minted for: in budgets, in Emission's calls and in the leaves of a rewards tree.
// The SDK has the same as rewardKind (sdk/src/protocol/codes.ts).

uint8 constant COMPUTE = 1;
uint8 constant CODE = 2;
uint8 constant CAPITAL = 3;
uint8 constant TREASURY = 4;

/// @dev How many there are.
uint8 constant KINDS = TREASURY;

// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from sdk/src/protocol/codes.ts; do not edit.
pragma solidity ^0.8.30;

// Kinds of work that shares are minted for: in budgets, in Emission's calls and in the leaves of a rewards tree.

uint8 constant COMPUTE = 1;
uint8 constant CODE = 2;
uint8 constant CAPITAL = 3;
uint8 constant TREASURY = 4;

/// @dev How many there are.
uint8 constant KINDS = 4;

// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from sdk/src/protocol/codes.ts; do not edit.
pragma solidity ^0.8.30;

// Kinds of what is paid for: in budgets and Emission's calls, and in the leaves of a rewards tree. For revenue nothing is minted.

uint8 constant COMPUTE = 1;
uint8 constant CODE = 2;
uint8 constant CAPITAL = 3;
uint8 constant TREASURY = 4;
uint8 constant REVENUE = 5;

/// @dev How many of them shares are minted for: the first.
uint8 constant KINDS = 4;

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, ModelId, RunId} from "../../../contracts/interfaces/Ids.sol";
import {Vm} from "./Vm.sol";

/// @notice Checks that revert with both sides of what should have been equal.
abstract contract Assertions {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error Differs(string what, uint256 actual, uint256 expected);
    error DiffersBytes32(string what, bytes32 actual, bytes32 expected);
    error DiffersAddress(string what, address actual, address expected);
    error NotTrue(string what);

    function eq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert Differs(what, actual, expected);
    }

    function eq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        if (actual != expected) revert DiffersBytes32(what, actual, expected);
    }

    function eq(ModelId actual, ModelId expected, string memory what) internal pure {
        eq(ModelId.unwrap(actual), ModelId.unwrap(expected), what);
    }

    function eq(RunId actual, RunId expected, string memory what) internal pure {
        eq(RunId.unwrap(actual), RunId.unwrap(expected), what);
    }

    function eq(HeadHash actual, HeadHash expected, string memory what) internal pure {
        eq(HeadHash.unwrap(actual), HeadHash.unwrap(expected), what);
    }

    function eq(Digest actual, Digest expected, string memory what) internal pure {
        eq(Digest.unwrap(actual), Digest.unwrap(expected), what);
    }

    function eq(address actual, address expected, string memory what) internal pure {
        if (actual != expected) revert DiffersAddress(what, actual, expected);
    }

    function eq(string memory actual, string memory expected, string memory what) internal pure {
        if (keccak256(bytes(actual)) != keccak256(bytes(expected))) revert NotTrue(what);
    }

    function yes(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    /// @dev Maps any value into a range, both ends included.
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        if (value >= low && value <= high) return value;
        return low + (value % (high - low + 1));
    }
}

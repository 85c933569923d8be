// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from sdk/src/protocol/parameters.ts; do not edit.
pragma solidity ^0.8.30;

import {RunParams} from "../../../contracts/interfaces/RunParams.sol";

uint256 constant FIELDS = 21;

/// @notice The table of parameters by its columns, a word for each parameter.
library ParameterTable {
    /// @notice Bounds of a new run, and what it begins with.
    function range()
        internal
        pure
        returns (uint256[FIELDS] memory min, uint256[FIELDS] memory first, uint256[FIELDS] memory max)
    {
        (min[0], first[0], max[0]) = (4, 72, 4_096);
        (min[1], first[1], max[1]) = (4, 8, 4_096);
        (min[2], first[2], max[2]) = (0, 0, 10_000);
        (min[3], first[3], max[3]) = (1_000, 3_000_000, 100_000_000);
        (min[4], first[4], max[4]) = (1_000, 700_000, 2_000_000);
        (min[5], first[5], max[5]) = (0, 700_000, 990_000);
        (min[6], first[6], max[6]) = (1, 1, 64);
        (min[7], first[7], max[7]) = (1, 64, 256);
        (min[8], first[8], max[8]) = (5, 60, 86_400);
        (min[9], first[9], max[9]) = (0, 1, 1);
        (min[10], first[10], max[10]) = (0, 0, 0);
        (min[11], first[11], max[11]) = (0, 0, 0);
        (min[12], first[12], max[12]) = (0, 0, 0);
        (min[13], first[13], max[13]) = (1_000, 5_000, 10_000);
        (min[14], first[14], max[14]) = (0, 0, 0);
        (min[15], first[15], max[15]) = (0, 0, 0);
        (min[16], first[16], max[16]) = (0, 0, 2);
        (min[17], first[17], max[17]) = (0, 0, 0);
        (min[18], first[18], max[18]) = (0, 0, 1);
        (min[19], first[19], max[19]) = (0, 0, 1_000_000_000_000_000_000_000_000);
        (min[20], first[20], max[20]) = (0, 0, 0);
    }

    /// @notice The largest value of each field's type.
    function widest() internal pure returns (uint256[FIELDS] memory column) {
        column[0] = type(uint32).max;
        column[1] = type(uint32).max;
        column[2] = type(uint32).max;
        column[3] = type(uint32).max;
        column[4] = type(uint32).max;
        column[5] = type(uint32).max;
        column[6] = type(uint16).max;
        column[7] = type(uint16).max;
        column[8] = type(uint32).max;
        column[9] = type(uint8).max;
        column[10] = type(uint8).max;
        column[11] = type(uint8).max;
        column[12] = type(uint8).max;
        column[13] = type(uint16).max;
        column[14] = type(uint16).max;
        column[15] = type(uint16).max;
        column[16] = type(uint8).max;
        column[17] = type(uint8).max;
        column[18] = type(uint8).max;
        column[19] = type(uint128).max;
        column[20] = type(uint16).max;
    }

    function toWords(RunParams memory params) internal pure returns (uint256[FIELDS] memory) {
        return abi.decode(abi.encode(params), (uint256[21]));
    }

    function toParams(uint256[FIELDS] memory words) internal pure returns (RunParams memory) {
        return abi.decode(abi.encode(words), (RunParams));
    }
}

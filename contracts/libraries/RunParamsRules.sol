// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from sdk/src/protocol/parameters.ts; do not edit.
pragma solidity 0.8.37;

import {IRunRegistry} from "../interfaces/IRunRegistry.sol";
import {RunParams} from "../interfaces/RunParams.sol";

/// @title RunParamsRules
/// @notice What parameters of a run must satisfy, whoever sets them.
library RunParamsRules {
    uint256 private constant FIELDS = 21;

    /// @notice Reverts unless every field lies within its bounds and the fields fit together.
    /// @dev Reverts with RunRegistryParamOutOfBounds, RunRegistryParamsInconsistent.
    /// @param params The parameters.
    /// @param min Lower bound of each.
    /// @param max Upper bound of each.
    /// @param fragments Into how many parts the run divides its parameters.
    function requireValid(
        RunParams memory params,
        RunParams memory min,
        RunParams memory max,
        uint16 fragments
    ) internal pure {
        _requireWithin(params, min, max);
        _requireConsistent(params, fragments);
    }

    function _requireWithin(RunParams memory params, RunParams memory min, RunParams memory max) private pure {
        uint256[FIELDS] memory value = abi.decode(abi.encode(params), (uint256[21]));
        uint256[FIELDS] memory low = abi.decode(abi.encode(min), (uint256[21]));
        uint256[FIELDS] memory high = abi.decode(abi.encode(max), (uint256[21]));
        for (uint256 i = 0; i < FIELDS; ++i) {
            if (value[i] < low[i] || value[i] > high[i]) {
                revert IRunRegistry.RunRegistryParamOutOfBounds(i, value[i], low[i], high[i]);
            }
        }
    }

    function _requireConsistent(RunParams memory params, uint16 fragments) private pure {
        _require(params.innerSteps != 0 && params.innerSteps % fragments == 0, "innerSteps");
        _require(
            params.rampInnerSteps % fragments == 0 && (params.rampInnerSteps != 0 || params.rampRounds == 0),
            "rampInnerSteps"
        );
        _require(params.delaySteps < params.innerSteps / fragments, "delaySteps");
        _require(params.minWorkers != 0 && params.minWorkers <= params.maxWorkers, "minWorkers");
        _require(params.outerMomentumPpm <= 999_999, "outerMomentumPpm");
        _require(params.aggregatorBps <= 10_000, "aggregatorBps");
        _require(params.mixingBps <= 10_000, "mixingBps");
        _require(params.replayBps <= 10_000, "replayBps");
    }

    function _require(bool fits, bytes32 rule) private pure {
        if (!fits) revert IRunRegistry.RunRegistryParamsInconsistent(rule);
    }
}

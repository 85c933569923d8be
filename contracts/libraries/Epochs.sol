// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Schedule} from "../interfaces/IModelRegistry.sol";

/// @title Epochs
/// @notice A model's time in epochs of equal length, counted from 1 at its creation. Times are seconds since 1970.
/// sdk/src/protocol/epochs.ts computes the same.
library Epochs {
    /// @notice Epochs of a year; one that the year cuts counts as a whole one.
    /// @param epochLength How long an epoch is.
    /// @return How many.
    function perYear(uint256 epochLength) internal pure returns (uint256) {
        return Math.ceilDiv(365 days, epochLength);
    }

    /// @notice The epoch of a time.
    /// @param schedule The model's clock.
    /// @param time Any time.
    /// @return The epoch; 0 before the model's creation.
    function at(Schedule memory schedule, uint256 time) internal pure returns (uint256) {
        return time < schedule.start ? 0 : 1 + (time - schedule.start) / schedule.epochLength;
    }

    /// @notice The time at which an epoch is over, which is when the next one begins.
    /// @param schedule The model's clock.
    /// @param epoch The epoch; 0 ends where the model begins.
    /// @return The time.
    function end(Schedule memory schedule, uint256 epoch) internal pure returns (uint256) {
        return schedule.start + epoch * schedule.epochLength;
    }

    /// @notice The first epoch that is over at a time or later.
    /// @param schedule The model's clock.
    /// @param time Any time.
    /// @return The epoch.
    function firstEndingFrom(Schedule memory schedule, uint256 time) internal pure returns (uint256) {
        return time <= schedule.start ? 1 : Math.ceilDiv(time - schedule.start, schedule.epochLength);
    }
}

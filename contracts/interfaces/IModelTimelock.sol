// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title IModelTimelock
/// @notice Timelock of one model: OpenZeppelin's, whose delay stays within the registry's limits.
interface IModelTimelock {
    /// @notice Only the registry initialises.
    /// @param caller Who called.
    error ModelTimelockOnlyRegistry(address caller);
    /// @notice The delay is outside the registry's limits.
    /// @param delay The delay, in seconds.
    /// @param minimum Its lower limit.
    /// @param maximum Its upper limit.
    error ModelTimelockDelayOutOfBounds(uint256 delay, uint256 minimum, uint256 maximum);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title IModelTimelock
/// @notice Timelock of one model: OpenZeppelin's, with roles that never change, a delay that stays within the registry's
/// limits and that every operation waits exactly, and operations that expire. An expired operation counts as waiting for
/// ever: it can be cancelled, never executed, and not scheduled again beside itself.
interface IModelTimelock {
    /// @notice Only the registry initialises.
    /// @param caller Who called.
    error ModelTimelockOnlyRegistry(address caller);
    /// @notice The delay is outside the registry's limits.
    /// @param delay The delay, in seconds.
    /// @param minimum Its lower limit.
    /// @param maximum Its upper limit.
    error ModelTimelockDelayOutOfBounds(uint256 delay, uint256 minimum, uint256 maximum);
    /// @notice Roles are fixed at creation: none is granted, revoked or renounced.
    error ModelTimelockRolesFixed();
    /// @notice An operation waits exactly the timelock's delay.
    /// @param delay The delay that was asked for, in seconds.
    /// @param expected The timelock's, in seconds.
    error ModelTimelockDelayNotExact(uint256 delay, uint256 expected);

    /// @notice How long an operation that is ready may be executed. After it the operation has expired.
    /// @return Seconds.
    function gracePeriod() external view returns (uint256);

    /// @notice Whether an operation was ready for the whole grace period and was not executed.
    /// @param id The operation.
    /// @return True where it has expired; false, too, where there is no such operation.
    function isOperationExpired(bytes32 id) external view returns (bool);

    /// @notice The registry that made the clone.
    /// @return Its address.
    function registry() external view returns (address);
}

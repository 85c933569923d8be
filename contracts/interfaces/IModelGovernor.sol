// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {GovernorConfig} from "./IModelRegistry.sol";

/// @title IModelGovernor
/// @notice Governor of one model: OpenZeppelin's, with times and quorum held within the registry's limits for ever. The
/// quorum never falls below a fixed floor; the proposal threshold is bounded at creation alone.
interface IModelGovernor {
    /// @notice Only the registry initialises.
    /// @param caller Who called.
    error ModelGovernorOnlyRegistry(address caller);
    /// @notice The timelock of a model is fixed, for its address is what commands the model.
    error ModelGovernorTimelockFixed();
    /// @notice A setting is outside the registry's limits.
    /// @param value The setting: seconds, or basis points for the quorum.
    /// @param minimum Its lower limit.
    /// @param maximum Its upper limit.
    error ModelGovernorSettingOutOfBounds(uint256 value, uint256 minimum, uint256 maximum);

    /// @notice Called once by the registry, in the transaction that makes the clone.
    /// @dev Reverts with ModelGovernorOnlyRegistry, ModelGovernorSettingOutOfBounds.
    /// @param name_ The model's name.
    /// @param shares What votes are counted in.
    /// @param timelock_ What commands the model.
    /// @param config How the holders decide.
    function initialize(
        string calldata name_,
        address shares,
        address timelock_,
        GovernorConfig calldata config
    ) external;

    /// @notice Votes that a quorum needs at the least, whatever the supply.
    /// @return Votes, in wei of shares.
    function quorumFloor() external view returns (uint256);
}

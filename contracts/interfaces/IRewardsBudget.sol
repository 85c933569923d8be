// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @title IRewardsBudget
/// @notice What ComputeRewards needs of whatever funds the roots of a kind: Emission mints for compute, RevenueDeposits sets aside
/// for revenue. Both revert by errors of their own.
interface IRewardsBudget {
    /// @notice Funds a root; its distributor only.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param from The first epoch that the root covers.
    /// @param to The last epoch that the root covers.
    /// @param asOf The time at which the age of the epochs is judged, in seconds since 1970.
    /// @param amount The root's total, in the smallest units of what is paid.
    function authorise(ModelId modelId, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) external;

    /// @notice What a root of these epochs may add that a distributor posts: nothing unless it funds that one's roots at present.
    /// @param distributor Who would authorise it.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param from The first epoch that the root covers.
    /// @param to The last epoch that the root covers.
    /// @param asOf The time at which the age of the epochs is judged, in seconds since 1970.
    /// @return The sum, in the smallest units of what is paid.
    function authorisableBy(
        address distributor,
        ModelId modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256);
}

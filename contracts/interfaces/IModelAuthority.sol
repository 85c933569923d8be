// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @title IModelAuthority
/// @notice What all contracts share that serve many models and belong to nobody: who may command them for one model.
interface IModelAuthority {
    /// @notice The caller may not command this model.
    /// @param modelId The model.
    /// @param caller Who called.
    error ModelAuthorityUnauthorized(ModelId modelId, address caller);

    /// @notice The registry that says which timelock commands a model.
    /// @return Its address.
    function registry() external view returns (address);
}

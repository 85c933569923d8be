// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelId} from "../interfaces/Ids.sol";
import {IModelAuthority} from "../interfaces/IModelAuthority.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";

/// @title ModelAuthority
/// @notice Base of the contracts that serve all models. They have no owner: a model's timelock commands what concerns
/// that model, and the registry opens a model's books in them.
abstract contract ModelAuthority is IModelAuthority {
    IModelRegistry internal immutable REGISTRY;

    /// @notice Obeys one registry for ever.
    /// @param registry_ The registry's address, known before it has code.
    constructor(IModelRegistry registry_) {
        REGISTRY = registry_;
    }

    modifier onlyTimelock(ModelId modelId) {
        if (msg.sender != REGISTRY.timelockOf(modelId)) revert ModelAuthorityUnauthorized(modelId, msg.sender);
        _;
    }

    modifier onlyTimelockOrBootstrap(ModelId modelId) {
        _requireTimelockOrBootstrap(modelId);
        _;
    }

    modifier onlyRegistry(ModelId modelId) {
        if (msg.sender != address(REGISTRY)) revert ModelAuthorityUnauthorized(modelId, msg.sender);
        _;
    }

    /// @inheritdoc IModelAuthority
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @dev For what a model's organiser may do, too, while it is in bootstrap: Bootstrap knows when and who, and that the call is
    /// on this model.
    function _requireTimelockOrBootstrap(ModelId modelId) internal view {
        if (msg.sender == REGISTRY.timelockOf(modelId) || msg.sender == REGISTRY.bootstrap()) return;
        revert ModelAuthorityUnauthorized(modelId, msg.sender);
    }
}

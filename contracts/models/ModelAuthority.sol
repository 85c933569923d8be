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

    modifier onlyRegistry(ModelId modelId) {
        if (msg.sender != address(REGISTRY)) revert ModelAuthorityUnauthorized(modelId, msg.sender);
        _;
    }

    /// @inheritdoc IModelAuthority
    function registry() external view returns (address) {
        return address(REGISTRY);
    }
}

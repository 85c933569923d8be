// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TimelockControllerUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";
import {IModelRegistry, Limits} from "../interfaces/IModelRegistry.sol";
import {IModelTimelock} from "../interfaces/IModelTimelock.sol";

/// @title ModelTimelock
/// @notice Implementation behind every model's timelock: no admin, the governor proposes and cancels, anyone executes.
contract ModelTimelock is IModelTimelock, TimelockControllerUpgradeable {
    IModelRegistry private immutable REGISTRY;

    /// @notice The implementation itself can never be initialised.
    /// @param registry The registry that makes the clones and holds the limits.
    constructor(IModelRegistry registry) {
        REGISTRY = registry;
        _disableInitializers();
    }

    /// @notice Called once by the registry, in the transaction that makes the clone.
    /// @dev Reverts with ModelTimelockOnlyRegistry.
    /// @param minDelay Seconds between queueing an operation and executing it.
    /// @param proposers Who may queue and cancel: the model's governor.
    /// @param executors Who may execute: the zero address, which stands for anybody.
    /// @param admin The zero address: nobody.
    function initialize(
        uint256 minDelay,
        address[] memory proposers,
        address[] memory executors,
        address admin
    ) public override {
        if (msg.sender != address(REGISTRY)) revert ModelTimelockOnlyRegistry(msg.sender);
        super.initialize(minDelay, proposers, executors, admin);
    }

    /// @notice Changes the delay, within the registry's limits; only the timelock itself may.
    /// @dev Reverts with ModelTimelockDelayOutOfBounds, TimelockUnauthorizedCaller.
    /// @param newDelay Seconds between queueing an operation and executing it.
    function updateDelay(uint256 newDelay) public override {
        (Limits memory minimum, Limits memory maximum) = REGISTRY.limits();
        if (newDelay < minimum.timelockDelay || newDelay > maximum.timelockDelay) {
            revert ModelTimelockDelayOutOfBounds(newDelay, minimum.timelockDelay, maximum.timelockDelay);
        }
        super.updateDelay(newDelay);
    }
}

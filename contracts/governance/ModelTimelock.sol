// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TimelockControllerUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";
import {IModelRegistry, Limits} from "../interfaces/IModelRegistry.sol";
import {IModelTimelock} from "../interfaces/IModelTimelock.sol";
import {Protocol} from "../libraries/Protocol.sol";

/// @title ModelTimelock
/// @notice Implementation behind every model's timelock: the governor proposes and cancels, anyone executes, and no vote
/// changes that.
contract ModelTimelock is IModelTimelock, TimelockControllerUpgradeable {
    IModelRegistry private immutable REGISTRY;

    /// @notice The implementation itself can never be initialised.
    /// @param registry_ The registry that makes the clones and holds the limits.
    constructor(IModelRegistry registry_) {
        REGISTRY = registry_;
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

    /// @notice Queues an operation, for exactly the delay: none that is meant for a time which nobody looks at any more.
    /// @dev Reverts with ModelTimelockDelayNotExact, and as OpenZeppelin's.
    /// @param target What is called.
    /// @param value Coins sent along.
    /// @param data Call data.
    /// @param predecessor Operation that must be done before; 0 for none.
    /// @param salt Tells operations of the same content apart.
    /// @param delay The timelock's.
    function schedule(
        address target,
        uint256 value,
        bytes calldata data,
        bytes32 predecessor,
        bytes32 salt,
        uint256 delay
    ) public override {
        _requireExact(delay);
        super.schedule(target, value, data, predecessor, salt, delay);
    }

    /// @notice Queues an operation of several calls, for exactly the delay.
    /// @dev Reverts with ModelTimelockDelayNotExact, and as OpenZeppelin's.
    /// @param targets What is called, in this order.
    /// @param values Coins sent along.
    /// @param payloads Call data.
    /// @param predecessor Operation that must be done before; 0 for none.
    /// @param salt Tells operations of the same content apart.
    /// @param delay The timelock's.
    function scheduleBatch(
        address[] calldata targets,
        uint256[] calldata values,
        bytes[] calldata payloads,
        bytes32 predecessor,
        bytes32 salt,
        uint256 delay
    ) public override {
        _requireExact(delay);
        super.scheduleBatch(targets, values, payloads, predecessor, salt, delay);
    }

    /// @inheritdoc IModelTimelock
    function gracePeriod() external pure returns (uint256) {
        return Protocol.GRACE_PERIOD;
    }

    /// @inheritdoc IModelTimelock
    function isOperationExpired(bytes32 id) external view returns (bool) {
        return super.getOperationState(id) == OperationState.Ready && _isPastGrace(id);
    }

    /// @inheritdoc IModelTimelock
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @notice State of an operation; one that has expired is Waiting again, for ever.
    /// @param id The operation.
    /// @return Its state.
    function getOperationState(bytes32 id) public view override returns (OperationState) {
        OperationState current = super.getOperationState(id);
        // Not Unset: what nobody cancelled cannot be scheduled a second time, and cancelled stays apart from expired.
        return current == OperationState.Ready && _isPastGrace(id) ? OperationState.Waiting : current;
    }

    /// @notice Refused with ModelTimelockRolesFixed.
    function grantRole(bytes32, address) public pure override {
        revert ModelTimelockRolesFixed();
    }

    /// @notice Refused with ModelTimelockRolesFixed.
    function revokeRole(bytes32, address) public pure override {
        revert ModelTimelockRolesFixed();
    }

    /// @notice Refused with ModelTimelockRolesFixed.
    function renounceRole(bytes32, address) public pure override {
        revert ModelTimelockRolesFixed();
    }

    function _requireExact(uint256 delay) private view {
        uint256 expected = getMinDelay();
        if (delay != expected) revert ModelTimelockDelayNotExact(delay, expected);
    }

    function _isPastGrace(bytes32 id) private view returns (bool) {
        return block.timestamp > getTimestamp(id) + Protocol.GRACE_PERIOD;
    }
}

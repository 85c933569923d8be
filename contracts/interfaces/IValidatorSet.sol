// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title IValidatorSet
/// @notice Who signs for a model. Sets have versions; k of n of one version sign a digest. It is also the verifying
/// contract of a Ruling.
interface IValidatorSet {
    /// @notice A set was chosen; it counts from `effectiveAt` on.
    event ValidatorsSet(
        bytes32 indexed modelId,
        uint32 indexed version,
        address[] validators,
        uint16 threshold,
        uint48 effectiveAt
    );

    /// @notice A set has 1 to 64 validators.
    error ValidatorSetSize(uint256 size);
    /// @notice Validators come strictly ascending, none of them zero.
    error ValidatorSetNotAscending(address previous, address next);
    /// @notice The threshold must be at least two thirds of the set and at most all of it.
    error ValidatorSetThreshold(uint256 threshold, uint256 size);
    /// @notice At most a third of the set changes in one epoch.
    error ValidatorSetTooManyChanges(uint256 changes, uint256 allowed);
    /// @notice The set has changed in this epoch.
    error ValidatorSetChangedThisEpoch(bytes32 modelId, uint64 epoch);
    /// @notice The model has no such set.
    error ValidatorSetUnknownVersion(bytes32 modelId, uint32 version);
    /// @notice A signature's signer is not in the set, or not above the signer before.
    error ValidatorSetBadSigner(address signer);
    /// @notice Fewer signatures than the threshold.
    error ValidatorSetNoQuorum(uint256 count, uint256 threshold);

    /// @notice Records a new model's first set, version 1; the registry only.
    function open(bytes32 modelId, address[] calldata validators, uint16 threshold) external;

    /// @notice Chooses the next set; the model's timelock only. It counts after one full window. A set may take in and
    /// may let go a third of the set before it, rounded down but at least one, once per epoch.
    function setValidators(
        bytes32 modelId,
        address[] calldata validators,
        uint16 threshold
    ) external returns (uint32 version);

    /// @notice The version in force; 0 for a model that does not exist.
    function currentVersion(bytes32 modelId) external view returns (uint32);

    /// @notice A set; reverts for one that does not exist.
    function setOf(
        bytes32 modelId,
        uint32 version
    ) external view returns (address[] memory validators, uint16 threshold, uint48 effectiveAt);

    /// @notice Reverts unless the signatures over `digest` come from strictly ascending members of the set, at least
    /// as many as its threshold.
    function requireQuorum(bytes32 modelId, uint32 version, bytes32 digest, bytes[] calldata signatures) external view;

    /// @notice Counts the signatures over `digest`; reverts where one does not come from a member above the one before.
    function countSigners(
        bytes32 modelId,
        uint32 version,
        bytes32 digest,
        bytes[] calldata signatures
    ) external view returns (uint256 count, uint256 size);

    /// @notice EIP-712 domain separator of Ruling.
    function domainSeparator() external view returns (bytes32);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @title IValidatorSet
/// @notice Who signs for a model: its validators, and the maintainers of its code. Sets of either have versions; k of n of one
/// version sign a digest. It is also the verifying contract of a Ruling.
interface IValidatorSet {
    /// @notice A set was chosen; it counts from `effectiveAt` on.
    /// @param modelId The model.
    /// @param version Number of the set, from 1.
    /// @param validators Strictly ascending.
    /// @param threshold Signatures needed.
    /// @param effectiveAt From when on it counts, in seconds since 1970.
    event ValidatorsSet(
        ModelId indexed modelId,
        uint32 indexed version,
        address[] validators,
        uint16 threshold,
        uint48 effectiveAt
    );

    /// @notice A set of maintainers was chosen; it counts from `effectiveAt` on.
    /// @param modelId The model.
    /// @param version Number of the set, from 1.
    /// @param maintainers Strictly ascending.
    /// @param threshold Signatures needed.
    /// @param effectiveAt From when on it counts, in seconds since 1970.
    event MaintainersSet(
        ModelId indexed modelId,
        uint32 indexed version,
        address[] maintainers,
        uint16 threshold,
        uint48 effectiveAt
    );

    /// @notice An account said whether it may become a validator.
    /// @param modelId The model.
    /// @param account The account.
    /// @param consents Whether it may.
    event ValidatorConsent(ModelId indexed modelId, address indexed account, bool consents);

    /// @notice A set has 1 to 64 members.
    /// @param size How many there were.
    error ValidatorSetSize(uint256 size);
    /// @notice Members come strictly ascending, none of them zero.
    /// @param previous The member before; 0 before the first.
    /// @param next The member that is not above it.
    error ValidatorSetNotAscending(address previous, address next);
    /// @notice The threshold must be at least two thirds of the set and at most all of it.
    /// @param threshold Signatures needed.
    /// @param size Members of the set.
    error ValidatorSetThreshold(uint256 threshold, uint256 size);
    /// @notice At most a third of the set changes in one epoch.
    /// @param changes Members that come or that go, whichever are more.
    /// @param allowed How many may.
    error ValidatorSetTooManyChanges(uint256 changes, uint256 allowed);
    /// @notice The set has changed in this epoch.
    /// @param modelId The model.
    /// @param epoch The epoch.
    error ValidatorSetChangedThisEpoch(ModelId modelId, uint64 epoch);
    /// @notice The set that was to be replaced is not the newest: another was chosen meanwhile.
    /// @param modelId The model.
    /// @param replaces Number of the set that was named.
    /// @param latest Number of the newest set, in force or not.
    error ValidatorSetReplaced(ModelId modelId, uint32 replaces, uint32 latest);
    /// @notice An account that was not in the set before has not said that it wants to be a validator.
    /// @param modelId The model.
    /// @param account The account.
    error ValidatorSetNoConsent(ModelId modelId, address account);
    /// @notice The model has no such set.
    /// @param modelId The model.
    /// @param version Number of the set that was named.
    error ValidatorSetUnknownVersion(ModelId modelId, uint32 version);
    /// @notice A signature's signer is not in the set, or not above the signer before.
    /// @param signer Whom the signature gives.
    error ValidatorSetBadSigner(address signer);
    /// @notice Signatures are 65 bytes each, one behind the other.
    /// @param length How many bytes there were.
    error ValidatorSetBadLength(uint256 length);
    /// @notice Fewer signatures than the threshold.
    /// @param count How many signatures there were.
    /// @param threshold How many are needed.
    error ValidatorSetNoQuorum(uint256 count, uint256 threshold);

    /// @notice Records a new model's first set, version 1, which counts at once; the registry only.
    /// @dev Reverts with ModelAuthorityUnauthorized, ValidatorSetSize, ValidatorSetThreshold, ValidatorSetNotAscending.
    /// @param modelId The new model.
    /// @param validators Strictly ascending, 1 to 64 of them.
    /// @param threshold Signatures needed, at least two thirds of the validators.
    function open(ModelId modelId, address[] calldata validators, uint16 threshold) external;

    /// @notice Chooses the next set; the model's timelock, or Bootstrap for its organiser, only. It counts after one full window. A set may take in and
    /// may let go a third of the set before it, rounded down but at least one, once per epoch. Of two decisions on one set
    /// the first that is executed holds. Whoever comes must have consented, for this one time: the set holds its members' stake.
    /// @dev Reverts with ModelAuthorityUnauthorized, ValidatorSetReplaced, ValidatorSetChangedThisEpoch, ValidatorSetSize,
    /// ValidatorSetThreshold, ValidatorSetNotAscending, ValidatorSetTooManyChanges, ValidatorSetNoConsent.
    /// @param modelId The model.
    /// @param replaces Number of the newest set (`latestVersion`), which this decision was made on.
    /// @param validators Strictly ascending, 1 to 64 of them.
    /// @param threshold Signatures needed, at least two thirds of the validators.
    /// @return version Number of the new set.
    function setValidators(
        ModelId modelId,
        uint32 replaces,
        address[] calldata validators,
        uint16 threshold
    ) external returns (uint32 version);

    /// @notice Says whether the caller may be taken into the next set of validators that it is not in yet; taken in, it is used up.
    /// Who is in the first set never needs it, since nobody has stake in a model that is just being created.
    /// @param modelId The model.
    /// @param consents Whether it may; false takes it back, until then.
    function consent(ModelId modelId, bool consents) external;

    /// @notice Chooses the next set of maintainers; the model's timelock, or Bootstrap for its organiser, only. A model begins without any, and the first set may
    /// be whoever the holders like; from then on as `setValidators`.
    /// @dev Reverts as `setValidators`, but asks nobody for consent: a maintainer stakes nothing.
    /// @param modelId The model.
    /// @param replaces Number of the newest set (`latestMaintainers`), which this decision was made on; 0 for none.
    /// @param maintainers Strictly ascending, 1 to 64 of them.
    /// @param threshold Signatures needed, at least two thirds of the maintainers.
    /// @return version Number of the new set.
    function setMaintainers(
        ModelId modelId,
        uint32 replaces,
        address[] calldata maintainers,
        uint16 threshold
    ) external returns (uint32 version);

    /// @notice The version in force; 0 for a model that does not exist.
    /// @param modelId The model.
    /// @return version Number of the set.
    function currentVersion(ModelId modelId) external view returns (uint32 version);

    /// @notice The version that was chosen last, in force or not; 0 for a model that does not exist.
    /// @param modelId The model.
    /// @return version Number of the set, which the next decision replaces.
    function latestVersion(ModelId modelId) external view returns (uint32 version);

    /// @notice A set.
    /// @dev Reverts with ValidatorSetUnknownVersion.
    /// @param modelId The model.
    /// @param version Number of the set, counted from 1.
    /// @return validators Strictly ascending.
    /// @return threshold Signatures needed.
    /// @return effectiveAt From when on it counts, in seconds since 1970.
    function setOf(
        ModelId modelId,
        uint32 version
    ) external view returns (address[] memory validators, uint16 threshold, uint48 effectiveAt);

    /// @notice Whether an account may be taken into the next set of validators that it is not in yet.
    /// @param modelId The model.
    /// @param account The account.
    /// @return True from its `consent` on, until a set takes it in.
    function hasConsented(ModelId modelId, address account) external view returns (bool);

    /// @notice Until when an account is a validator: from then on sets without it are in force.
    /// @param modelId The model.
    /// @param account The account.
    /// @return In seconds since 1970, past or to come; 0 for one that never was a member, 2^48 - 1 for one of the newest set.
    function memberUntil(ModelId modelId, address account) external view returns (uint48);

    /// @notice The version of maintainers that is in force; 0 for none.
    /// @param modelId The model.
    /// @return version Number of the set.
    function currentMaintainers(ModelId modelId) external view returns (uint32 version);

    /// @notice The version of maintainers that was chosen last, in force or not; 0 for none.
    /// @param modelId The model.
    /// @return version Number of the set, which the next decision replaces.
    function latestMaintainers(ModelId modelId) external view returns (uint32 version);

    /// @notice A set of maintainers.
    /// @dev Reverts with ValidatorSetUnknownVersion.
    /// @param modelId The model.
    /// @param version Number of the set, counted from 1.
    /// @return maintainers Strictly ascending.
    /// @return threshold Signatures needed.
    /// @return effectiveAt From when on it counts, in seconds since 1970.
    function maintainersOf(
        ModelId modelId,
        uint32 version
    ) external view returns (address[] memory maintainers, uint16 threshold, uint48 effectiveAt);

    /// @notice Reverts unless the signatures over `digest` come from strictly ascending members of the set, at least
    /// as many as its threshold.
    /// @dev Reverts with ValidatorSetUnknownVersion, ValidatorSetBadLength, ValidatorSetNoQuorum, ValidatorSetBadSigner, and
    /// ECDSA's errors where a signature is malformed.
    /// @param modelId The model.
    /// @param version Number of the set.
    /// @param digest EIP-712 digest that was signed.
    /// @param signatures 65 bytes each (r, s, v), one behind the other.
    function requireQuorum(ModelId modelId, uint32 version, bytes32 digest, bytes calldata signatures) external view;

    /// @notice As `requireQuorum`, of a set of maintainers.
    /// @dev Reverts as `requireQuorum`.
    /// @param modelId The model.
    /// @param version Number of the set.
    /// @param digest EIP-712 digest that was signed.
    /// @param signatures 65 bytes each (r, s, v), one behind the other.
    function requireMaintainers(
        ModelId modelId,
        uint32 version,
        bytes32 digest,
        bytes calldata signatures
    ) external view;

    /// @notice Counts the signatures over `digest`; reverts where one does not come from a member above the one before.
    /// @dev Reverts with ValidatorSetUnknownVersion, ValidatorSetBadLength, ValidatorSetBadSigner, and ECDSA's errors where a
    /// signature is malformed.
    /// @param modelId The model.
    /// @param version Number of the set.
    /// @param digest EIP-712 digest that was signed.
    /// @param signatures 65 bytes each (r, s, v), one behind the other.
    /// @return count How many signatures there are.
    /// @return size How many members the set has.
    function countSigners(
        ModelId modelId,
        uint32 version,
        bytes32 digest,
        bytes calldata signatures
    ) external view returns (uint256 count, uint256 size);

    /// @notice EIP-712 domain separator of Ruling.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);
}

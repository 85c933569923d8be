// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title ValidatorSet
/// @notice See IValidatorSet.
contract ValidatorSet is IValidatorSet, ModelAuthority, EIP712 {
    uint256 private constant MAX_SIZE = 64;

    /// @dev Bytes of one signature: r, s, v.
    uint256 private constant SIGNATURE = 65;

    /// @dev Members lie in a fixed array, so that the first slot tells size, threshold and time at once.
    struct Set {
        uint16 size;
        uint16 threshold;
        uint48 effectiveAt;
        uint64 chosenIn;
        address[MAX_SIZE] members;
    }

    /// @dev A model's sets of one role.
    struct Sets {
        uint32 latest;
        mapping(uint32 version => Set) versions;
    }

    /// @dev What a model knows of an account as a validator.
    struct Member {
        /// The newest set of validators that has it; 0 where none ever had.
        uint32 newest;
        /// It may be taken into the next one.
        bool consents;
    }

    mapping(ModelId modelId => Sets) private _validators;
    mapping(ModelId modelId => Sets) private _maintainers;
    mapping(ModelId modelId => mapping(address account => Member)) private _members;

    /// @notice Keeps the signers of one registry's models.
    /// @param registry_ Says which timelock commands a model, and its clock.
    constructor(IModelRegistry registry_) ModelAuthority(registry_) EIP712(Protocol.NAME, Protocol.VERSION) {}

    /// @inheritdoc IValidatorSet
    function open(ModelId modelId, address[] calldata validators, uint16 threshold) external onlyRegistry(modelId) {
        _choose(_validators[modelId], 1, validators, threshold, uint48(block.timestamp), 0);
        _note(modelId, 1, validators);
        emit ValidatorsSet(modelId, 1, validators, threshold, uint48(block.timestamp));
    }

    /// @inheritdoc IValidatorSet
    function setValidators(
        ModelId modelId,
        uint32 replaces,
        address[] calldata validators,
        uint16 threshold
    ) external onlyTimelockOrBootstrap(modelId) returns (uint32 version) {
        uint48 effectiveAt;
        (version, effectiveAt) = _replace(modelId, _validators[modelId], replaces, validators, threshold);
        _note(modelId, version, validators);
        emit ValidatorsSet(modelId, version, validators, threshold, effectiveAt);
    }

    /// @inheritdoc IValidatorSet
    function consent(ModelId modelId, bool consents) external {
        _members[modelId][msg.sender].consents = consents;
        emit ValidatorConsent(modelId, msg.sender, consents);
    }

    /// @inheritdoc IValidatorSet
    function setMaintainers(
        ModelId modelId,
        uint32 replaces,
        address[] calldata maintainers,
        uint16 threshold
    ) external onlyTimelockOrBootstrap(modelId) returns (uint32 version) {
        uint48 effectiveAt;
        (version, effectiveAt) = _replace(modelId, _maintainers[modelId], replaces, maintainers, threshold);
        emit MaintainersSet(modelId, version, maintainers, threshold, effectiveAt);
    }

    /// @inheritdoc IValidatorSet
    function currentVersion(ModelId modelId) external view returns (uint32 version) {
        return _current(_validators[modelId]);
    }

    /// @inheritdoc IValidatorSet
    function latestVersion(ModelId modelId) external view returns (uint32) {
        return _validators[modelId].latest;
    }

    /// @inheritdoc IValidatorSet
    function setOf(
        ModelId modelId,
        uint32 version
    ) external view returns (address[] memory validators, uint16 threshold, uint48 effectiveAt) {
        return _describe(_existing(modelId, _validators[modelId], version));
    }

    /// @inheritdoc IValidatorSet
    function hasConsented(ModelId modelId, address account) external view returns (bool) {
        return _members[modelId][account].consents;
    }

    /// @inheritdoc IValidatorSet
    function memberUntil(ModelId modelId, address account) external view returns (uint48) {
        uint32 version = _members[modelId][account].newest;
        if (version == 0) return 0;
        Sets storage sets = _validators[modelId];
        return version == sets.latest ? type(uint48).max : sets.versions[version + 1].effectiveAt;
    }

    /// @inheritdoc IValidatorSet
    function currentMaintainers(ModelId modelId) external view returns (uint32 version) {
        return _current(_maintainers[modelId]);
    }

    /// @inheritdoc IValidatorSet
    function latestMaintainers(ModelId modelId) external view returns (uint32) {
        return _maintainers[modelId].latest;
    }

    /// @inheritdoc IValidatorSet
    function maintainersOf(
        ModelId modelId,
        uint32 version
    ) external view returns (address[] memory maintainers, uint16 threshold, uint48 effectiveAt) {
        return _describe(_existing(modelId, _maintainers[modelId], version));
    }

    /// @inheritdoc IValidatorSet
    function requireQuorum(ModelId modelId, uint32 version, bytes32 digest, bytes calldata signatures) external view {
        _requireQuorum(_existing(modelId, _validators[modelId], version), digest, signatures);
    }

    /// @inheritdoc IValidatorSet
    function requireMaintainers(
        ModelId modelId,
        uint32 version,
        bytes32 digest,
        bytes calldata signatures
    ) external view {
        _requireQuorum(_existing(modelId, _maintainers[modelId], version), digest, signatures);
    }

    /// @inheritdoc IValidatorSet
    function countSigners(
        ModelId modelId,
        uint32 version,
        bytes32 digest,
        bytes calldata signatures
    ) external view returns (uint256 count, uint256 size) {
        Set storage set = _existing(modelId, _validators[modelId], version);
        count = _countOf(signatures);
        _requireSigners(set, digest, signatures);
        return (count, set.size);
    }

    /// @inheritdoc IValidatorSet
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _replace(
        ModelId modelId,
        Sets storage sets,
        uint32 replaces,
        address[] calldata members,
        uint16 threshold
    ) private returns (uint32 version, uint48 effectiveAt) {
        Schedule memory schedule = REGISTRY.scheduleOf(modelId);
        uint64 epoch = uint64(Epochs.at(schedule, block.timestamp));
        version = sets.latest;
        if (replaces != version) revert ValidatorSetReplaced(modelId, replaces, version);
        Set storage previous = sets.versions[version];
        if (previous.chosenIn == epoch) revert ValidatorSetChangedThisEpoch(modelId, epoch);
        effectiveAt = uint48(block.timestamp + schedule.window);
        _choose(sets, ++version, members, threshold, effectiveAt, epoch);
        // Validators there are from the model's creation on; the first maintainers replace nobody.
        if (version != 1) _requireFewChanges(previous, members);
    }

    function _choose(
        Sets storage sets,
        uint32 version,
        address[] calldata validators,
        uint16 threshold,
        uint48 effectiveAt,
        uint64 epoch
    ) private {
        uint256 size = validators.length;
        if (size == 0 || size > MAX_SIZE) revert ValidatorSetSize(size);
        if (uint256(threshold) * 3 < size * 2 || threshold > size) revert ValidatorSetThreshold(threshold, size);

        Set storage set = sets.versions[version];
        set.size = uint16(size);
        set.threshold = threshold;
        set.effectiveAt = effectiveAt;
        set.chosenIn = epoch;
        address last = address(0);
        for (uint256 i = 0; i < size; ++i) {
            address validator = validators[i];
            if (validator <= last) revert ValidatorSetNotAscending(last, validator);
            set.members[i] = last = validator;
        }
        sets.latest = version;
    }

    /// @dev Whoever was not in the set before must have said that it wants to be: a set holds its members' stake. The first set (before
    /// it is number 0, in which all are that never were in any) holds none, since nobody can stake for a model that is not there.
    function _note(ModelId modelId, uint32 version, address[] calldata validators) private {
        for (uint256 i = 0; i < validators.length; ++i) {
            Member storage member = _members[modelId][validators[i]];
            if (member.newest != version - 1) {
                if (!member.consents) revert ValidatorSetNoConsent(modelId, validators[i]);
                // For one time: who has left is not taken in again unasked.
                member.consents = false;
            }
            member.newest = version;
        }
    }

    function _requireFewChanges(Set storage previous, address[] calldata validators) private view {
        uint256 size = previous.size;
        uint256 kept = 0;
        uint256 j = 0;
        for (uint256 i = 0; i < size; ++i) {
            address member = previous.members[i];
            while (j < validators.length && validators[j] < member) ++j;
            if (j < validators.length && validators[j] == member) ++kept;
        }
        uint256 gone = size - kept;
        uint256 come = validators.length - kept;
        uint256 changes = gone > come ? gone : come;
        // A set of one or two could never change by a third.
        uint256 allowed = size < 3 ? 1 : size / 3;
        if (changes > allowed) revert ValidatorSetTooManyChanges(changes, allowed);
    }

    function _current(Sets storage sets) private view returns (uint32 version) {
        version = sets.latest;
        // Only sets chosen within the last window are passed over, one per epoch at most; number 0 has no time.
        while (sets.versions[version].effectiveAt > block.timestamp) --version;
    }

    function _describe(
        Set storage set
    ) private view returns (address[] memory members, uint16 threshold, uint48 effectiveAt) {
        members = new address[](set.size);
        for (uint256 i = 0; i < members.length; ++i) members[i] = set.members[i];
        return (members, set.threshold, set.effectiveAt);
    }

    function _requireQuorum(Set storage set, bytes32 digest, bytes calldata signatures) private view {
        (uint256 count, uint256 threshold) = (_countOf(signatures), set.threshold);
        if (count < threshold) revert ValidatorSetNoQuorum(count, threshold);
        _requireSigners(set, digest, signatures);
    }

    /// @dev Members ascend and signers must, so one walk along the set finds every signer and admits none twice.
    function _requireSigners(Set storage set, bytes32 digest, bytes calldata signatures) private view {
        uint256 size = set.size;
        uint256 next = 0;
        for (uint256 from = 0; from < signatures.length; from += SIGNATURE) {
            address signer = ECDSA.recoverCalldata(digest, signatures[from:from + SIGNATURE]);
            address member = address(0);
            while (member < signer && next < size) member = set.members[next++];
            if (member != signer) revert ValidatorSetBadSigner(signer);
        }
    }

    function _existing(ModelId modelId, Sets storage sets, uint32 version) private view returns (Set storage set) {
        set = sets.versions[version];
        if (set.size == 0) revert ValidatorSetUnknownVersion(modelId, version);
    }

    function _countOf(bytes calldata signatures) private pure returns (uint256) {
        if (signatures.length % SIGNATURE != 0) revert ValidatorSetBadLength(signatures.length);
        return signatures.length / SIGNATURE;
    }
}

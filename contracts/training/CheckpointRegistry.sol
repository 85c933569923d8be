// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Digest, HeadHash, ModelId, RunId} from "../interfaces/Ids.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {ICheckpointRegistry, NewHead} from "../interfaces/ICheckpointRegistry.sol";
import {IModelAuthority} from "../interfaces/IModelAuthority.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRunRegistry, Run, Status} from "../interfaces/IRunRegistry.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {Head, Suspend} from "../interfaces/Statements.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";

/// @title CheckpointRegistry
/// @notice See ICheckpointRegistry. The last link of a run is rewritten in place, beside what posting must know of the run.
contract CheckpointRegistry is ICheckpointRegistry, EIP712 {
    /// @dev Everything but the head fits one slot.
    struct Link {
        HeadHash head;
        address poster;
        uint32 sequence;
        uint32 round;
        uint24 paramsVersion;
        /// Of the two below: heads are taken where it is OPEN alone.
        uint8 standing;
    }

    /// @dev What an organiser has announced: from when on it may be done.
    struct Announcement {
        bytes32 digest;
        uint48 readyAt;
    }

    uint8 private constant OPEN = 1;
    uint8 private constant SUSPENDED = 2;

    address private immutable RUNS;
    IValidatorSet private immutable VALIDATORS;

    mapping(RunId runId => Link) private _links;
    mapping(bytes32 digest => bool) private _used;
    mapping(RunId runId => Announcement) private _announced;

    /// @notice Obeys one RunRegistry for ever.
    /// @param runs_ RunRegistry, which opens runs here and says who posts for them.
    /// @param validators_ Says who signs suspensions.
    constructor(address runs_, IValidatorSet validators_) EIP712(Protocol.NAME, Protocol.VERSION) {
        RUNS = runs_;
        VALIDATORS = validators_;
    }

    modifier onlyRunRegistry() {
        if (msg.sender != RUNS) revert CheckpointRegistryOnlyRunRegistry(msg.sender);
        _;
    }

    /// @inheritdoc ICheckpointRegistry
    function open(RunId runId, Digest checkpointDigest) external onlyRunRegistry returns (HeadHash) {
        if (checkpointDigest.isZero()) revert CheckpointRegistryDigestMissing(runId);
        return _links[runId].head = _announce(_head(runId, HeadHash.wrap(0), 0, 0), 1, checkpointDigest, 0);
    }

    /// @inheritdoc ICheckpointRegistry
    function update(RunId runId, address poster, bool isOpen, uint32 paramsVersion) external onlyRunRegistry {
        Link storage link = _links[runId];
        // Only another poster ends a suspension.
        uint8 suspended = link.poster == poster ? link.standing & SUSPENDED : 0;
        link.standing = suspended | (isOpen ? OPEN : 0);
        link.poster = poster;
        link.paramsVersion = SafeCast.toUint24(paramsVersion);
    }

    /// @inheritdoc ICheckpointRegistry
    function post(
        RunId runId,
        HeadHash parentHead,
        uint64 round,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    ) external returns (HeadHash) {
        Link memory link = _links[runId];
        if (parentHead != link.head) {
            Head memory head = _head(runId, parentHead, link.sequence, round);
            if (_hash(head, paramsVersion, checkpointDigest, receiptsRoot) == link.head) return link.head;
            revert CheckpointRegistryStaleParent(runId, parentHead, link.head);
        }
        _requireTurn(runId, link, round);
        _extend(runId, link, paramsVersion, checkpointDigest, receiptsRoot);
        return _store(runId, link);
    }

    /// @inheritdoc ICheckpointRegistry
    function postMany(
        RunId runId,
        HeadHash parentHead,
        uint64 round,
        NewHead[] calldata heads
    ) external returns (HeadHash) {
        Link memory link = _links[runId];
        uint256 i = parentHead == link.head ? 0 : _countPosted(runId, link, parentHead, round, heads);
        if (i == heads.length) return link.head;

        _requireTurn(runId, link, round + i);
        for (; i < heads.length; ++i) {
            NewHead calldata head = heads[i];
            _extend(runId, link, head.paramsVersion, head.checkpointDigest, head.receiptsRoot);
        }
        return _store(runId, link);
    }

    /// @inheritdoc ICheckpointRegistry
    function suspend(Suspend calldata suspension, bytes calldata signatures) external {
        RunId runId = suspension.runId;
        Link storage link = _links[runId];
        bytes32 digest = _hashTypedDataV4(ProtocolHashes.hashSuspend(suspension));
        if (suspension.poster != link.poster) {
            revert CheckpointRegistryOtherPoster(runId, suspension.poster, link.poster);
        }
        if (_used[digest]) {
            if (link.standing & SUSPENDED != 0) return;
            revert CheckpointRegistrySuspensionUsed(runId, digest);
        }
        if (block.timestamp > suspension.deadline) revert CheckpointRegistrySuspensionExpired(suspension.deadline);

        ModelId modelId = IRunRegistry(RUNS).runOf(runId).modelId;
        uint32 version = VALIDATORS.currentVersion(modelId);
        if (suspension.setVersion != version) revert CheckpointRegistryStaleSet(suspension.setVersion, version);
        VALIDATORS.requireQuorum(modelId, version, digest, signatures);

        _used[digest] = true;
        _suspend(runId, suspension.poster, suspension.head, version);
    }

    /// @inheritdoc ICheckpointRegistry
    function suspendAsOrganiser(RunId runId, address poster, HeadHash head) external {
        (ModelId modelId, IModelRegistry registry) = _modelOf(runId);
        if (!_isBootstrapping(modelId, registry)) revert CheckpointRegistryMayNotSuspend(runId, msg.sender);
        Link storage link = _links[runId];
        if (poster != link.poster) revert CheckpointRegistryOtherPoster(runId, poster, link.poster);
        if (link.standing & SUSPENDED != 0) return;
        // Sets count from 1.
        _suspend(runId, poster, head, 0);
    }

    /// @inheritdoc ICheckpointRegistry
    function announceRollback(RunId runId, HeadHash currentHead, uint64 round, Digest checkpointDigest) external {
        (ModelId modelId, IModelRegistry registry) = _modelOf(runId);
        _requireBootstrapping(runId, modelId, registry);
        _requireBack(runId, _links[runId], currentHead, round, checkpointDigest);
        uint48 readyAt = uint48(block.timestamp + registry.scheduleOf(modelId).window);
        _announced[runId] = Announcement(keccak256(abi.encode(currentHead, round, checkpointDigest)), readyAt);
        emit RollbackAnnounced(runId, currentHead, round, checkpointDigest, readyAt);
    }

    /// @inheritdoc ICheckpointRegistry
    function rollback(
        RunId runId,
        HeadHash currentHead,
        uint64 round,
        Digest checkpointDigest
    ) external returns (HeadHash) {
        (ModelId modelId, IModelRegistry registry) = _modelOf(runId);
        if (msg.sender != registry.timelockOf(modelId)) {
            _requireBootstrapping(runId, modelId, registry);
            Announcement memory announced = _announced[runId];
            if (announced.digest != keccak256(abi.encode(currentHead, round, checkpointDigest))) {
                revert CheckpointRegistryNotAnnounced(runId);
            }
            if (block.timestamp < announced.readyAt) revert CheckpointRegistryTooEarly(runId, announced.readyAt);
        }
        Link memory link = _links[runId];
        _requireBack(runId, link, currentHead, round, checkpointDigest);
        // Fits: it lies below one that does.
        link.round = uint32(round);
        Head memory head = _head(runId, currentHead, ++link.sequence, round);
        link.head = _announce(head, link.paramsVersion, checkpointDigest, 0);
        emit RolledBack(runId, link.head, currentHead, round, msg.sender);
        return _store(runId, link);
    }

    /// @inheritdoc ICheckpointRegistry
    function announcedRollback(RunId runId) external view returns (bytes32 digest, uint48 readyAt) {
        return (_announced[runId].digest, _announced[runId].readyAt);
    }

    /// @inheritdoc ICheckpointRegistry
    function isSuspended(RunId runId) external view returns (bool) {
        return _links[runId].standing & SUSPENDED != 0;
    }

    /// @inheritdoc ICheckpointRegistry
    function validators() external view returns (address) {
        return address(VALIDATORS);
    }

    /// @inheritdoc ICheckpointRegistry
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc ICheckpointRegistry
    function runs() external view returns (address) {
        return RUNS;
    }

    /// @inheritdoc ICheckpointRegistry
    function headOf(RunId runId) external view returns (HeadHash head, uint64 sequence, uint64 round) {
        Link storage link = _links[runId];
        return (link.head, link.sequence, link.round);
    }

    function _suspend(RunId runId, address poster, HeadHash head, uint32 setVersion) private {
        _links[runId].standing |= SUSPENDED;
        emit PosterSuspended(runId, poster, head, setVersion);
    }

    /// @dev Adds to what is in memory, and says so.
    function _extend(
        RunId runId,
        Link memory link,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    ) private {
        if (paramsVersion == 0 || paramsVersion > link.paramsVersion) {
            revert CheckpointRegistryUnknownParams(runId, paramsVersion);
        }
        if (checkpointDigest.isZero()) revert CheckpointRegistryDigestMissing(runId);
        Head memory head = _head(runId, link.head, ++link.sequence, ++link.round);
        link.head = _announce(head, paramsVersion, checkpointDigest, receiptsRoot);
    }

    function _store(RunId runId, Link memory link) private returns (HeadHash) {
        Link storage stored = _links[runId];
        stored.head = link.head;
        stored.sequence = link.sequence;
        stored.round = link.round;
        return link.head;
    }

    function _announce(
        Head memory head,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    ) private returns (HeadHash hash) {
        hash = _hash(head, paramsVersion, checkpointDigest, receiptsRoot);
        emit HeadPosted(
            head.runId,
            hash,
            head.parentHead,
            head.sequence,
            head.round,
            paramsVersion,
            checkpointDigest,
            receiptsRoot
        );
    }

    /// @dev How many of a batch are there already, where one of them is the current head.
    function _countPosted(
        RunId runId,
        Link memory link,
        HeadHash parentHead,
        uint64 round,
        NewHead[] calldata heads
    ) private view returns (uint256 count) {
        // Rounds and sequence rise together along a batch, and no sequence lies below its round.
        if (round <= link.round && link.round - round < heads.length) {
            count = link.round - round + 1;
            Head memory head = _head(runId, parentHead, link.sequence + 1 - count, round);
            for (uint256 i = 0; i < count; ++i) {
                NewHead calldata next = heads[i];
                head.parentHead = _hash(head, next.paramsVersion, next.checkpointDigest, next.receiptsRoot);
                ++head.sequence;
                ++head.round;
            }
            if (head.parentHead == link.head) return count;
        }
        revert CheckpointRegistryStaleParent(runId, parentHead, link.head);
    }

    /// @dev Of a run that may go back: no head follows the last one of a run that is finished, so that what was decided on it could be
    /// done at any time, and would stand among the heads that a later run is paid for.
    function _modelOf(RunId runId) private view returns (ModelId modelId, IModelRegistry registry) {
        Run memory run = IRunRegistry(RUNS).runOf(runId);
        if (run.status == Status.Finished) revert CheckpointRegistryRunNotOpen(runId);
        modelId = run.modelId;
        registry = IModelRegistry(IModelAuthority(RUNS).registry());
    }

    function _requireBootstrapping(RunId runId, ModelId modelId, IModelRegistry registry) private {
        if (!_isBootstrapping(modelId, registry)) revert CheckpointRegistryMayNotRollBack(runId, msg.sender);
    }

    /// @dev The caller is the organiser of a model whose bootstrap is not over, nor due to be.
    function _isBootstrapping(ModelId modelId, IModelRegistry registry) private returns (bool) {
        return msg.sender == registry.organiserOf(modelId) && !IBootstrap(registry.bootstrap()).endIfDue(modelId);
    }

    function _requireBack(
        RunId runId,
        Link memory link,
        HeadHash currentHead,
        uint64 round,
        Digest checkpointDigest
    ) private pure {
        if (currentHead != link.head) revert CheckpointRegistryStaleParent(runId, currentHead, link.head);
        if (round >= link.round) revert CheckpointRegistryNotBack(runId, round, link.round);
        if (checkpointDigest.isZero()) revert CheckpointRegistryDigestMissing(runId);
    }

    function _requireTurn(RunId runId, Link memory link, uint256 round) private view {
        if (msg.sender != link.poster) revert CheckpointRegistryNotPoster(runId, msg.sender);
        if (link.standing != OPEN) {
            if (link.standing & SUSPENDED != 0) revert CheckpointRegistrySuspended(runId, link.poster);
            revert CheckpointRegistryRunNotOpen(runId);
        }
        if (round != uint256(link.round) + 1) revert CheckpointRegistryRoundNotNext(runId, uint64(round), link.round);
    }

    /// @dev A head of which its place is known.
    function _head(
        RunId runId,
        HeadHash parentHead,
        uint256 sequence,
        uint64 round
    ) private view returns (Head memory head) {
        head.chainId = block.chainid;
        head.registry = address(this);
        head.parentHead = parentHead;
        head.runId = runId;
        head.sequence = uint64(sequence);
        head.round = round;
    }

    /// @dev Completes a head.
    function _hash(
        Head memory head,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    ) private pure returns (HeadHash) {
        head.paramsVersion = paramsVersion;
        head.checkpointDigest = checkpointDigest;
        head.receiptsRoot = receiptsRoot;
        return ProtocolHashes.hashHead(head);
    }
}

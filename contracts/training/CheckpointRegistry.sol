// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Digest, HeadHash, RunId} from "../interfaces/Ids.sol";
import {ICheckpointRegistry} from "../interfaces/ICheckpointRegistry.sol";
import {Head} from "../interfaces/Statements.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";

/// @title CheckpointRegistry
/// @notice See ICheckpointRegistry. The last link of a run is rewritten in place, beside what posting must know of the run.
contract CheckpointRegistry is ICheckpointRegistry {
    /// @dev Everything but the head fits one slot.
    struct Link {
        HeadHash head;
        address poster;
        uint32 sequence;
        uint32 round;
        uint24 paramsVersion;
        bool isOpen;
    }

    address private immutable RUNS;

    mapping(RunId runId => Link) private _links;

    /// @notice Obeys one RunRegistry for ever.
    /// @param runs_ RunRegistry, which opens runs here and says who posts for them.
    constructor(address runs_) {
        RUNS = runs_;
    }

    modifier onlyRunRegistry() {
        if (msg.sender != RUNS) revert CheckpointRegistryOnlyRunRegistry(msg.sender);
        _;
    }

    /// @inheritdoc ICheckpointRegistry
    function open(RunId runId, Digest checkpointDigest) external onlyRunRegistry returns (HeadHash) {
        return _extend(_head(runId, HeadHash.wrap(0), 0, 0, 1, checkpointDigest, 0));
    }

    /// @inheritdoc ICheckpointRegistry
    function update(RunId runId, address poster, bool isOpen, uint32 paramsVersion) external onlyRunRegistry {
        Link storage link = _links[runId];
        link.poster = poster;
        link.isOpen = isOpen;
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
        Head memory head = _head(
            runId,
            parentHead,
            link.sequence,
            round,
            paramsVersion,
            checkpointDigest,
            receiptsRoot
        );
        if (parentHead != link.head) {
            if (ProtocolHashes.hashHead(head) == link.head) return link.head;
            revert CheckpointRegistryStaleParent(runId, parentHead, link.head);
        }

        if (msg.sender != link.poster) revert CheckpointRegistryNotPoster(runId, msg.sender);
        if (!link.isOpen) revert CheckpointRegistryRunNotOpen(runId);
        if (round <= link.round) revert CheckpointRegistryRoundNotAbove(runId, round, link.round);
        if (paramsVersion == 0 || paramsVersion > link.paramsVersion) {
            revert CheckpointRegistryUnknownParams(runId, paramsVersion);
        }

        ++head.sequence;
        return _extend(head);
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

    function _extend(Head memory head) private returns (HeadHash hash) {
        if (head.checkpointDigest.isZero()) revert CheckpointRegistryDigestMissing(head.runId);
        hash = ProtocolHashes.hashHead(head);
        Link storage link = _links[head.runId];
        link.head = hash;
        link.sequence = SafeCast.toUint32(head.sequence);
        link.round = SafeCast.toUint32(head.round);
        emit HeadPosted(
            head.runId,
            hash,
            head.parentHead,
            head.sequence,
            head.round,
            head.paramsVersion,
            head.checkpointDigest,
            head.receiptsRoot
        );
    }

    function _head(
        RunId runId,
        HeadHash parentHead,
        uint64 sequence,
        uint64 round,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    ) private view returns (Head memory) {
        return
            Head({
                chainId: block.chainid,
                registry: address(this),
                parentHead: parentHead,
                runId: runId,
                sequence: sequence,
                round: round,
                paramsVersion: paramsVersion,
                checkpointDigest: checkpointDigest,
                receiptsRoot: receiptsRoot
            });
    }
}

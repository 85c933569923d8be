// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ICheckpointRegistry} from "../interfaces/ICheckpointRegistry.sol";
import {IRunRegistry, Status} from "../interfaces/IRunRegistry.sol";
import {Head} from "../interfaces/Statements.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";

/// @title CheckpointRegistry
/// @notice See ICheckpointRegistry. The last link of a run is rewritten in place.
contract CheckpointRegistry is ICheckpointRegistry {
    struct Link {
        bytes32 head;
        uint64 sequence;
        uint64 round;
    }

    IRunRegistry private immutable RUNS;

    mapping(bytes32 runId => Link) private _links;

    /// @param runs Says who posts for a run, and whether it is open.
    constructor(IRunRegistry runs) {
        RUNS = runs;
    }

    /// @inheritdoc ICheckpointRegistry
    function open(bytes32 runId, bytes32 checkpointDigest) external returns (bytes32) {
        if (msg.sender != address(RUNS)) revert CheckpointRegistryOnlyRunRegistry(msg.sender);
        return _extend(_head(runId, 0, 0, 0, 1, checkpointDigest, 0));
    }

    /// @inheritdoc ICheckpointRegistry
    function post(
        bytes32 runId,
        bytes32 parentHead,
        uint64 round,
        uint32 paramsVersion,
        bytes32 checkpointDigest,
        bytes32 receiptsRoot
    ) external returns (bytes32) {
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

        (address poster, Status status, uint32 version) = RUNS.postingOf(runId);
        if (msg.sender != poster) revert CheckpointRegistryNotPoster(runId, msg.sender);
        if (status != Status.Open) revert CheckpointRegistryRunNotOpen(runId);
        if (round <= link.round) revert CheckpointRegistryRoundNotAbove(runId, round, link.round);
        if (paramsVersion == 0 || paramsVersion > version) {
            revert CheckpointRegistryUnknownParams(runId, paramsVersion);
        }

        ++head.sequence;
        return _extend(head);
    }

    /// @inheritdoc ICheckpointRegistry
    function headOf(bytes32 runId) external view returns (bytes32 head, uint64 sequence, uint64 round) {
        Link storage link = _links[runId];
        return (link.head, link.sequence, link.round);
    }

    function _extend(Head memory head) private returns (bytes32 hash) {
        if (head.checkpointDigest == 0) revert CheckpointRegistryDigestMissing(head.runId);
        hash = ProtocolHashes.hashHead(head);
        _links[head.runId] = Link(hash, head.sequence, head.round);
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
        bytes32 runId,
        bytes32 parentHead,
        uint64 sequence,
        uint64 round,
        uint32 paramsVersion,
        bytes32 checkpointDigest,
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

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title ICheckpointRegistry
/// @notice Each run's hash chain of checkpoints. The contract keeps the last link, events keep the rest. A head is the
/// claim of the run's poster until validators sign the epoch that covers it.
interface ICheckpointRegistry {
    /// @notice A link was added. `chainId` and `registry`, the other two fields of a Head, are those of this log.
    event HeadPosted(
        bytes32 indexed runId,
        bytes32 indexed head,
        bytes32 parentHead,
        uint64 sequence,
        uint64 round,
        uint32 paramsVersion,
        bytes32 checkpointDigest,
        bytes32 receiptsRoot
    );

    /// @notice Only RunRegistry opens a run here and says who posts for it.
    error CheckpointRegistryOnlyRunRegistry(address caller);
    /// @notice The caller is not the run's poster.
    error CheckpointRegistryNotPoster(bytes32 runId, address caller);
    /// @notice The run takes no heads while it is paused or finished.
    error CheckpointRegistryRunNotOpen(bytes32 runId);
    /// @notice The parent is not the run's current head.
    error CheckpointRegistryStaleParent(bytes32 runId, bytes32 parentHead, bytes32 currentHead);
    /// @notice The round must lie above the current one.
    error CheckpointRegistryRoundNotAbove(bytes32 runId, uint64 round, uint64 currentRound);
    /// @notice The run has no such version of its parameters.
    error CheckpointRegistryUnknownParams(bytes32 runId, uint32 paramsVersion);
    /// @notice A checkpoint needs a digest.
    error CheckpointRegistryDigestMissing(bytes32 runId);

    /// @notice Records checkpoint 0; called by RunRegistry when it registers the run.
    function open(bytes32 runId, bytes32 checkpointDigest) external returns (bytes32 head);

    /// @notice Tells who posts for a run, whether it takes heads, and its latest parameters; called by RunRegistry
    /// whenever one of them changes, so that posting a head needs no call to another contract.
    function update(bytes32 runId, address poster, bool isOpen, uint32 paramsVersion) external;

    /// @notice Adds a link. What equals the current head is a success and changes nothing, so that a poster may send
    /// again what it does not know to have arrived.
    /// @param parentHead The current head.
    /// @param round Rounds completed.
    /// @param paramsVersion Parameters under which the round ran.
    /// @param checkpointDigest sha256 of the checkpoint's manifest.
    /// @param receiptsRoot Root of the round's receipts.
    function post(
        bytes32 runId,
        bytes32 parentHead,
        uint64 round,
        uint32 paramsVersion,
        bytes32 checkpointDigest,
        bytes32 receiptsRoot
    ) external returns (bytes32 head);

    /// @notice The run's last link; all zero for a run that does not exist.
    function headOf(bytes32 runId) external view returns (bytes32 head, uint64 sequence, uint64 round);
}

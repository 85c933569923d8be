// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, RunId} from "./Ids.sol";
import {Suspend} from "./Statements.sol";

/// @notice What a poster says of a checkpoint; parent, sequence and round follow from the head before.
/// @param paramsVersion Parameters under which the round ran.
/// @param checkpointDigest sha256 of the checkpoint's manifest.
/// @param receiptsRoot Root of the round's receipts.
struct NewHead {
    uint32 paramsVersion;
    Digest checkpointDigest;
    bytes32 receiptsRoot;
}

/// @title ICheckpointRegistry
/// @notice Each run's hash chain of checkpoints. Rounds rise by one from link to link; a rollback alone goes back. The contract keeps the last link, events keep the rest. A head is the
/// claim of the run's poster until validators sign the epoch that covers it.
interface ICheckpointRegistry {
    /// @notice A link was added. `chainId` and `registry`, the other two fields of a Head, are those of this log.
    /// @param runId The run.
    /// @param head The new link.
    /// @param parentHead The link before; 0 for checkpoint 0.
    /// @param sequence Links before it.
    /// @param round Rounds completed.
    /// @param paramsVersion Parameters under which the round ran.
    /// @param checkpointDigest sha256 of the checkpoint's manifest.
    /// @param receiptsRoot Root of the round's receipts.
    event HeadPosted(
        RunId indexed runId,
        HeadHash indexed head,
        HeadHash parentHead,
        uint64 sequence,
        uint64 round,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    );

    /// @notice The validators stopped a run's poster, or the model's organiser did in bootstrap.
    /// @param runId The run.
    /// @param poster Who posts no more until the holders name another.
    /// @param head The head that shows why.
    /// @param setVersion The set whose quorum signed; 0 where the organiser stopped it.
    event PosterSuspended(RunId indexed runId, address indexed poster, HeadHash head, uint32 setVersion);

    /// @notice An organiser means to roll a run back.
    /// @param runId The run.
    /// @param currentHead The head that it goes back from: any other head in its place ends the announcement.
    /// @param round Rounds completed to which it goes back.
    /// @param checkpointDigest sha256 of the manifest of the checkpoint from which it goes on.
    /// @param readyAt From when on it may be done, in seconds since 1970.
    event RollbackAnnounced(
        RunId indexed runId,
        HeadHash indexed currentHead,
        uint64 round,
        Digest checkpointDigest,
        uint48 readyAt
    );

    /// @notice A run goes on from an earlier checkpoint. The new link was told by HeadPosted, just before.
    /// @param runId The run.
    /// @param head The new link.
    /// @param currentHead The link before, which does not stand.
    /// @param round Rounds completed to which it went back.
    /// @param by Who did it: the model's timelock, or its organiser in bootstrap.
    event RolledBack(
        RunId indexed runId,
        HeadHash indexed head,
        HeadHash indexed currentHead,
        uint64 round,
        address by
    );

    /// @notice Only RunRegistry opens a run here and says who posts for it.
    /// @param caller Who called.
    error CheckpointRegistryOnlyRunRegistry(address caller);
    /// @notice The caller is not the run's poster.
    /// @param runId The run.
    /// @param caller Who called.
    error CheckpointRegistryNotPoster(RunId runId, address caller);
    /// @notice The run takes no heads while it is paused or finished.
    /// @param runId The run.
    error CheckpointRegistryRunNotOpen(RunId runId);
    /// @notice The run's poster is suspended.
    /// @param runId The run.
    /// @param poster Who posts no more until the holders name another.
    error CheckpointRegistrySuspended(RunId runId, address poster);
    /// @notice Whom a suspension names is not the run's poster.
    /// @param runId The run.
    /// @param named Who was named.
    /// @param poster Who posts.
    error CheckpointRegistryOtherPoster(RunId runId, address named, address poster);
    /// @notice A suspension counts once.
    /// @param runId The run.
    /// @param digest Its EIP-712 digest.
    error CheckpointRegistrySuspensionUsed(RunId runId, bytes32 digest);
    /// @notice Only the validators suspend a run's poster, and in bootstrap the model's organiser.
    /// @param runId The run.
    /// @param caller Who called.
    error CheckpointRegistryMayNotSuspend(RunId runId, address caller);
    /// @notice A suspension's deadline has passed.
    /// @param deadline Until when it could be used.
    error CheckpointRegistrySuspensionExpired(uint64 deadline);
    /// @notice A suspension is signed by another set than the one in force.
    /// @param setVersion The set that it names.
    /// @param currentVersion The set in force.
    error CheckpointRegistryStaleSet(uint32 setVersion, uint32 currentVersion);
    /// @notice The parent is not the run's current head.
    /// @param runId The run.
    /// @param parentHead The parent that was named.
    /// @param currentHead The current head.
    error CheckpointRegistryStaleParent(RunId runId, HeadHash parentHead, HeadHash currentHead);
    /// @notice The round is not the one that follows the current one.
    /// @param runId The run.
    /// @param round Rounds completed, as posted.
    /// @param currentRound Those of the current head.
    error CheckpointRegistryRoundNotNext(RunId runId, uint64 round, uint64 currentRound);
    /// @notice The run has no such version of its parameters.
    /// @param runId The run.
    /// @param paramsVersion The version that was named.
    error CheckpointRegistryUnknownParams(RunId runId, uint32 paramsVersion);
    /// @notice Only the model's timelock rolls a run back, and in bootstrap its organiser.
    /// @param runId The run.
    /// @param caller Who called.
    error CheckpointRegistryMayNotRollBack(RunId runId, address caller);
    /// @notice The organiser has not announced this rollback.
    /// @param runId The run.
    error CheckpointRegistryNotAnnounced(RunId runId);
    /// @notice The window since the announcement is not over.
    /// @param runId The run.
    /// @param readyAt From when on it may be done, in seconds since 1970.
    error CheckpointRegistryTooEarly(RunId runId, uint48 readyAt);
    /// @notice A rollback goes to an earlier round.
    /// @param runId The run.
    /// @param round Rounds completed, as named.
    /// @param currentRound Those of the current head.
    error CheckpointRegistryNotBack(RunId runId, uint64 round, uint64 currentRound);
    /// @notice A checkpoint needs a digest.
    /// @param runId The run.
    error CheckpointRegistryDigestMissing(RunId runId);

    /// @notice Records checkpoint 0; called by RunRegistry when it registers the run.
    /// @dev Reverts with CheckpointRegistryOnlyRunRegistry, CheckpointRegistryDigestMissing.
    /// @param runId The new run.
    /// @param checkpointDigest sha256 of checkpoint 0's manifest.
    /// @return head The first link.
    function open(RunId runId, Digest checkpointDigest) external returns (HeadHash head);

    /// @notice Tells who posts for a run, whether it takes heads, and its latest parameters; called by RunRegistry
    /// whenever one of them changes, so that posting a head needs no call to another contract.
    /// @dev Reverts with CheckpointRegistryOnlyRunRegistry, and SafeCast's error where paramsVersion leaves 24 bits.
    /// @param runId The run.
    /// @param poster Who alone may post heads.
    /// @param isOpen Whether the run takes heads.
    /// @param paramsVersion The latest version of the parameters; heads may carry any up to it.
    function update(RunId runId, address poster, bool isOpen, uint32 paramsVersion) external;

    /// @notice Adds a link; the run's poster only. What equals the current head is a success and changes nothing, so
    /// that a poster may send again what it does not know to have arrived.
    /// @dev Reverts with CheckpointRegistryStaleParent, CheckpointRegistryNotPoster, CheckpointRegistryRunNotOpen,
    /// CheckpointRegistryRoundNotNext, CheckpointRegistryUnknownParams, CheckpointRegistryDigestMissing.
    /// @param runId The run.
    /// @param parentHead The current head.
    /// @param round Rounds completed: one more than those of the current head.
    /// @param paramsVersion Parameters under which the round ran.
    /// @param checkpointDigest sha256 of the checkpoint's manifest.
    /// @param receiptsRoot Root of the round's receipts.
    /// @return head The new head.
    function post(
        RunId runId,
        HeadHash parentHead,
        uint64 round,
        uint32 paramsVersion,
        Digest checkpointDigest,
        bytes32 receiptsRoot
    ) external returns (HeadHash head);

    /// @notice Adds several links, each on the one before it; the run's poster only. Where the first of them are there already and
    /// end in the current head, the rest are added, so that a poster may send again what it does not know to have arrived.
    /// @dev Reverts with what `post` reverts with.
    /// @param runId The run.
    /// @param parentHead The head on which the first of them stands.
    /// @param round Rounds completed of the first of them; each further one has one more.
    /// @param heads What to add, oldest first.
    /// @return head The new head, the last of them.
    function postMany(
        RunId runId,
        HeadHash parentHead,
        uint64 round,
        NewHead[] calldata heads
    ) external returns (HeadHash head);

    /// @notice Stops the run's poster at once; anyone brings the signatures. It stops heads and nothing else, until the timelock names
    /// another poster. What is in force already is a success and changes nothing.
    /// @dev Reverts with CheckpointRegistrySuspensionExpired, CheckpointRegistryOtherPoster, CheckpointRegistryStaleSet,
    /// CheckpointRegistrySuspensionUsed, RunRegistryUnknownRun and what IValidatorSet.requireQuorum reverts with.
    /// @param suspension What the validators signed.
    /// @param signatures By strictly ascending signers, 65 bytes each (r, s, v), at least as many as the set's threshold.
    function suspend(Suspend calldata suspension, bytes calldata signatures) external;

    /// @notice Stops the run's poster at once, as a suspension does; the organiser only, while the model is in bootstrap. It needs no
    /// announcement, since it pays nobody and moves nothing; the poster that is to follow it does. What is in force already is a
    /// success and changes nothing.
    /// @dev Reverts with CheckpointRegistryMayNotSuspend, CheckpointRegistryOtherPoster, CheckpointRegistryRunNotOpen where the run is
    /// finished, and as IRunRegistry.runOf.
    /// @param runId The run.
    /// @param poster Who shall post no more: the run's poster of now.
    /// @param head The head that shows why; 0 where none does.
    function suspendAsOrganiser(RunId runId, address poster, HeadHash head) external;

    /// @notice Says that a run shall be rolled back; the organiser only, while the model is in bootstrap. Another head than the one
    /// named, or another announcement, ends it.
    /// @dev Reverts with CheckpointRegistryMayNotRollBack, CheckpointRegistryStaleParent, CheckpointRegistryNotBack,
    /// CheckpointRegistryDigestMissing, CheckpointRegistryRunNotOpen where it is finished, and as IRunRegistry.runOf.
    /// @param runId The run.
    /// @param currentHead The run's current head.
    /// @param round Rounds completed to which it shall go back.
    /// @param checkpointDigest sha256 of the manifest of the checkpoint from which it shall go on.
    function announceRollback(RunId runId, HeadHash currentHead, uint64 round, Digest checkpointDigest) external;

    /// @notice Rolls a run back: adds a link of an earlier round, from whose checkpoint it goes on. The model's timelock only, and in
    /// bootstrap the organiser one window after announcing it. Whether the run is paused or its poster suspended does not matter: who
    /// posted a false head must be replaced as well. One that is finished goes nowhere.
    /// @dev Reverts with CheckpointRegistryMayNotRollBack, CheckpointRegistryNotAnnounced, CheckpointRegistryTooEarly,
    /// CheckpointRegistryStaleParent, CheckpointRegistryNotBack, CheckpointRegistryDigestMissing, CheckpointRegistryRunNotOpen where it is
    /// finished, and as IRunRegistry.runOf.
    /// @param runId The run.
    /// @param currentHead The run's current head: what was decided on another one changes nothing.
    /// @param round Rounds completed to which it goes back.
    /// @param checkpointDigest sha256 of the manifest of the checkpoint from which it goes on. The contract knows no earlier head: that
    /// this is one is for those who decide to see.
    /// @return head The new link.
    function rollback(
        RunId runId,
        HeadHash currentHead,
        uint64 round,
        Digest checkpointDigest
    ) external returns (HeadHash head);

    /// @notice What an organiser announced last.
    /// @param runId The run.
    /// @return digest keccak256 of current head, round and checkpoint digest; 0 for none.
    /// @return readyAt From when on it may be done, in seconds since 1970.
    function announcedRollback(RunId runId) external view returns (bytes32 digest, uint48 readyAt);

    /// @notice Whether the run's poster is suspended.
    /// @param runId The run.
    /// @return Whether it is.
    function isSuspended(RunId runId) external view returns (bool);

    /// @notice The run's last link; all zero for a run that does not exist.
    /// @param runId The run.
    /// @return head The current head.
    /// @return sequence How many links lie before it.
    /// @return round Rounds completed.
    function headOf(RunId runId) external view returns (HeadHash head, uint64 sequence, uint64 round);

    /// @notice EIP-712 domain separator of Suspend.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);

    /// @notice Who signs suspensions.
    /// @return Address of ValidatorSet.
    function validators() external view returns (address);

    /// @notice Who opens runs here and says who posts for them.
    /// @return Address of RunRegistry.
    function runs() external view returns (address);
}

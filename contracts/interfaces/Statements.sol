// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, LeaseId, ModelId, RunId} from "./Ids.sol";

// The signed statements and hashed records of the protocol, field by field as their EIP-712 type strings.
// RunRegistry is the verifying contract of Join, Fragment, Receipt, Ack and Verdict, ComputeRewards that of Attestation,
// ValidatorSet that of Ruling, CheckpointRegistry that of Suspend, CodeGrants that of Grant, ComputeEscrow that of Voucher.
// ProtocolHashes turns each of them into its hash.

/// @notice A worker asks to take part in a run.
/// @param runId The run.
/// @param worker Key of the machine, which signs.
/// @param beneficiary Who is paid.
/// @param lease The lease that pays for the machine, 0 for the worker's own.
/// @param build The build that the worker runs.
/// @param conformance Digest of the training state after that build's trial steps.
/// @param protocolMin Least version of the protocol that the worker speaks.
/// @param protocolMax Greatest version of the protocol that the worker speaks.
/// @param issuedAt Milliseconds since 1970, above the one of this worker's last accepted join.
struct Join {
    RunId runId;
    address worker;
    address beneficiary;
    bytes32 lease;
    Digest build;
    bytes32 conformance;
    uint16 protocolMin;
    uint16 protocolMax;
    uint64 issuedAt;
}

/// @notice A worker vouches for one streamed fragment of a pseudo-gradient.
/// @param runId The run.
/// @param round Counted from 0.
/// @param worker Who worked, and signs.
/// @param assignmentId Number of the assignment in the run.
/// @param attempt Which attempt of the assignment.
/// @param index The fragment's place, from 0.
/// @param base Digest of the global shard against which the fragment was taken.
/// @param digest Digest of the fragment's payload.
struct Fragment {
    RunId runId;
    uint64 round;
    address worker;
    uint64 assignmentId;
    uint32 attempt;
    uint32 index;
    Digest base;
    Digest digest;
}

/// @notice A worker's statement of one round's work.
/// @param runId The run.
/// @param round Counted from 0.
/// @param worker Who worked, and signs.
/// @param beneficiary Who is paid, as in the join.
/// @param assignmentId Number of the assignment in the run.
/// @param attempt Which attempt of the assignment.
/// @param assignment sha256 of the assignment's canonical JSON.
/// @param steps Inner steps done.
/// @param paramsVersion Parameters under which the round ran.
/// @param build The build that was run.
/// @param baseDigest The checkpointDigest of the parameters that the round started from.
/// @param commitment Root of the worker's commitment tree, whose last leaf binds the payload.
/// @param leaves How many leaves that tree has.
/// @param payloadDigest Digest of the payload's header.
struct Receipt {
    RunId runId;
    uint64 round;
    address worker;
    address beneficiary;
    uint64 assignmentId;
    uint32 attempt;
    Digest assignment;
    uint32 steps;
    uint32 paramsVersion;
    Digest build;
    Digest baseDigest;
    bytes32 commitment;
    uint32 leaves;
    Digest payloadDigest;
}

/// @notice The poster acknowledges a receipt: its form is good and it will stand under the receipts root.
/// @param runId The run.
/// @param round Counted from 0.
/// @param worker Whose receipt.
/// @param receiptHash ProtocolHashes.hashReceipt of the receipt.
/// @param tokens Tokens that the receipt counts.
/// @param acceptedAt Milliseconds since 1970.
struct Ack {
    RunId runId;
    uint64 round;
    address worker;
    bytes32 receiptHash;
    uint64 tokens;
    uint64 acceptedAt;
}

/// @notice One validator's statement about a head.
/// @param runId The run.
/// @param round The round that ended in the head; 0 for checkpoint 0.
/// @param head What the verdict is about.
/// @param validator Who states it, and signs.
/// @param kind 1 utility, 2 replay, 3 aggregate, 4 loss, 5 confirmation.
/// @param worker Whom the verdict is about: a worker, for kind 5 the validator whose draw it confirms, for 3 and 4 nobody.
/// @param index The fragment (kinds 3 and 5) or how many sequences were measured (kind 4).
/// @param value Basis points (kinds 1 to 3), millionths of a bit per byte (kind 4) or 0 (kind 5).
/// @param evidence Digest of what the verdict rests on.
/// @param issuedAt Milliseconds since 1970.
struct Verdict {
    RunId runId;
    uint64 round;
    HeadHash head;
    address validator;
    uint8 kind;
    address worker;
    uint32 index;
    uint64 value;
    Digest evidence;
    uint64 issuedAt;
}

/// @notice k of n validators vouch for what was earned in the epochs since the last active root of a model and kind.
/// @param kind Of Kinds.sol.
/// @param modelId The model.
/// @param index The root's number: one more than the active root's.
/// @param fromEpoch The first epoch that the root covers: the one after the active root's last.
/// @param toEpoch The last epoch that the root covers.
/// @param runId Run of the last head anchored in these epochs.
/// @param head That head.
/// @param epochDigest sha256 of the epoch's manifest.
/// @param previousRoot The root that was active when this one was computed; 0 for none.
/// @param root Root of the tree of what each account earned in these epochs.
/// @param total Sum of all leaves, in wei.
/// @param setVersion The set of validators in force.
/// @param blockNumber Number of the block at which the inputs were read, final where its signers looked.
/// @param blockHash That block's hash.
/// @param deadline End of the last epoch plus a whole number of posting delays, in seconds since 1970.
struct Attestation {
    uint8 kind;
    ModelId modelId;
    uint64 index;
    uint64 fromEpoch;
    uint64 toEpoch;
    RunId runId;
    HeadHash head;
    Digest epochDigest;
    bytes32 previousRoot;
    bytes32 root;
    uint256 total;
    uint32 setVersion;
    uint64 blockNumber;
    bytes32 blockHash;
    uint64 deadline;
}

/// @notice An account has what it earned paid to somebody else.
/// @param modelId The model.
/// @param kind Of Kinds.sol.
/// @param account Whose earnings; it signs.
/// @param to Who is paid.
/// @param nonce IComputeRewards.claimNonce of the account.
/// @param deadline Until when the order may be used, in seconds since 1970.
struct ClaimTo {
    ModelId modelId;
    uint8 kind;
    address account;
    address to;
    uint256 nonce;
    uint64 deadline;
}

/// @notice A validator's decision on one dispute.
/// @param modelId The model.
/// @param kind 1 root, 2 checkpoint, 3 work, 4 validator.
/// @param subject Hash of what is disputed.
/// @param dispute Number of the dispute.
/// @param accused Who is accused.
/// @param outcome 1 void or guilty, 2 dismissed.
/// @param evidence Digest of what the decision rests on.
/// @param setVersion The set of validators that decides.
/// @param deadline Until when the ruling may be used, in seconds since 1970.
struct Ruling {
    ModelId modelId;
    uint8 kind;
    bytes32 subject;
    uint64 dispute;
    address accused;
    uint8 outcome;
    Digest evidence;
    uint32 setVersion;
    uint64 deadline;
}

/// @notice k of n validators stop a run's poster at once, for what a head shows; used once.
/// @param runId The run.
/// @param poster Who shall post no more.
/// @param head The head that shows why.
/// @param setVersion The set of validators in force.
/// @param deadline Until when it may be used, in seconds since 1970.
struct Suspend {
    RunId runId;
    address poster;
    HeadHash head;
    uint32 setVersion;
    uint64 deadline;
}

/// @notice k of n maintainers have an author paid for code.
/// @param modelId The model.
/// @param author Who is paid.
/// @param repository sha256 of the repository's URL.
/// @param commit Git's id of the commit: SHA-256, or SHA-1 with twelve zero bytes behind it.
/// @param description sha256 of a text that says what was contributed.
/// @param amount What is paid in all, in wei of shares.
/// @param start From when on it is paid, in seconds since 1970.
/// @param cliff Seconds after the start before which nothing is paid.
/// @param duration Seconds after the start within which all is paid, linearly.
/// @param setVersion The set of maintainers in force.
/// @param deadline Until when the signatures may be used, in seconds since 1970.
struct Grant {
    ModelId modelId;
    address author;
    Digest repository;
    bytes32 commit;
    Digest description;
    uint128 amount;
    uint64 start;
    uint32 cliff;
    uint32 duration;
    uint32 setVersion;
    uint64 deadline;
}

/// @notice A renter's signer owes the provider of a lease so much in all. Chain and escrow are in the domain.
/// @param leaseId The lease.
/// @param cumulative What is owed since the lease began, in the token's smallest units; of two vouchers the higher counts.
/// @param through Until when that pays the machine, in seconds since 1970.
struct Voucher {
    LeaseId leaseId;
    uint128 cumulative;
    uint64 through;
}

/// @notice One link of a run's hash chain of checkpoints.
/// @param chainId Id of the EVM chain.
/// @param registry The CheckpointRegistry that holds the chain of checkpoints.
/// @param parentHead The link before; 0 for checkpoint 0.
/// @param runId The run.
/// @param sequence Links before it.
/// @param round Rounds completed.
/// @param paramsVersion Parameters under which the round ran.
/// @param checkpointDigest sha256 of the checkpoint's manifest.
/// @param receiptsRoot Root of the round's receipts.
struct Head {
    uint256 chainId;
    address registry;
    HeadHash parentHead;
    RunId runId;
    uint64 sequence;
    uint64 round;
    uint32 paramsVersion;
    Digest checkpointDigest;
    bytes32 receiptsRoot;
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, ModelId, RunId} from "./Ids.sol";
// The signed statements and hashed records of the protocol, field by field as their EIP-712 type strings.
// RunRegistry is the verifying contract of Join, Fragment, Receipt, Ack and Verdict, ComputeRewards that of Attestation,
// ValidatorSet that of Ruling. ProtocolHashes turns each of them into its hash.

/// @notice A worker asks to take part in a run.
/// @param lease The lease that pays for the machine, 0 for the worker's own.
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
/// @param base Digest of the global shard against which the fragment was taken.
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
/// @param assignment sha256 of the assignment's canonical JSON.
/// @param baseDigest The checkpointDigest of the parameters that the round started from.
/// @param commitment Root of the worker's commitment tree, whose last leaf binds the payload.
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
struct Ack {
    RunId runId;
    uint64 round;
    address worker;
    bytes32 receiptHash;
    uint64 tokens;
    uint64 acceptedAt;
}

/// @notice One validator's statement about a head.
/// @param kind 1 utility, 2 replay, 3 aggregate, 4 loss.
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

/// @notice k of n validators vouch for the cumulative rewards up to and including an epoch.
/// @param runId Run of the last head anchored in the epoch.
/// @param head The last head anchored in the epoch.
/// @param previousRoot The root that was active when this one was computed.
/// @param totalCumulative Sum of all leaves.
/// @param deadline End of the epoch plus a whole number of posting delays.
struct Attestation {
    ModelId modelId;
    RunId runId;
    uint64 epoch;
    Digest epochDigest;
    HeadHash head;
    bytes32 previousRoot;
    bytes32 root;
    uint256 totalCumulative;
    uint32 setVersion;
    uint64 deadline;
}

/// @notice A validator's decision on one dispute.
/// @param kind 1 root, 2 checkpoint, 3 work, 4 validator.
/// @param outcome 1 void or guilty, 2 dismissed.
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

/// @notice One link of a run's hash chain of checkpoints.
/// @param registry The CheckpointRegistry that holds the chain.
/// @param round Rounds completed.
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

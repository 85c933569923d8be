// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

// Ids and digests that are passed round, each of a type of its own, so that the compiler refuses one in place of another.
// The SDK has the same (sdk/src/protocol/ids.ts). All are bytes32 in ABIs, typed data and storage. Merkle roots, EIP-712
// hashes and salts stay bytes32.

/// @notice A model: keccak256(abi.encode(chainId, ModelRegistry, sender, salt)).
type ModelId is bytes32;

/// @notice A run: keccak256(abi.encode(chainId, RunRegistry, modelId, salt)).
type RunId is bytes32;

/// @notice A link of a run's hash chain of checkpoints: ProtocolHashes.hashHead.
type HeadHash is bytes32;

/// @notice sha256 of a published document: definition, build, manifest, payload.
type Digest is bytes32;

/// @notice A lease of a machine: keccak256(abi.encode(chainId, ComputeEscrow, LeaseTerms)).
type LeaseId is bytes32;

using Ids for ModelId global;
using Ids for RunId global;
using Ids for Digest global;
using {isSameHead as ==, isOtherHead as !=} for HeadHash global;

/// @title Ids
/// @notice Zero stands for "none" wherever an id or a digest is expected.
library Ids {
    function isZero(ModelId id) internal pure returns (bool) {
        return ModelId.unwrap(id) == 0;
    }

    function isZero(RunId id) internal pure returns (bool) {
        return RunId.unwrap(id) == 0;
    }

    function isZero(Digest digest) internal pure returns (bool) {
        return Digest.unwrap(digest) == 0;
    }
}

function isSameHead(HeadHash a, HeadHash b) pure returns (bool) {
    return HeadHash.unwrap(a) == HeadHash.unwrap(b);
}

function isOtherHead(HeadHash a, HeadHash b) pure returns (bool) {
    return HeadHash.unwrap(a) != HeadHash.unwrap(b);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Join, Fragment, Receipt, Ack, Verdict, Attestation, Ruling, Head} from "../interfaces/Statements.sol";

/// @title ProtocolHashes
/// @notice EIP-712 struct hashes of every signed statement and the leaves of every tree of the protocol. A statement's
/// digest is its struct hash under the domain of its verifying contract.
library ProtocolHashes {
    bytes32 internal constant JOIN_TYPEHASH = keccak256(
        "Join(bytes32 runId,address worker,address beneficiary,bytes32 lease,bytes32 build,bytes32 conformance,uint16 protocolMin,uint16 protocolMax,uint64 issuedAt)"
    );
    bytes32 internal constant FRAGMENT_TYPEHASH = keccak256(
        "Fragment(bytes32 runId,uint64 round,address worker,uint64 assignmentId,uint32 attempt,uint32 index,bytes32 base,bytes32 digest)"
    );
    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(bytes32 runId,uint64 round,address worker,address beneficiary,uint64 assignmentId,uint32 attempt,bytes32 assignment,uint32 steps,uint32 paramsVersion,bytes32 build,bytes32 baseDigest,bytes32 commitment,uint32 leaves,bytes32 payloadDigest)"
    );
    bytes32 internal constant ACK_TYPEHASH = keccak256(
        "Ack(bytes32 runId,uint64 round,address worker,bytes32 receiptHash,uint64 tokens,uint64 acceptedAt)"
    );
    bytes32 internal constant VERDICT_TYPEHASH = keccak256(
        "Verdict(bytes32 runId,uint64 round,bytes32 head,address validator,uint8 kind,address worker,uint32 index,uint64 value,bytes32 evidence,uint64 issuedAt)"
    );
    bytes32 internal constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(bytes32 modelId,bytes32 runId,uint64 epoch,bytes32 epochDigest,bytes32 head,bytes32 previousRoot,bytes32 root,uint256 totalCumulative,uint32 setVersion,uint64 deadline)"
    );
    bytes32 internal constant RULING_TYPEHASH = keccak256(
        "Ruling(bytes32 modelId,uint8 kind,bytes32 subject,uint64 dispute,address accused,uint8 outcome,bytes32 evidence,uint32 setVersion,uint64 deadline)"
    );
    bytes32 internal constant HEAD_TYPEHASH = keccak256(
        "Head(uint256 chainId,address registry,bytes32 parentHead,bytes32 runId,uint64 sequence,uint64 round,uint32 paramsVersion,bytes32 checkpointDigest,bytes32 receiptsRoot)"
    );

    /// @notice Struct hash of a worker's join.
    function hashJoin(Join memory join) internal pure returns (bytes32) {
        return keccak256(abi.encode(JOIN_TYPEHASH, join));
    }

    /// @notice Struct hash of a streamed fragment.
    function hashFragment(Fragment memory fragment) internal pure returns (bytes32) {
        return keccak256(abi.encode(FRAGMENT_TYPEHASH, fragment));
    }

    /// @notice Struct hash of a receipt; an Ack, a receipt leaf and a Ruling refer to it.
    function hashReceipt(Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPEHASH, receipt));
    }

    /// @notice Struct hash of a poster's acknowledgement.
    function hashAck(Ack memory ack) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACK_TYPEHASH, ack));
    }

    /// @notice Struct hash of a validator's verdict.
    function hashVerdict(Verdict memory verdict) internal pure returns (bytes32) {
        return keccak256(abi.encode(VERDICT_TYPEHASH, verdict));
    }

    /// @notice Struct hash of an attestation; a Ruling on a root refers to it.
    function hashAttestation(Attestation memory attestation) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation));
    }

    /// @notice Struct hash of a ruling.
    function hashRuling(Ruling memory ruling) internal pure returns (bytes32) {
        return keccak256(abi.encode(RULING_TYPEHASH, ruling));
    }

    /// @notice Hash of a link of a run's chain of checkpoints. It stands alone, without a domain.
    function hashHead(Head memory head) internal pure returns (bytes32) {
        return keccak256(abi.encode(HEAD_TYPEHASH, head));
    }

    /// @notice Leaf of a round's receipts tree.
    /// @param outcome 0 aggregated, else the reason why it was not.
    function receiptLeaf(
        bytes32 receiptHash,
        address worker,
        address beneficiary,
        uint64 tokens,
        uint16 outcome
    ) internal pure returns (bytes32) {
        return _leaf(abi.encode(receiptHash, worker, beneficiary, tokens, outcome));
    }

    /// @notice Leaf of a rewards tree.
    function rewardLeaf(
        uint8 kind,
        bytes32 modelId,
        address account,
        uint256 cumulative
    ) internal pure returns (bytes32) {
        return _leaf(abi.encode(kind, modelId, account, cumulative));
    }

    /// @notice Leaf of a worker's commitment tree.
    function commitmentLeaf(
        uint32 j,
        uint64 step,
        bytes32 state,
        bytes32 data,
        bytes32 scalars,
        bytes32 update
    ) internal pure returns (bytes32) {
        return _leaf(abi.encode(j, step, state, data, scalars, update));
    }

    /// @dev OpenZeppelin's StandardMerkleTree hashes leaves twice, so that no inner node can pass for one.
    function _leaf(bytes memory encoded) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(encoded)));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HeadHash, ModelId} from "../interfaces/Ids.sol";
import {
    Join,
    Fragment,
    Receipt,
    Ack,
    Verdict,
    Attestation,
    ClaimTo,
    Ruling,
    Suspend,
    Grant,
    Voucher,
    Head
} from "../interfaces/Statements.sol";

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
        "Attestation(uint8 kind,bytes32 modelId,uint64 index,uint64 fromEpoch,uint64 toEpoch,bytes32 runId,bytes32 head,bytes32 epochDigest,bytes32 previousRoot,bytes32 root,uint256 total,uint32 setVersion,uint64 blockNumber,bytes32 blockHash,uint64 deadline)"
    );
    bytes32 internal constant CLAIM_TO_TYPEHASH = keccak256(
        "ClaimTo(bytes32 modelId,uint8 kind,address account,address to,uint256 nonce,uint64 deadline)"
    );
    bytes32 internal constant RULING_TYPEHASH = keccak256(
        "Ruling(bytes32 modelId,uint8 kind,bytes32 subject,uint64 dispute,address accused,uint8 outcome,bytes32 evidence,uint32 setVersion,uint64 deadline)"
    );
    bytes32 internal constant SUSPEND_TYPEHASH = keccak256(
        "Suspend(bytes32 runId,address poster,bytes32 head,uint32 setVersion,uint64 deadline)"
    );
    bytes32 internal constant GRANT_TYPEHASH = keccak256(
        "Grant(bytes32 modelId,address author,bytes32 repository,bytes32 commit,bytes32 description,uint128 amount,uint64 start,uint32 cliff,uint32 duration,uint32 setVersion,uint64 deadline)"
    );
    bytes32 internal constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(bytes32 leaseId,uint128 cumulative,uint64 through)"
    );
    bytes32 internal constant HEAD_TYPEHASH = keccak256(
        "Head(uint256 chainId,address registry,bytes32 parentHead,bytes32 runId,uint64 sequence,uint64 round,uint32 paramsVersion,bytes32 checkpointDigest,bytes32 receiptsRoot)"
    );

    /// @notice Struct hash of a worker's join.
    /// @param join The join.
    /// @return EIP-712 struct hash.
    function hashJoin(Join memory join) internal pure returns (bytes32) {
        return keccak256(abi.encode(JOIN_TYPEHASH, join));
    }

    /// @notice Struct hash of a streamed fragment.
    /// @param fragment The fragment.
    /// @return EIP-712 struct hash.
    function hashFragment(Fragment memory fragment) internal pure returns (bytes32) {
        return keccak256(abi.encode(FRAGMENT_TYPEHASH, fragment));
    }

    /// @notice Struct hash of a receipt; an Ack, a receipt leaf and a Ruling refer to it.
    /// @param receipt The receipt.
    /// @return EIP-712 struct hash.
    function hashReceipt(Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPEHASH, receipt));
    }

    /// @notice Struct hash of a poster's acknowledgement.
    /// @param ack The acknowledgement.
    /// @return EIP-712 struct hash.
    function hashAck(Ack memory ack) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACK_TYPEHASH, ack));
    }

    /// @notice Struct hash of a validator's verdict.
    /// @param verdict The verdict.
    /// @return EIP-712 struct hash.
    function hashVerdict(Verdict memory verdict) internal pure returns (bytes32) {
        return keccak256(abi.encode(VERDICT_TYPEHASH, verdict));
    }

    /// @notice Struct hash of an attestation; a Ruling on a root refers to it.
    /// @param attestation The attestation.
    /// @return EIP-712 struct hash.
    function hashAttestation(Attestation memory attestation) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation));
    }

    /// @notice Struct hash of an account's order to pay somebody else.
    /// @param order The order.
    /// @return EIP-712 struct hash.
    function hashClaimTo(ClaimTo memory order) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLAIM_TO_TYPEHASH, order));
    }

    /// @notice Struct hash of a ruling.
    /// @param ruling The ruling.
    /// @return EIP-712 struct hash.
    function hashRuling(Ruling memory ruling) internal pure returns (bytes32) {
        return keccak256(abi.encode(RULING_TYPEHASH, ruling));
    }

    /// @notice Struct hash of a suspension.
    /// @param suspend The suspension.
    /// @return EIP-712 struct hash.
    function hashSuspend(Suspend memory suspend) internal pure returns (bytes32) {
        return keccak256(abi.encode(SUSPEND_TYPEHASH, suspend));
    }

    /// @notice Struct hash of a grant that maintainers sign.
    /// @param grant The grant.
    /// @return EIP-712 struct hash.
    function hashGrant(Grant memory grant) internal pure returns (bytes32) {
        return keccak256(abi.encode(GRANT_TYPEHASH, grant));
    }

    /// @notice Struct hash of what a renter's signer owes a provider.
    /// @param voucher The voucher.
    /// @return EIP-712 struct hash.
    function hashVoucher(Voucher memory voucher) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER_TYPEHASH, voucher));
    }

    /// @notice Name of a grant: of its terms alone, so that the same terms are the same grant, whoever signs them and how long
    /// the signatures serve.
    /// @param grant The grant.
    /// @return The id.
    function grantId(Grant memory grant) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    grant.modelId,
                    grant.author,
                    grant.repository,
                    grant.commit,
                    grant.description,
                    grant.amount,
                    grant.start,
                    grant.cliff,
                    grant.duration
                )
            );
    }

    /// @notice Hash of a link of a run's chain of checkpoints. It stands alone, without a domain.
    /// @param head The link.
    /// @return The head by which everybody names it.
    function hashHead(Head memory head) internal pure returns (HeadHash) {
        return HeadHash.wrap(keccak256(abi.encode(HEAD_TYPEHASH, head)));
    }

    /// @notice Leaf of a round's receipts tree.
    /// @param receiptHash hashReceipt of the receipt.
    /// @param worker Who trained.
    /// @param beneficiary Who is paid.
    /// @param tokens Tokens trained on.
    /// @param outcome 0 aggregated, else the reason why it was not.
    /// @return The leaf.
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
    /// @param kind Of Kinds.sol.
    /// @param modelId The model.
    /// @param index The root's number, so that a leaf is one of no other root.
    /// @param account Who is paid; a tree has one leaf for each.
    /// @param amount What the account earned in the root's epochs, in wei.
    /// @return The leaf.
    function rewardLeaf(
        uint8 kind,
        ModelId modelId,
        uint64 index,
        address account,
        uint256 amount
    ) internal pure returns (bytes32) {
        return _leaf(abi.encode(kind, modelId, index, account, amount));
    }

    /// @notice Leaf of a worker's commitment tree.
    /// @param j Its place, from 0.
    /// @param step Inner steps done.
    /// @param state Digest of the training state.
    /// @param data Digest of the segment's tokens; in the last leaf the receipt's baseDigest.
    /// @param scalars Digest of the segment's scalars; in the last leaf of the new residual.
    /// @param update 0; in the last leaf the receipt's payloadDigest.
    /// @return The leaf.
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

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ActiveRoot, Claim, IComputeRewards, Leaf, PendingRoot} from "../interfaces/IComputeRewards.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IRevenueDeposits} from "../interfaces/IRevenueDeposits.sol";
import {IRewardsBudget} from "../interfaces/IRewardsBudget.sol";
import {COMPUTE, REVENUE} from "../interfaces/Kinds.sol";
import {Attestation, ClaimTo} from "../interfaces/Statements.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";
import {Disputes} from "./Disputes.sol";

/// @title ComputeRewards
/// @notice See IComputeRewards and IDisputes. A model's shares that lie here are what its active roots of compute still owe; what
/// those of revenue owe lies in its vault.
contract ComputeRewards is IComputeRewards, Disputes, EIP712 {
    using SafeERC20 for IERC20;

    IEmission private immutable EMISSION;
    IValidatorSet private immutable VALIDATORS;
    IRevenueDeposits private immutable REVENUE_DEPOSITS;

    /// @inheritdoc IComputeRewards
    mapping(address account => uint256) public claimNonce;

    /// @notice Knows five contracts, for ever.
    /// @param registry_ Knows every model's shares and clock.
    /// @param emission_ Mints what a root of compute adds.
    /// @param validators_ Verifies signatures.
    /// @param bootstrap_ Says whether a model is in bootstrap.
    /// @param revenueDeposits_ Sets aside and pays what a root of revenue adds.
    constructor(
        IModelRegistry registry_,
        IEmission emission_,
        IValidatorSet validators_,
        IBootstrap bootstrap_,
        IRevenueDeposits revenueDeposits_
    ) ModelAuthority(registry_) Disputes(bootstrap_) EIP712(Protocol.NAME, Protocol.VERSION) {
        EMISSION = emission_;
        VALIDATORS = validators_;
        REVENUE_DEPOSITS = revenueDeposits_;
    }

    /// @inheritdoc IComputeRewards
    function postRoot(Attestation calldata attestation, bytes calldata signatures) external payable {
        ModelId modelId = attestation.modelId;
        uint8 kind = attestation.kind;
        if (kind != COMPUTE && kind != REVENUE) revert ComputeRewardsUnknownKind(kind);
        Schedule memory schedule = REGISTRY.scheduleOf(modelId);
        _requireTimes(attestation, schedule);
        Pool storage pool = _pools[modelId][kind];
        // One that takes over from another begins after what that has authorised. What waits meanwhile goes on waiting.
        if (pool.index == 0 && pool.posted.toEpoch == 0 && kind == COMPUTE)
            pool.toEpoch = uint32(EMISSION.authorisedThrough(modelId, kind));
        _requireSuccessor(pool, attestation);
        bytes32 digest = ProtocolHashes.hashAttestation(attestation);
        uint48 asOf = _back(modelId, kind, pool, digest, SafeCast.toUint48(attestation.deadline));
        _requireBudget(attestation, asOf);

        uint32 version = VALIDATORS.currentVersion(modelId);
        if (attestation.setVersion != version) revert ComputeRewardsStaleSet(attestation.setVersion, version);
        VALIDATORS.requireQuorum(modelId, version, _hashTypedDataV4(digest), signatures);

        uint48 activatableAt = uint48(block.timestamp + schedule.window);
        pool.posted.digest = digest;
        (pool.posted.toEpoch, pool.posted.activatableAt, pool.posted.asOf) = (
            SafeCast.toUint32(attestation.toEpoch),
            activatableAt,
            asOf
        );
        emit RootPosted(modelId, kind, attestation.index, attestation, activatableAt);
    }

    /// @inheritdoc IComputeRewards
    function activate(Attestation calldata attestation) external {
        (ModelId modelId, uint8 kind, uint256 total) = (attestation.modelId, attestation.kind, attestation.total);
        Pool storage pool = _pools[modelId][kind];
        Posted memory next = pool.posted;
        uint64 fromEpoch = uint64(pool.toEpoch) + 1;
        if (next.toEpoch < fromEpoch) revert ComputeRewardsNothingPending(modelId, kind);
        bytes32 digest = ProtocolHashes.hashAttestation(attestation);
        if (digest != next.digest) revert DisputesOtherAttestation(digest, next.digest);
        _requireUndisputed(digest, next.activatableAt);
        if (block.timestamp < next.activatableAt) revert ComputeRewardsWindowOpen(next.activatableAt);

        uint32 index = pool.index + 1;
        if (index == 1 && kind == COMPUTE) pool.token = IERC20(REGISTRY.sharesOf(modelId));
        (pool.index, pool.toEpoch) = (index, next.toEpoch);
        _calm(modelId, kind, pool);
        // Within the budget, which fits.
        pool.roots[index] = ActiveRoot({root: attestation.root, total: uint128(total), paid: 0});
        emit RootActivated(modelId, kind, index, attestation.root, fromEpoch, next.toEpoch, total);
        _funds(kind).authorise(modelId, kind, fromEpoch, next.toEpoch, next.asOf, total);
    }

    /// @inheritdoc IComputeRewards
    function claim(ModelId modelId, uint8 kind, address account, Leaf calldata leaf) external returns (uint256 amount) {
        Pool storage pool = _pools[modelId][kind];
        amount = _record(pool, modelId, kind, account, leaf);
        uint64[] memory roots = new uint64[](1);
        roots[0] = leaf.index;
        _pay(pool, modelId, kind, account, account, amount, roots);
    }

    /// @inheritdoc IComputeRewards
    function claimMany(Claim[] calldata claims) external returns (uint256[] memory amounts) {
        amounts = new uint256[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            Claim calldata one = claims[i];
            amounts[i] = _claim(one.modelId, one.kind, one.account, one.account, one.leaves);
        }
    }

    /// @inheritdoc IComputeRewards
    function claimTo(
        ClaimTo calldata order,
        Leaf[] calldata leaves,
        bytes calldata signature
    ) external returns (uint256 amount) {
        if (block.timestamp > order.deadline) revert ComputeRewardsOrderExpired(order.deadline);
        uint256 nonce = claimNonce[order.account];
        if (order.nonce != nonce) revert ComputeRewardsOrderRevoked(order.nonce, nonce);
        bytes32 digest = _hashTypedDataV4(ProtocolHashes.hashClaimTo(order));
        if (!SignatureChecker.isValidSignatureNowCalldata(order.account, digest, signature)) {
            revert ComputeRewardsOrderNotSigned(order.account);
        }
        return _claim(order.modelId, order.kind, order.account, order.to, leaves);
    }

    /// @inheritdoc IComputeRewards
    function revokeClaimTo() external {
        emit ClaimToRevoked(msg.sender, ++claimNonce[msg.sender]);
    }

    /// @inheritdoc IComputeRewards
    function pending(ModelId modelId, uint8 kind) external view returns (PendingRoot memory) {
        Pool storage pool = _pools[modelId][kind];
        Posted memory posted = pool.posted;
        if (posted.toEpoch <= pool.toEpoch) return PendingRoot(0, 0, 0, 0, 0, 0);
        return
            PendingRoot({
                digest: posted.digest,
                index: pool.index + 1,
                fromEpoch: pool.toEpoch + 1,
                toEpoch: posted.toEpoch,
                activatableAt: posted.activatableAt,
                asOf: posted.asOf
            });
    }

    /// @inheritdoc IComputeRewards
    function newest(
        ModelId modelId,
        uint8 kind
    ) external view returns (uint64 index, uint64 toEpoch, ActiveRoot memory root) {
        Pool storage pool = _pools[modelId][kind];
        return (pool.index, pool.toEpoch, pool.roots[pool.index]);
    }

    /// @inheritdoc IComputeRewards
    function rootAt(ModelId modelId, uint8 kind, uint64 index) external view returns (ActiveRoot memory) {
        return _pools[modelId][kind].roots[index];
    }

    /// @inheritdoc IComputeRewards
    function paidBits(ModelId modelId, uint8 kind, address account, uint256 word) external view returns (uint256) {
        return _pools[modelId][kind].paid[account][word];
    }

    /// @inheritdoc IComputeRewards
    function emission() external view returns (address) {
        return address(EMISSION);
    }

    /// @inheritdoc IComputeRewards
    function validators() external view returns (address) {
        return address(VALIDATORS);
    }

    /// @inheritdoc IComputeRewards
    function revenueDeposits() external view returns (address) {
        return address(REVENUE_DEPOSITS);
    }

    /// @inheritdoc IComputeRewards
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _claim(
        ModelId modelId,
        uint8 kind,
        address account,
        address to,
        Leaf[] calldata leaves
    ) private returns (uint256 sum) {
        Pool storage pool = _pools[modelId][kind];
        uint64[] memory roots = new uint64[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            uint256 amount = _record(pool, modelId, kind, account, leaves[i]);
            if (amount == 0) continue;
            sum += amount;
            roots[i] = leaves[i].index;
        }
        _pay(pool, modelId, kind, account, to, sum, roots);
    }

    /// @dev Answers what is to be paid for the leaf. Anyone may claim for an account, so one who finds that another has done it
    /// must not fail: it gets 0.
    function _record(
        Pool storage pool,
        ModelId modelId,
        uint8 kind,
        address account,
        Leaf calldata leaf
    ) private returns (uint256 amount) {
        uint64 index = leaf.index;
        mapping(uint256 word => uint256) storage bits = pool.paid[account];
        uint256 word = bits[index >> 8];
        uint256 bit = 1 << (index & 255);
        if (word & bit != 0) return 0;

        amount = leaf.amount;
        ActiveRoot storage root = pool.roots[index];
        bytes32 hash = ProtocolHashes.rewardLeaf(kind, modelId, index, account, amount);
        // No root is zero, and nothing hashes to it, so a number that no active root has pays nobody.
        if (!MerkleProof.verifyCalldata(leaf.proof, root.root, hash)) {
            revert ComputeRewardsInvalidProof(modelId, kind, index, account);
        }
        uint256 paid = root.paid + amount;
        if (paid > root.total) revert ComputeRewardsAboveTotal(index, paid, root.total);
        root.paid = uint128(paid);
        bits[index >> 8] = word | bit;
    }

    function _pay(
        Pool storage pool,
        ModelId modelId,
        uint8 kind,
        address account,
        address to,
        uint256 amount,
        uint64[] memory roots
    ) private {
        if (amount == 0) return;
        emit Claimed(modelId, account, kind, to, amount, roots);
        if (kind == REVENUE) REVENUE_DEPOSITS.pay(modelId, account, msg.sender, to, amount);
        else pool.token.safeTransfer(to, amount);
    }

    function _requireTimes(Attestation calldata attestation, Schedule memory schedule) private view {
        if (schedule.start == 0) revert ComputeRewardsUnknownModel(attestation.modelId);
        uint256 end = Epochs.end(schedule, attestation.toEpoch);
        uint256 deadline = attestation.deadline;
        if (block.timestamp < end) revert ComputeRewardsEpochNotOver(attestation.toEpoch, end);
        if (block.timestamp > deadline) revert ComputeRewardsExpired(attestation.deadline);
        if (deadline == end || (deadline - end) % schedule.postingDelay != 0) {
            revert ComputeRewardsBadDeadline(attestation.deadline, uint48(end), schedule.postingDelay);
        }
    }

    function _requireSuccessor(Pool storage pool, Attestation calldata attestation) private view {
        (uint64 index, uint64 next) = (pool.index, uint64(pool.toEpoch) + 1);
        Posted storage posted = pool.posted;
        if (posted.toEpoch >= next) revert ComputeRewardsRootPending(posted.toEpoch, posted.activatableAt);
        if (attestation.index != index + 1) revert ComputeRewardsWrongIndex(attestation.index, index + 1);
        if (attestation.fromEpoch != next || attestation.toEpoch < next) {
            revert ComputeRewardsWrongEpochs(attestation.fromEpoch, attestation.toEpoch, next);
        }
        bytes32 root = pool.roots[index].root;
        if (attestation.previousRoot != root) revert ComputeRewardsStaleRoot(attestation.previousRoot, root);
        if (attestation.root == 0) revert ComputeRewardsZeroRoot();
    }

    function _requireBudget(Attestation calldata attestation, uint48 asOf) private view {
        uint256 budget = _funds(attestation.kind).authorisableBy(
            address(this),
            attestation.modelId,
            attestation.kind,
            attestation.fromEpoch,
            attestation.toEpoch,
            asOf
        );
        if (attestation.total > budget) revert ComputeRewardsOverBudget(attestation.total, budget);
    }

    /// @dev What funds the roots of a kind.
    function _funds(uint8 kind) private view returns (IRewardsBudget) {
        return kind == REVENUE ? REVENUE_DEPOSITS : IRewardsBudget(address(EMISSION));
    }
}

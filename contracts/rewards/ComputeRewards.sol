// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Claim, IComputeRewards, RewardRoot} from "../interfaces/IComputeRewards.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {COMPUTE} from "../interfaces/Kinds.sol";
import {Attestation} from "../interfaces/Statements.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";

/// @title ComputeRewards
/// @notice See IComputeRewards. A model's shares that lie here are what its active root still owes.
contract ComputeRewards is IComputeRewards, EIP712 {
    using SafeERC20 for IERC20;

    IModelRegistry private immutable REGISTRY;
    IEmission private immutable EMISSION;
    IValidatorSet private immutable VALIDATORS;

    mapping(ModelId modelId => RewardRoot) private _active;
    /// @dev A root is pending while its epoch lies above the active one's. It is left in place when it becomes active:
    /// overwriting is cheaper than clearing, and there can never be two.
    mapping(ModelId modelId => RewardRoot) private _posted;

    /// @dev Kept here from the first activation on, which spares every claim a call to the registry.
    mapping(ModelId modelId => IERC20) private _shares;

    /// @inheritdoc IComputeRewards
    mapping(ModelId modelId => mapping(address account => uint256)) public claimed;

    /// @notice Knows three contracts, for ever.
    /// @param registry_ Knows every model's shares and clock.
    /// @param emission_ Mints what a root adds.
    /// @param validators_ Verifies signatures.
    constructor(
        IModelRegistry registry_,
        IEmission emission_,
        IValidatorSet validators_
    ) EIP712(Protocol.NAME, Protocol.VERSION) {
        REGISTRY = registry_;
        EMISSION = emission_;
        VALIDATORS = validators_;
    }

    /// @inheritdoc IComputeRewards
    function postRoot(Attestation calldata attestation, bytes[] calldata signatures) external {
        ModelId modelId = attestation.modelId;
        Schedule memory schedule = REGISTRY.scheduleOf(modelId);
        _requireTimes(attestation, schedule);
        _requireSuccessor(attestation);

        uint32 version = VALIDATORS.currentVersion(modelId);
        if (attestation.setVersion != version) revert ComputeRewardsStaleSet(attestation.setVersion, version);
        VALIDATORS.requireQuorum(
            modelId,
            version,
            _hashTypedDataV4(ProtocolHashes.hashAttestation(attestation)),
            signatures
        );

        uint48 activatableAt = uint48(block.timestamp + schedule.window);
        _posted[modelId] = RewardRoot({
            root: attestation.root,
            totalCumulative: SafeCast.toUint128(attestation.totalCumulative),
            epoch: SafeCast.toUint32(attestation.epoch),
            activatableAt: activatableAt,
            deadline: SafeCast.toUint48(attestation.deadline)
        });
        emit RootPosted(
            modelId,
            attestation.epoch,
            attestation.root,
            attestation.runId,
            attestation.head,
            attestation.epochDigest,
            attestation.totalCumulative,
            version,
            attestation.deadline,
            activatableAt
        );
    }

    /// @inheritdoc IComputeRewards
    function activate(ModelId modelId) external {
        RewardRoot memory next = _posted[modelId];
        RewardRoot memory last = _active[modelId];
        if (next.epoch <= last.epoch) revert ComputeRewardsNothingPending(modelId);
        if (block.timestamp < next.activatableAt) revert ComputeRewardsWindowOpen(next.activatableAt);

        _active[modelId] = next;
        if (last.epoch == 0) _shares[modelId] = IERC20(REGISTRY.sharesOf(modelId));
        uint256 minted = next.totalCumulative - last.totalCumulative;
        emit RootActivated(modelId, next.epoch, next.root, next.totalCumulative, minted);
        EMISSION.authorise(modelId, COMPUTE, uint64(last.epoch) + 1, next.epoch, next.deadline, minted);
    }

    /// @inheritdoc IComputeRewards
    function claim(
        ModelId modelId,
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256 amount) {
        return _claim(modelId, account, cumulative, proof);
    }

    /// @inheritdoc IComputeRewards
    function claimMany(Claim[] calldata claims) external {
        for (uint256 i = 0; i < claims.length; ++i) {
            _claim(claims[i].modelId, claims[i].account, claims[i].cumulative, claims[i].proof);
        }
    }

    /// @inheritdoc IComputeRewards
    function pending(ModelId modelId) external view returns (RewardRoot memory root) {
        if (_posted[modelId].epoch > _active[modelId].epoch) root = _posted[modelId];
    }

    /// @inheritdoc IComputeRewards
    function active(ModelId modelId) external view returns (RewardRoot memory) {
        return _active[modelId];
    }

    /// @inheritdoc IComputeRewards
    function registry() external view returns (address) {
        return address(REGISTRY);
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
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @dev Anyone may claim for an account, so one who finds that another has done it must not fail: it gets 0.
    function _claim(
        ModelId modelId,
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) private returns (uint256 amount) {
        bytes32 root = _active[modelId].root;
        bytes32 leaf = ProtocolHashes.rewardLeaf(COMPUTE, modelId, account, cumulative);
        // No root is zero, and no leaf hashes to it, so a model without an active root pays nobody.
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) revert ComputeRewardsInvalidProof(modelId, account);

        uint256 before = claimed[modelId][account];
        if (cumulative < before) revert ComputeRewardsFallingCumulative(account, cumulative, before);
        amount = cumulative - before;
        if (amount == 0) return 0;
        claimed[modelId][account] = cumulative;
        emit Claimed(modelId, account, amount, cumulative);
        _shares[modelId].safeTransfer(account, amount);
    }

    function _requireTimes(Attestation calldata attestation, Schedule memory schedule) private view {
        if (schedule.start == 0) revert ComputeRewardsUnknownModel(attestation.modelId);
        uint256 end = Epochs.end(schedule, attestation.epoch);
        uint256 deadline = attestation.deadline;
        if (block.timestamp < end) revert ComputeRewardsEpochNotOver(attestation.epoch, end);
        if (block.timestamp > deadline) revert ComputeRewardsExpired(attestation.deadline);
        if (deadline == end || (deadline - end) % schedule.postingDelay != 0) {
            revert ComputeRewardsBadDeadline(attestation.deadline, uint48(end), schedule.postingDelay);
        }
    }

    function _requireSuccessor(Attestation calldata attestation) private view {
        ModelId modelId = attestation.modelId;
        RewardRoot memory last = _active[modelId];
        RewardRoot storage posted = _posted[modelId];
        if (posted.epoch > last.epoch) revert ComputeRewardsRootPending(posted.epoch, posted.activatableAt);
        if (attestation.epoch <= last.epoch) revert ComputeRewardsEpochNotAbove(attestation.epoch, last.epoch);
        if (attestation.previousRoot != last.root) revert ComputeRewardsStaleRoot(attestation.previousRoot, last.root);
        if (attestation.root == 0) revert ComputeRewardsZeroRoot();
        uint256 total = attestation.totalCumulative;
        if (total < last.totalCumulative) revert ComputeRewardsFallingTotal(total, last.totalCumulative);

        uint256 delta = total - last.totalCumulative;
        uint256 budget = EMISSION.authorisable(
            modelId,
            COMPUTE,
            uint64(last.epoch) + 1,
            attestation.epoch,
            SafeCast.toUint48(attestation.deadline)
        );
        if (delta > budget) revert ComputeRewardsOverBudget(delta, budget);
    }
}

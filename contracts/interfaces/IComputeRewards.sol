// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, ModelId, RunId} from "./Ids.sol";
import {Attestation} from "./Statements.sol";

/// @notice A root of cumulative rewards.
/// @param root Root of the tree whose leaves say what each account has earned in all.
/// @param totalCumulative Sum of the leaves, in wei of shares.
/// @param epoch The last epoch it covers; 0 for no root.
/// @param activatableAt From when on it may be activated.
/// @param deadline The attestation's, at which the age of the epochs is judged.
struct RewardRoot {
    bytes32 root;
    uint128 totalCumulative;
    uint32 epoch;
    uint48 activatableAt;
    uint48 deadline;
}

/// @notice One claim of `claimMany`.
/// @param modelId Whose shares.
/// @param account Who is paid.
/// @param cumulative What the account has earned in all, as its leaf says, in wei of shares.
/// @param proof From the leaf to the active root.
struct Claim {
    ModelId modelId;
    address account;
    uint256 cumulative;
    bytes32[] proof;
}

/// @title IComputeRewards
/// @notice Pays shares for compute. k of n validators sign a root of cumulative rewards; after a window anyone
/// activates it, which mints what it adds; claims then transfer. An active root is final and nothing pauses its claims.
interface IComputeRewards {
    /// @notice A root is pending.
    /// @param modelId The model.
    /// @param epoch The last epoch that it covers.
    /// @param root The root.
    /// @param runId Run of the last head anchored in the epoch.
    /// @param head That head.
    /// @param epochDigest sha256 of the epoch's manifest.
    /// @param totalCumulative Sum of all leaves, in wei of shares.
    /// @param setVersion Which set of validators signed.
    /// @param deadline The attestation's, in seconds since 1970.
    /// @param activatableAt From when on it may be activated, in seconds since 1970.
    event RootPosted(
        ModelId indexed modelId,
        uint64 indexed epoch,
        bytes32 indexed root,
        RunId runId,
        HeadHash head,
        Digest epochDigest,
        uint256 totalCumulative,
        uint32 setVersion,
        uint64 deadline,
        uint48 activatableAt
    );

    /// @notice A root is active; `minted` is what it adds.
    /// @param modelId The model.
    /// @param epoch The last epoch that it covers.
    /// @param root The root.
    /// @param totalCumulative Sum of all leaves, in wei of shares.
    /// @param minted What was minted, in wei of shares.
    event RootActivated(
        ModelId indexed modelId,
        uint64 indexed epoch,
        bytes32 indexed root,
        uint256 totalCumulative,
        uint256 minted
    );

    /// @notice An account was paid.
    /// @param modelId The model.
    /// @param account Who was paid.
    /// @param amount What was paid, in wei of shares.
    /// @param cumulative What it has been paid in all.
    event Claimed(ModelId indexed modelId, address indexed account, uint256 amount, uint256 cumulative);

    /// @notice There is no such model.
    /// @param modelId What was named as the model.
    error ComputeRewardsUnknownModel(ModelId modelId);
    /// @notice The epoch is not over.
    /// @param epoch The epoch.
    /// @param end When it is over, in seconds since 1970.
    error ComputeRewardsEpochNotOver(uint64 epoch, uint256 end);
    /// @notice The epoch must lie above the active root's.
    /// @param epoch The last epoch that the attestation covers.
    /// @param activeEpoch The last epoch that the active root covers.
    error ComputeRewardsEpochNotAbove(uint64 epoch, uint64 activeEpoch);
    /// @notice The attestation was made on another root than the active one.
    /// @param previousRoot The root that the attestation was made on; 0 for none.
    /// @param activeRoot The active root; 0 for none.
    error ComputeRewardsStaleRoot(bytes32 previousRoot, bytes32 activeRoot);
    /// @notice A root is pending; it must be activated first.
    /// @param epoch The last epoch that the pending root covers.
    /// @param activatableAt From when on it may be activated, in seconds since 1970.
    error ComputeRewardsRootPending(uint64 epoch, uint48 activatableAt);
    /// @notice The deadline has passed.
    /// @param deadline The attestation's, in seconds since 1970.
    error ComputeRewardsExpired(uint64 deadline);
    /// @notice The deadline is not the epoch's end plus a whole number of posting delays.
    /// @param deadline The attestation's, in seconds since 1970.
    /// @param end When the epoch is over, in seconds since 1970.
    /// @param postingDelay The model's, in seconds.
    error ComputeRewardsBadDeadline(uint64 deadline, uint48 end, uint32 postingDelay);
    /// @notice Signed by another set than the one in force.
    /// @param setVersion The set that the attestation names.
    /// @param currentVersion The set in force.
    error ComputeRewardsStaleSet(uint32 setVersion, uint32 currentVersion);
    /// @notice A root must not be zero.
    error ComputeRewardsZeroRoot();
    /// @notice The total must not fall.
    /// @param totalCumulative Sum of the new root's leaves, in wei of shares.
    /// @param activeTotal That of the active root's.
    error ComputeRewardsFallingTotal(uint256 totalCumulative, uint256 activeTotal);
    /// @notice The root adds more than the budget of its epochs.
    /// @param delta What the root adds, in wei of shares.
    /// @param authorisable What is left of the budget of its epochs, in wei of shares.
    error ComputeRewardsOverBudget(uint256 delta, uint256 authorisable);
    /// @notice No root is pending.
    /// @param modelId The model.
    error ComputeRewardsNothingPending(ModelId modelId);
    /// @notice The window is not over.
    /// @param activatableAt When the window is over, in seconds since 1970.
    error ComputeRewardsWindowOpen(uint48 activatableAt);
    /// @notice The proof does not lead to the active root.
    /// @param modelId The model.
    /// @param account For whom the claim was made.
    error ComputeRewardsInvalidProof(ModelId modelId, address account);
    /// @notice The account has been paid more than the leaf says.
    /// @param account The account.
    /// @param cumulative What the leaf says, in wei of shares.
    /// @param claimed What the account has been paid in all, in wei of shares.
    error ComputeRewardsFallingCumulative(address account, uint256 cumulative, uint256 claimed);

    /// @notice Posts a root for its window; anyone may, with enough signatures.
    /// @dev Reverts with ComputeRewardsUnknownModel, ComputeRewardsEpochNotOver, ComputeRewardsExpired,
    /// ComputeRewardsBadDeadline, ComputeRewardsRootPending, ComputeRewardsEpochNotAbove, ComputeRewardsStaleRoot,
    /// ComputeRewardsZeroRoot, ComputeRewardsFallingTotal, ComputeRewardsOverBudget, ComputeRewardsStaleSet,
    /// SafeCast's error where epoch, total or deadline leaves its bits in RewardRoot, and as IValidatorSet.requireQuorum.
    /// @param attestation What the validators signed.
    /// @param signatures Theirs, by strictly ascending signers.
    function postRoot(Attestation calldata attestation, bytes[] calldata signatures) external;

    /// @notice Activates the pending root after its window and mints what it adds; anyone may.
    /// @dev Reverts with ComputeRewardsNothingPending, ComputeRewardsWindowOpen.
    /// @param modelId The model.
    function activate(ModelId modelId) external;

    /// @notice Pays an account what the active root grants it; anyone may call, the account is paid. An account that has
    /// been paid in full gets 0.
    /// @dev Reverts with ComputeRewardsInvalidProof, ComputeRewardsFallingCumulative.
    /// @param modelId The model.
    /// @param account Who is paid.
    /// @param cumulative What the account has earned in all, as its leaf says, in wei of shares.
    /// @param proof From the leaf to the active root.
    /// @return amount What was paid, in wei of shares.
    function claim(
        ModelId modelId,
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256 amount);

    /// @notice Several claims at once; reverts where one of them does, as `claim`.
    /// @param claims In any order, of any models.
    function claimMany(Claim[] calldata claims) external;

    /// @notice The root in its window; all zero if there is none.
    /// @param modelId The model.
    /// @return root The pending root.
    function pending(ModelId modelId) external view returns (RewardRoot memory root);

    /// @notice The root that claims are paid on; all zero if there is none.
    /// @param modelId The model.
    /// @return The active root.
    function active(ModelId modelId) external view returns (RewardRoot memory);

    /// @notice What an account has been paid in all.
    /// @param modelId The model.
    /// @param account The account.
    /// @return The sum, in wei of shares.
    function claimed(ModelId modelId, address account) external view returns (uint256);

    /// @notice EIP-712 domain separator of Attestation.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);

    /// @notice Knows every model's shares and clock.
    /// @return Address of ModelRegistry.
    function registry() external view returns (address);

    /// @notice Mints what a root adds.
    /// @return Address of Emission.
    function emission() external view returns (address);

    /// @notice Verifies the signatures under a root.
    /// @return Address of ValidatorSet.
    function validators() external view returns (address);
}

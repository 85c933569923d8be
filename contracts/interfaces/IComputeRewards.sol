// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";
import {Attestation, ClaimTo} from "./Statements.sol";

/// @notice A root in its window.
/// @param digest Struct hash of its attestation, which the event RootPosted tells.
/// @param index The root's number, from 1; 0 for no root.
/// @param fromEpoch The first epoch that it covers.
/// @param toEpoch The last epoch that it covers.
/// @param activatableAt From when on it may be activated; 2^48 - 1 while it is disputed.
/// @param asOf When the age of the epochs is judged: the attestation's deadline, or an earlier one since the last activation of
/// a root that failed.
struct PendingRoot {
    bytes32 digest;
    uint32 index;
    uint32 fromEpoch;
    uint32 toEpoch;
    uint48 activatableAt;
    uint48 asOf;
}

/// @notice A root that pays.
/// @param root Root of the tree whose leaves say what each account earned in its epochs.
/// @param total What it may pay, in wei: it lies here for it since its activation.
/// @param paid What it has paid.
struct ActiveRoot {
    bytes32 root;
    uint128 total;
    uint128 paid;
}

/// @notice What one root grants an account.
/// @param index The root's number.
/// @param amount What the account earned in its epochs, in wei.
/// @param proof From the leaf to the root.
struct Leaf {
    uint64 index;
    uint256 amount;
    bytes32[] proof;
}

/// @notice One account's part of `claimMany`.
/// @param modelId The model.
/// @param kind Of Kinds.sol.
/// @param account Who is paid.
/// @param leaves What is claimed, of any roots of this model and kind.
struct Claim {
    ModelId modelId;
    uint8 kind;
    address account;
    Leaf[] leaves;
}

/// @title IComputeRewards
/// @notice Pays what was earned, root by root. k of n validators sign a root of what the epochs since the last active root
/// earned; after a window, in which anyone may dispute it (IDisputes), anyone activates it, which funds its total; from then on it pays
/// its leaves, each once, and no later root changes it. So a false root costs at most the budget of its own epochs, and nothing
/// pauses an active one. Roots are kept by model and kind: compute pays shares that are minted for it, revenue what was deposited
/// in RevenueDeposits, in the model's capital token.
interface IComputeRewards {
    /// @notice A root is pending.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param index The root's number.
    /// @param attestation What the validators signed.
    /// @param activatableAt From when on it may be activated, in seconds since 1970.
    event RootPosted(
        ModelId indexed modelId,
        uint8 indexed kind,
        uint64 indexed index,
        Attestation attestation,
        uint48 activatableAt
    );

    /// @notice A root is active; its total was minted, or set aside.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param index The root's number.
    /// @param root The root.
    /// @param fromEpoch The first epoch that it covers.
    /// @param toEpoch The last epoch that it covers.
    /// @param total What it pays in all, in wei.
    event RootActivated(
        ModelId indexed modelId,
        uint8 indexed kind,
        uint64 indexed index,
        bytes32 root,
        uint64 fromEpoch,
        uint64 toEpoch,
        uint256 total
    );

    /// @notice An account was paid.
    /// @param modelId The model.
    /// @param account Who earned it.
    /// @param kind Of Kinds.sol.
    /// @param to Who got it: the account, or whom it named.
    /// @param amount What was paid, in wei.
    /// @param roots For each leaf that was claimed the number of its root; 0 for one that had been paid before.
    event Claimed(
        ModelId indexed modelId,
        address indexed account,
        uint8 kind,
        address to,
        uint256 amount,
        uint64[] roots
    );

    /// @notice What an account signed for `claimTo` before is void.
    /// @param account The account.
    /// @param nonce What it signs with from now on.
    event ClaimToRevoked(address indexed account, uint256 nonce);

    /// @notice There is no such model.
    /// @param modelId What was named as the model.
    error ComputeRewardsUnknownModel(ModelId modelId);
    /// @notice The epoch is not over.
    /// @param epoch The epoch.
    /// @param end When it is over, in seconds since 1970.
    error ComputeRewardsEpochNotOver(uint64 epoch, uint256 end);
    /// @notice Nothing is paid for this kind here.
    /// @param kind Of Kinds.sol.
    error ComputeRewardsUnknownKind(uint8 kind);
    /// @notice The root does not follow the active one.
    /// @param index The number that the attestation gives it.
    /// @param next The number that follows the active root's.
    error ComputeRewardsWrongIndex(uint64 index, uint64 next);
    /// @notice The root must cover the epochs from the one after the active root's last, one at least.
    /// @param fromEpoch The first epoch that the attestation covers.
    /// @param toEpoch The last.
    /// @param next The epoch after the active root's last.
    error ComputeRewardsWrongEpochs(uint64 fromEpoch, uint64 toEpoch, uint64 next);
    /// @notice The attestation was made on another root than the active one.
    /// @param previousRoot The root that the attestation was made on; 0 for none.
    /// @param activeRoot The active root; 0 for none.
    error ComputeRewardsStaleRoot(bytes32 previousRoot, bytes32 activeRoot);
    /// @notice A root is pending; it must be activated first.
    /// @param toEpoch The last epoch that the pending root covers.
    /// @param activatableAt From when on it may be activated, in seconds since 1970.
    error ComputeRewardsRootPending(uint64 toEpoch, uint48 activatableAt);
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
    /// @notice The root adds more than the budget of its epochs.
    /// @param delta What the root adds, in wei of shares, of revenue in the token's smallest units.
    /// @param authorisable What is left of the budget of its epochs, in the same.
    error ComputeRewardsOverBudget(uint256 delta, uint256 authorisable);
    /// @notice No root is pending.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    error ComputeRewardsNothingPending(ModelId modelId, uint8 kind);
    /// @notice The window is not over.
    /// @param activatableAt When the window is over, in seconds since 1970.
    error ComputeRewardsWindowOpen(uint48 activatableAt);
    /// @notice The proof does not lead to the root of this number, or no such root is active.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param index The root's number.
    /// @param account For whom the claim was made.
    error ComputeRewardsInvalidProof(ModelId modelId, uint8 kind, uint64 index, address account);
    /// @notice The leaves of the root sum up to more than its total.
    /// @param index The root's number.
    /// @param paid What it would have paid with this leaf, in wei.
    /// @param total What it may pay, in wei.
    error ComputeRewardsAboveTotal(uint64 index, uint256 paid, uint256 total);
    /// @notice The order's deadline has passed.
    /// @param deadline In seconds since 1970.
    error ComputeRewardsOrderExpired(uint64 deadline);
    /// @notice The account signs with another nonce now.
    /// @param nonce What the order bears.
    /// @param current What is valid.
    error ComputeRewardsOrderRevoked(uint256 nonce, uint256 current);
    /// @notice The account did not sign the order.
    /// @param account The account.
    error ComputeRewardsOrderNotSigned(address account);

    /// @notice Posts a root for its window; anyone may, with enough signatures. After a root that failed the bond of
    /// IDisputes.bondOf comes along as value, which goes back when this one is activated. What comes along beyond what is due is
    /// credited to the sender.
    /// @dev Reverts with ComputeRewardsUnknownKind, ComputeRewardsUnknownModel, ComputeRewardsEpochNotOver,
    /// ComputeRewardsExpired, ComputeRewardsBadDeadline, ComputeRewardsRootPending, ComputeRewardsWrongIndex,
    /// ComputeRewardsWrongEpochs, ComputeRewardsStaleRoot, ComputeRewardsZeroRoot, ComputeRewardsOverBudget,
    /// ComputeRewardsStaleSet, DisputesRuledBefore, DisputesBondTooLow, SafeCast's error where epoch, total or deadline leaves
    /// its bits here, and as IValidatorSet.requireQuorum.
    /// @param attestation What the validators signed.
    /// @param signatures Theirs, by strictly ascending signers, 65 bytes each (r, s, v).
    function postRoot(Attestation calldata attestation, bytes calldata signatures) external payable;

    /// @notice Activates the pending root after its window and mints its total, or sets it aside; anyone may.
    /// @dev Reverts with ComputeRewardsNothingPending, DisputesOtherAttestation, DisputesOpen, ComputeRewardsWindowOpen.
    /// @param attestation What was posted.
    function activate(Attestation calldata attestation) external;

    /// @notice Pays an account what a root grants it; anyone may call, the account is paid. One that has been paid gets 0.
    /// @dev Reverts with ComputeRewardsInvalidProof, ComputeRewardsAboveTotal; of revenue as RevenueDeposits.pay.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param account Who is paid.
    /// @param leaf What the root grants it.
    /// @return amount What was paid, in wei.
    function claim(ModelId modelId, uint8 kind, address account, Leaf calldata leaf) external returns (uint256 amount);

    /// @notice Many leaves at once, one transfer for each account. What has been paid is passed over, and the event says
    /// so; what else `claim` refuses is refused here.
    /// @dev Reverts as `claim`.
    /// @param claims In any order, of any models and kinds.
    /// @return amounts What was paid for each claim, in wei.
    function claimMany(Claim[] calldata claims) external returns (uint256[] memory amounts);

    /// @notice Pays what an account earned to whom it names by its signature (of a contract: ERC-1271); anyone may call.
    /// What has been paid is passed over.
    /// @dev A leaf is paid once, so an order need not be used up: it serves for whatever is active until its deadline, and
    /// nobody can spend it on a part of that. Reverts with ComputeRewardsOrderExpired, ComputeRewardsOrderRevoked,
    /// ComputeRewardsOrderNotSigned, and as `claim`.
    /// @param order What the account signed.
    /// @param leaves What is claimed, of any roots of the order's model and kind.
    /// @param signature The account's.
    /// @return amount What was paid, in wei.
    function claimTo(
        ClaimTo calldata order,
        Leaf[] calldata leaves,
        bytes calldata signature
    ) external returns (uint256 amount);

    /// @notice Voids every order for `claimTo` that the caller has signed.
    function revokeClaimTo() external;

    /// @notice The root in its window; all zero if there is none.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return root The pending root.
    function pending(ModelId modelId, uint8 kind) external view returns (PendingRoot memory root);

    /// @notice How far a model's roots of a kind have come; zero before the first is active.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return index Number of the newest active root.
    /// @return toEpoch The last epoch that it covers.
    /// @return root The root.
    function newest(
        ModelId modelId,
        uint8 kind
    ) external view returns (uint64 index, uint64 toEpoch, ActiveRoot memory root);

    /// @notice An active root; all zero if there is none of this number.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param index Its number, from 1.
    /// @return The root.
    function rootAt(ModelId modelId, uint8 kind, uint64 index) external view returns (ActiveRoot memory);

    /// @notice Which roots have paid an account, 256 of them.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param account The account.
    /// @param word Which 256: those of the numbers from 256 × word.
    /// @return Bit i is set where the root of number 256 × word + i has paid the account.
    function paidBits(ModelId modelId, uint8 kind, address account, uint256 word) external view returns (uint256);

    /// @notice With what an account signs orders for `claimTo`.
    /// @param account The account.
    /// @return The nonce.
    function claimNonce(address account) external view returns (uint256);

    /// @notice EIP-712 domain separator of Attestation and ClaimTo.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);

    /// @notice Mints what a root of compute adds.
    /// @return Address of Emission.
    function emission() external view returns (address);

    /// @notice Sets aside and pays what a root of revenue adds.
    /// @return Address of RevenueDeposits.
    function revenueDeposits() external view returns (address);

    /// @notice Verifies the signatures under a root.
    /// @return Address of ValidatorSet.
    function validators() external view returns (address);
}

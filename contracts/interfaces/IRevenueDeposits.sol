// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Permit} from "./ICapitalSale.sol";
import {ModelId} from "./Ids.sol";
import {IRewardsBudget} from "./IRewardsBudget.sol";

/// @notice A model's revenue, in the smallest units of its token.
/// @param token The model's capital token; 0 before the first deposit.
/// @param vault Where it lies; 0 before the first deposit.
/// @param held What the vault holds of it: all that arrived, less what was paid.
/// @param arrived What ever arrived.
/// @param setAside What active roots may pay of it, what they have paid included.
struct RevenueBook {
    address token;
    address vault;
    uint256 held;
    uint256 arrived;
    uint256 setAside;
}

/// @title IRevenueDeposits
/// @notice Revenue of models: anybody deposits a model's capital token, which counts for the epoch in which it arrives. Roots of kind
/// 5 in ComputeRewards share it out among those who held shares in that epoch; each sets its total aside from what arrived up to
/// its last epoch and no root before it has set aside, so that nothing is paid twice and what a root leaves is the next one's. It
/// does not age. What counts is what arrived, not what was sent. Each model's revenue lies in a vault of its own.
interface IRevenueDeposits is IRewardsBudget {
    /// @notice A model's first revenue: from now on its vault takes some.
    /// @param modelId The model.
    /// @param token Its capital token.
    /// @param vault Where its revenue lies.
    event RevenueOpened(ModelId indexed modelId, address token, address vault);

    /// @notice Revenue arrived.
    /// @param modelId The model.
    /// @param epoch The epoch that it counts for, which lasts.
    /// @param payer Who deposited it; 0 for what was sent to the vault without a deposit.
    /// @param amount What arrived, in the token's smallest units.
    event RevenueDeposited(ModelId indexed modelId, uint64 indexed epoch, address indexed payer, uint256 amount);

    /// @notice Revenue was set aside for a root, which is active now.
    /// @param modelId The model.
    /// @param from The first epoch that the root covers.
    /// @param to The last epoch that the root covers.
    /// @param amount What the root may pay, in the token's smallest units.
    event RevenueSetAside(ModelId indexed modelId, uint64 from, uint64 to, uint256 amount);

    /// @notice An account took less than what it was owed, since the token took the rest from the vault.
    /// @param modelId The model.
    /// @param account Who was owed it.
    /// @param amount What was owed, in the token's smallest units.
    /// @param paid What was paid for it.
    event RevenueLost(ModelId indexed modelId, address indexed account, uint256 amount, uint256 paid);

    /// @notice There is no such model, or it has no capital token.
    /// @param modelId What was named as the model.
    error RevenueDepositsNone(ModelId modelId);
    /// @notice Nothing arrived.
    error RevenueDepositsNothingArrived();
    /// @notice The token took from the vault: until somebody sends it what is missing, nothing more is taken in.
    /// @param balance What lies there.
    /// @param held What should.
    error RevenueDepositsShort(uint256 balance, uint256 held);
    /// @notice The root adds more than what arrived by its last epoch and is not set aside.
    /// @param amount What was to be set aside, in the token's smallest units.
    /// @param authorisable What is there.
    error RevenueDepositsOverBudget(uint256 amount, uint256 authorisable);
    /// @notice The caller does not pay roots.
    /// @param caller Who called.
    error RevenueDepositsOnlyRewards(address caller);
    /// @notice The token took from the vault, so that the account would be paid less than it is owed: it alone decides to take that.
    /// @param account Who is owed.
    /// @param amount What is owed, in the token's smallest units.
    /// @param paid What would be paid.
    error RevenueDepositsLoss(address account, uint256 amount, uint256 paid);

    /// @notice Moves tokens of the caller's to the model's vault, as revenue of the current epoch; anyone may, with an allowance.
    /// @dev Reverts with RevenueDepositsNone, RevenueDepositsShort, RevenueDepositsNothingArrived, and as the token does.
    /// @param modelId The model.
    /// @param amount How many, in the token's smallest units.
    /// @return What arrived.
    function deposit(ModelId modelId, uint256 amount) external returns (uint256);

    /// @notice Deposits with an allowance that the caller signed.
    /// @dev Reverts as `deposit`. A permit that was used already does no harm.
    /// @param modelId The model.
    /// @param amount How many, in the token's smallest units.
    /// @param permit The caller's signature of an ERC-2612 permit for `amount`.
    /// @return What arrived.
    function depositWithPermit(ModelId modelId, uint256 amount, Permit calldata permit) external returns (uint256);

    /// @notice Counts as revenue of the current epoch what was sent to the vault without a deposit; anyone may. Opens the vault where
    /// there is none yet, so that who can only send tokens knows where to.
    /// @dev Reverts with RevenueDepositsNone.
    /// @param modelId The model.
    /// @return What was counted, in the token's smallest units.
    function count(ModelId modelId) external returns (uint256);

    /// @notice Pays an account what a root grants it; ComputeRewards only. Where the token took from the vault, all that are owed
    /// lose the same part, and an account that did not call by itself is not paid.
    /// @dev Reverts with RevenueDepositsOnlyRewards, RevenueDepositsLoss, and as the token does.
    /// @param modelId The model.
    /// @param account Who is owed it.
    /// @param caller Who claims.
    /// @param to Who gets it.
    /// @param amount What the account is owed, in the token's smallest units.
    function pay(ModelId modelId, address account, address caller, address to, uint256 amount) external;

    /// @notice A model's revenue.
    /// @param modelId The model.
    /// @return All zero before its first deposit.
    function bookOf(ModelId modelId) external view returns (RevenueBook memory);

    /// @notice What a root may set aside: what arrived by the end of its last epoch, and no root before it has set aside.
    /// @param modelId The model.
    /// @param to The last epoch that the root covers.
    /// @return In the token's smallest units.
    function authorisable(ModelId modelId, uint64 to) external view returns (uint256);

    /// @notice What arrived up to the end of an epoch.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @return In the token's smallest units.
    function arrivedThrough(ModelId modelId, uint64 epoch) external view returns (uint256);

    /// @notice Says what a model's capital token is.
    /// @return Address of CapitalSale.
    function capitalSale() external view returns (address);

    /// @notice Posts, disputes and pays roots.
    /// @return Address of ComputeRewards.
    function rewards() external view returns (address);
}

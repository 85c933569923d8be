// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @notice What the holders let somebody spend.
/// @param recipient Who is paid, and alone may ask for it.
/// @param token The ERC-20 that is paid.
/// @param perEpoch What may leave the treasury in one of the model's epochs, in the token's smallest units. What is left of one epoch
/// is not added to the next.
/// @param expiry Until when it may be spent, in seconds since 1970; a year ahead at most.
struct BudgetTerms {
    address recipient;
    address token;
    uint128 perEpoch;
    uint48 expiry;
}

/// @notice A budget as it stands.
/// @param terms What the holders opened.
/// @param revokedAt When they ended it, in seconds since 1970; 0 where they did not.
/// @param spentIn The epoch in which something was spent last; 0 for none.
/// @param spent What was spent in that epoch, in the token's smallest units.
/// @param total What was spent in all, in the token's smallest units.
struct BudgetState {
    BudgetTerms terms;
    uint48 revokedAt;
    uint48 spentIn;
    uint128 spent;
    uint256 total;
}

/// @title IComputeBudget
/// @notice Lets named recipients spend from a model's treasury, which is its timelock: so much an epoch, until a day, in the open. No
/// token ever lies here. The timelock allows this contract to move a token (ERC-20 `approve`), which bounds all budgets of that
/// token together; each budget bounds one recipient, and ends at once when the holders revoke it. A budget promises nothing: it
/// pays what the treasury has when it is asked.
interface IComputeBudget {
    /// @notice The holders opened a budget.
    /// @param modelId The model.
    /// @param id Number of the budget, from 1.
    /// @param recipient Who is paid.
    /// @param token The ERC-20 that is paid.
    /// @param perEpoch What may leave the treasury in one epoch, in the token's smallest units.
    /// @param expiry Until when, in seconds since 1970.
    /// @param purpose What it is for.
    event ComputeBudgetOpened(
        ModelId indexed modelId,
        uint256 indexed id,
        address indexed recipient,
        address token,
        uint128 perEpoch,
        uint48 expiry,
        string purpose
    );

    /// @notice The holders ended a budget.
    /// @param modelId The model.
    /// @param id Number of the budget.
    event ComputeBudgetRevoked(ModelId indexed modelId, uint256 indexed id);

    /// @notice A recipient was paid.
    /// @param modelId The model.
    /// @param id Number of the budget.
    /// @param epoch The epoch that it counts for.
    /// @param amount What the treasury was asked for, in the token's smallest units.
    /// @param memo What it was spent on, as the recipient says.
    event ComputeBudgetSpent(
        ModelId indexed modelId,
        uint256 indexed id,
        uint64 indexed epoch,
        uint256 amount,
        string memo
    );

    /// @notice A term of the budget is outside its bounds.
    /// @param term Name of the field of BudgetTerms, or purpose, or memo.
    /// @param value Its value; of a text, its bytes.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error ComputeBudgetTermOutOfBounds(bytes32 term, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice The recipient cannot be one: the treasury itself.
    /// @param recipient Who was named.
    error ComputeBudgetBadRecipient(address recipient);
    /// @notice The token has no code.
    /// @param token What was named as the token.
    error ComputeBudgetBadToken(address token);
    /// @notice There is no such budget.
    /// @param modelId The model.
    /// @param id What was named as the budget.
    error ComputeBudgetUnknown(ModelId modelId, uint256 id);
    /// @notice Only the budget's recipient spends it.
    /// @param id Number of the budget.
    /// @param caller Who called.
    /// @param recipient Who may.
    error ComputeBudgetNotRecipient(uint256 id, address caller, address recipient);
    /// @notice The holders have ended the budget.
    /// @param id Number of the budget.
    /// @param time When they did, in seconds since 1970.
    error ComputeBudgetEnded(uint256 id, uint48 time);
    /// @notice The budget's time is over.
    /// @param id Number of the budget.
    /// @param expiry When it was, in seconds since 1970.
    error ComputeBudgetExpired(uint256 id, uint48 expiry);
    /// @notice More than the budget leaves in this epoch.
    /// @param id Number of the budget.
    /// @param amount What was asked for, in the token's smallest units.
    /// @param left What is left, in the token's smallest units.
    error ComputeBudgetExceeded(uint256 id, uint256 amount, uint256 left);

    /// @notice Opens a budget; the model's timelock only. What it may spend is bounded by the timelock's allowance too, which is
    /// another call of the same proposal.
    /// @dev Reverts with ModelAuthorityUnauthorized, ComputeBudgetTermOutOfBounds, ComputeBudgetBadRecipient, ComputeBudgetBadToken.
    /// @param modelId The model.
    /// @param terms What is opened.
    /// @param purpose What it is for, 1 to 256 bytes.
    /// @return id Its number among the model's budgets, from 1.
    function open(ModelId modelId, BudgetTerms calldata terms, string calldata purpose) external returns (uint256 id);

    /// @notice Ends a budget at once; the model's timelock only. Does nothing where it was ended before.
    /// @dev Reverts with ModelAuthorityUnauthorized, ComputeBudgetUnknown.
    /// @param modelId The model.
    /// @param id Number of the budget.
    function revoke(ModelId modelId, uint256 id) external;

    /// @notice Pays the caller, who must be the budget's recipient, from the model's timelock.
    /// @dev Reverts with ComputeBudgetUnknown, ComputeBudgetNotRecipient, ComputeBudgetEnded, ComputeBudgetExpired,
    /// ComputeBudgetTermOutOfBounds, ComputeBudgetExceeded, and as the token where the timelock has or allows too little.
    /// @param modelId The model.
    /// @param id Number of the budget.
    /// @param amount What leaves the treasury, in the token's smallest units.
    /// @param memo What it is spent on, 1 to 256 bytes: the public record.
    function spend(ModelId modelId, uint256 id, uint256 amount, string calldata memo) external;

    /// @notice How many budgets a model has had.
    /// @param modelId The model.
    /// @return The number of the newest; 0 for none.
    function countOf(ModelId modelId) external view returns (uint256);

    /// @notice A budget as it stands.
    /// @dev Reverts with ComputeBudgetUnknown.
    /// @param modelId The model.
    /// @param id Number of the budget.
    /// @return The budget.
    function budgetOf(ModelId modelId, uint256 id) external view returns (BudgetState memory);

    /// @notice What a budget still lets its recipient spend in this epoch, whatever the treasury has.
    /// @dev Reverts with ComputeBudgetUnknown.
    /// @param modelId The model.
    /// @param id Number of the budget.
    /// @return In the token's smallest units; 0 once it is over.
    function leftOf(ModelId modelId, uint256 id) external view returns (uint256);
}

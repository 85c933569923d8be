// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {BudgetState, BudgetTerms, IComputeBudget} from "../interfaces/IComputeBudget.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title ComputeBudget
/// @notice See IComputeBudget. Nothing lies here, so there is nothing that one model or token could take from another; what is spent
/// is counted before the token is called.
contract ComputeBudget is IComputeBudget, ModelAuthority {
    using SafeERC20 for IERC20;

    uint256 private constant MAX_TEXT = 256;
    /// @dev Holders who want a budget to last look at it once a year.
    uint256 private constant MAX_TIME = 365 days;

    mapping(ModelId modelId => BudgetState[]) private _budgets;

    /// @notice Obeys one registry's models for ever.
    /// @param registry_ Knows every model's timelock and clock.
    constructor(IModelRegistry registry_) ModelAuthority(registry_) {}

    /// @inheritdoc IComputeBudget
    function open(
        ModelId modelId,
        BudgetTerms calldata terms,
        string calldata purpose
    ) external onlyTimelock(modelId) returns (uint256 id) {
        if (terms.recipient == address(0) || terms.recipient == msg.sender) {
            revert ComputeBudgetBadRecipient(terms.recipient);
        }
        if (terms.token.code.length == 0) revert ComputeBudgetBadToken(terms.token);
        _requireWithin("perEpoch", terms.perEpoch, 1, type(uint128).max);
        _requireWithin("expiry", terms.expiry, block.timestamp, block.timestamp + MAX_TIME);
        _requireWithin("purpose", bytes(purpose).length, 1, MAX_TEXT);

        BudgetState[] storage budgets = _budgets[modelId];
        budgets.push().terms = terms;
        id = budgets.length;
        emit ComputeBudgetOpened(modelId, id, terms.recipient, terms.token, terms.perEpoch, terms.expiry, purpose);
    }

    /// @inheritdoc IComputeBudget
    function revoke(ModelId modelId, uint256 id) external onlyTimelock(modelId) {
        BudgetState storage budget = _existing(modelId, id);
        // No revert: it would undo the rest of a proposal that ends several.
        if (budget.revokedAt != 0) return;
        budget.revokedAt = uint48(block.timestamp);
        emit ComputeBudgetRevoked(modelId, id);
    }

    /// @inheritdoc IComputeBudget
    function spend(ModelId modelId, uint256 id, uint256 amount, string calldata memo) external {
        BudgetState storage budget = _existing(modelId, id);
        BudgetTerms memory terms = budget.terms;
        if (msg.sender != terms.recipient) revert ComputeBudgetNotRecipient(id, msg.sender, terms.recipient);
        if (budget.revokedAt != 0) revert ComputeBudgetEnded(id, budget.revokedAt);
        if (block.timestamp > terms.expiry) revert ComputeBudgetExpired(id, terms.expiry);
        _requireWithin("memo", bytes(memo).length, 1, MAX_TEXT);
        _requireWithin("amount", amount, 1, type(uint256).max);

        uint256 epoch = _epoch(modelId);
        uint256 spent = _spentIn(budget, epoch);
        if (amount > terms.perEpoch - spent) revert ComputeBudgetExceeded(id, amount, terms.perEpoch - spent);
        (budget.spentIn, budget.spent) = (uint48(epoch), uint128(spent + amount));
        budget.total += amount;
        emit ComputeBudgetSpent(modelId, id, uint64(epoch), amount, memo);
        IERC20(terms.token).safeTransferFrom(REGISTRY.timelockOf(modelId), terms.recipient, amount);
    }

    /// @inheritdoc IComputeBudget
    function countOf(ModelId modelId) external view returns (uint256) {
        return _budgets[modelId].length;
    }

    /// @inheritdoc IComputeBudget
    function budgetOf(ModelId modelId, uint256 id) external view returns (BudgetState memory) {
        return _existing(modelId, id);
    }

    /// @inheritdoc IComputeBudget
    function leftOf(ModelId modelId, uint256 id) external view returns (uint256) {
        BudgetState storage budget = _existing(modelId, id);
        if (budget.revokedAt != 0 || block.timestamp > budget.terms.expiry) return 0;
        return budget.terms.perEpoch - _spentIn(budget, _epoch(modelId));
    }

    function _existing(ModelId modelId, uint256 id) private view returns (BudgetState storage) {
        BudgetState[] storage budgets = _budgets[modelId];
        if (id == 0 || id > budgets.length) revert ComputeBudgetUnknown(modelId, id);
        return budgets[id - 1];
    }

    function _epoch(ModelId modelId) private view returns (uint256) {
        return Epochs.at(REGISTRY.scheduleOf(modelId), block.timestamp);
    }

    function _spentIn(BudgetState storage budget, uint256 epoch) private view returns (uint256) {
        return budget.spentIn == epoch ? budget.spent : 0;
    }

    function _requireWithin(bytes32 term, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert ComputeBudgetTermOutOfBounds(term, value, min, max);
    }
}

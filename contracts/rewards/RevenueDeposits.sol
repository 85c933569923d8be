// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {ICapitalSale, Permit} from "../interfaces/ICapitalSale.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRevenueDeposits, RevenueBook} from "../interfaces/IRevenueDeposits.sol";
import {IRewardsBudget} from "../interfaces/IRewardsBudget.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";
import {TokenVault} from "./TokenVault.sol";

/// @title RevenueDeposits
/// @notice See IRevenueDeposits. No token lies here. What can call a token's code is guarded against calls from within it, for all
/// models at once.
contract RevenueDeposits is IRevenueDeposits, ModelAuthority, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    struct Book {
        IERC20 token;
        TokenVault vault;
        uint128 held;
        uint128 setAside;
        /// By epoch, what had arrived when it ended.
        Checkpoints.Trace208 arrived;
    }

    ICapitalSale private immutable CAPITAL_SALE;
    address private immutable REWARDS;

    mapping(ModelId modelId => Book) private _books;

    /// @notice Knows three contracts, for ever.
    /// @param registry_ Knows every model's clock.
    /// @param capitalSale_ Knows every model's capital token.
    /// @param rewards_ Pays roots.
    constructor(IModelRegistry registry_, ICapitalSale capitalSale_, address rewards_) ModelAuthority(registry_) {
        CAPITAL_SALE = capitalSale_;
        REWARDS = rewards_;
    }

    modifier onlyRewards() {
        if (msg.sender != REWARDS) revert RevenueDepositsOnlyRewards(msg.sender);
        _;
    }

    /// @inheritdoc IRevenueDeposits
    function deposit(ModelId modelId, uint256 amount) external nonReentrant returns (uint256) {
        return _deposit(modelId, _opened(modelId), amount);
    }

    /// @inheritdoc IRevenueDeposits
    function depositWithPermit(
        ModelId modelId,
        uint256 amount,
        Permit calldata permit
    ) external nonReentrant returns (uint256) {
        Book storage book = _opened(modelId);
        IERC20Permit token = IERC20Permit(address(book.token));
        // Whoever saw the signature may have used it already: then the allowance is there, else the transfer fails.
        try token.permit(msg.sender, address(this), amount, permit.deadline, permit.v, permit.r, permit.s) {} catch {}
        return _deposit(modelId, book, amount);
    }

    /// @inheritdoc IRevenueDeposits
    function count(ModelId modelId) external nonReentrant returns (uint256 amount) {
        Book storage book = _opened(modelId);
        amount = Math.saturatingSub(book.token.balanceOf(address(book.vault)), book.held);
        if (amount != 0) _record(modelId, book, address(0), amount);
    }

    /// @inheritdoc IRewardsBudget
    function authorise(ModelId modelId, uint8, uint64 from, uint64 to, uint48, uint256 amount) external onlyRewards {
        uint256 limit = _authorisable(modelId, to);
        if (amount > limit) revert RevenueDepositsOverBudget(amount, limit);
        // Within what arrived, which fits.
        _books[modelId].setAside += uint128(amount);
        emit RevenueSetAside(modelId, from, to, amount);
    }

    /// @inheritdoc IRevenueDeposits
    function pay(
        ModelId modelId,
        address account,
        address caller,
        address to,
        uint256 amount
    ) external onlyRewards nonReentrant {
        Book storage book = _books[modelId];
        (IERC20 token, TokenVault vault, uint256 held) = (book.token, book.vault, book.held);
        uint256 balance = token.balanceOf(address(vault));
        uint256 paid = balance < held ? Math.mulDiv(amount, balance, held) : amount;
        book.held = uint128(held - amount);
        if (paid < amount) {
            // A token may give back what it took: who bears a loss decides when.
            if (caller != account) revert RevenueDepositsLoss(account, amount, paid);
            emit RevenueLost(modelId, account, amount, paid);
        }
        vault.pay(token, to, paid);
    }

    /// @inheritdoc IRewardsBudget
    function authorisableBy(
        address distributor,
        ModelId modelId,
        uint8,
        uint64,
        uint64 to,
        uint48
    ) external view returns (uint256) {
        return distributor == REWARDS ? _authorisable(modelId, to) : 0;
    }

    /// @inheritdoc IRevenueDeposits
    function authorisable(ModelId modelId, uint64 to) external view returns (uint256) {
        return _authorisable(modelId, to);
    }

    /// @inheritdoc IRevenueDeposits
    function bookOf(ModelId modelId) external view returns (RevenueBook memory) {
        Book storage book = _books[modelId];
        return
            RevenueBook(
                address(book.token),
                address(book.vault),
                book.held,
                uint256(book.arrived.latest()),
                book.setAside
            );
    }

    /// @inheritdoc IRevenueDeposits
    function arrivedThrough(ModelId modelId, uint64 epoch) external view returns (uint256) {
        return _arrivedThrough(_books[modelId], epoch);
    }

    /// @inheritdoc IRevenueDeposits
    function capitalSale() external view returns (address) {
        return address(CAPITAL_SALE);
    }

    /// @inheritdoc IRevenueDeposits
    function rewards() external view returns (address) {
        return REWARDS;
    }

    /// @dev The book of a model, which its first use opens: most models never have revenue, and none should pay for it when it is made.
    function _opened(ModelId modelId) private returns (Book storage book) {
        book = _books[modelId];
        if (address(book.token) != address(0)) return book;
        address token = CAPITAL_SALE.bookOf(modelId).token;
        if (token == address(0)) revert RevenueDepositsNone(modelId);
        book.token = IERC20(token);
        book.vault = new TokenVault{salt: ModelId.unwrap(modelId)}();
        emit RevenueOpened(modelId, token, address(book.vault));
    }

    /// @dev Moves the caller's tokens to the vault and answers what arrived there.
    function _deposit(ModelId modelId, Book storage book, uint256 amount) private returns (uint256 arrived) {
        (IERC20 token, address vault, uint256 held) = (book.token, address(book.vault), book.held);
        uint256 before = token.balanceOf(vault);
        // Else a deposit would make good what the token took, and holders be owed it twice.
        if (before < held) revert RevenueDepositsShort(before, held);
        token.safeTransferFrom(msg.sender, vault, amount);
        uint256 balance = token.balanceOf(vault);
        if (balance <= before) revert RevenueDepositsNothingArrived();
        arrived = balance - before;
        _record(modelId, book, msg.sender, arrived);
    }

    function _record(ModelId modelId, Book storage book, address payer, uint256 amount) private {
        uint256 total = uint256(book.arrived.latest()) + amount;
        // Epochs count seconds at the least, for which 32 bits do, as for roots.
        uint48 epoch = Epochs.at(REGISTRY.scheduleOf(modelId), block.timestamp).toUint48();
        book.arrived.push(epoch, total.toUint128());
        book.held += amount.toUint128();
        emit RevenueDeposited(modelId, epoch, payer, amount);
    }

    function _authorisable(ModelId modelId, uint64 to) private view returns (uint256) {
        Book storage book = _books[modelId];
        return Math.saturatingSub(_arrivedThrough(book, to), book.setAside);
    }

    function _arrivedThrough(Book storage book, uint64 epoch) private view returns (uint256) {
        return book.arrived.upperLookupRecent(uint48(Math.min(epoch, type(uint48).max)));
    }
}

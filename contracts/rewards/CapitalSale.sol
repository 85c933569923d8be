// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {
    CapitalBook,
    CapitalConfig,
    ICapitalSale,
    Permit,
    Sale,
    SaleState,
    SaleTerms
} from "../interfaces/ICapitalSale.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {CAPITAL} from "../interfaces/Kinds.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";
import {TokenVault} from "./TokenVault.sol";

/// @title CapitalSale
/// @notice See ICapitalSale. A model's shares that lie here are what its buyers have not claimed. Nothing here delegates them, so
/// they have no vote. What can call a token's code is guarded against calls from within it, for all models at once.
contract CapitalSale is ICapitalSale, ModelAuthority, ReentrancyGuardTransient, Multicall {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @dev What prices are for.
    uint256 private constant SHARE = 1e18;

    /// @dev The sale of one epoch. Price and minimum are those in force when the first deposit came.
    struct EpochSale {
        uint128 total;
        uint128 sold;
        uint96 price;
        uint128 minimum;
        mapping(address account => uint256) deposits;
    }

    /// @dev All of one model. Terms are set for the next epoch only, so that two of them are enough.
    struct Book {
        IERC20 token;
        uint96 priceFloor;
        TokenVault vault;
        uint32 version;
        uint256 held;
        SaleTerms former;
        SaleTerms newest;
        uint64[] reached;
        uint256 settled;
        mapping(uint256 epoch => EpochSale) sales;
    }

    IEmission private immutable EMISSION;

    mapping(ModelId modelId => Book) private _books;

    /// @notice Knows two contracts, for ever.
    /// @param registry_ Knows every model's shares, clock and timelock, and opens its sale.
    /// @param emission_ Mints what is sold.
    constructor(IModelRegistry registry_, IEmission emission_) ModelAuthority(registry_) {
        EMISSION = emission_;
    }

    /// @inheritdoc ICapitalSale
    function open(ModelId modelId, CapitalConfig calldata config) external onlyRegistry(modelId) {
        if (config.token == address(0)) {
            if (config.priceFloor != 0 || config.price != 0 || config.minimum != 0)
                revert CapitalSaleBadToken(address(0));
            return;
        }
        if (config.token.code.length == 0) revert CapitalSaleBadToken(config.token);
        if (config.priceFloor == 0) revert CapitalSalePriceTooLow(0, 1);
        Book storage book = _books[modelId];
        (book.token, book.priceFloor) = (IERC20(config.token), config.priceFloor);
        book.vault = new TokenVault{salt: ModelId.unwrap(modelId)}();
        emit SaleOpened(modelId, config.token, address(book.vault), config.priceFloor);
        _setTerms(modelId, book, 1, config.price, config.minimum);
    }

    /// @inheritdoc ICapitalSale
    function setTerms(ModelId modelId, uint32 replaces, uint96 price, uint128 minimum) external onlyTimelock(modelId) {
        Book storage book = _existing(modelId);
        uint32 latest = book.version;
        if (replaces != latest) revert CapitalSaleTermsReplaced(modelId, replaces, latest);
        uint256 current = _current(modelId);
        // What a second change within one epoch replaces was not in force yet.
        if (book.newest.fromEpoch <= current) book.former = book.newest;
        _setTerms(modelId, book, current + 1, price, minimum);
    }

    /// @inheritdoc ICapitalSale
    function deposit(
        ModelId modelId,
        uint64 epoch,
        address account,
        uint256 amount
    ) external nonReentrant returns (uint256) {
        return _deposit(modelId, _existing(modelId), epoch, account, amount);
    }

    /// @inheritdoc ICapitalSale
    function depositWithPermit(
        ModelId modelId,
        uint64 epoch,
        address account,
        uint256 amount,
        Permit calldata permit
    ) external nonReentrant returns (uint256) {
        Book storage book = _existing(modelId);
        IERC20Permit token = IERC20Permit(address(book.token));
        // Whoever saw the signature may have used it already: then the allowance is there, else the transfer fails.
        try token.permit(msg.sender, address(this), amount, permit.deadline, permit.v, permit.r, permit.s) {} catch {}
        return _deposit(modelId, book, epoch, account, amount);
    }

    /// @inheritdoc ICapitalSale
    function settle(ModelId modelId) external nonReentrant returns (uint64 epoch) {
        Book storage book = _existing(modelId);
        if (book.settled == book.reached.length) return 0;
        epoch = book.reached[book.settled];
        if (epoch >= _current(modelId)) return 0;
        ++book.settled;
        EpochSale storage sale = book.sales[epoch];
        uint256 total = sale.total;
        uint256 budget = _budget(modelId, epoch);
        if (budget == 0) {
            emit SaleExpired(modelId, epoch, total);
            return epoch;
        }
        // Shares for the whole total against less than that: whoever can take tokens back would buy below the floor.
        _whole(book);
        uint256 sold = Math.min(budget, (total * SHARE) / sale.price);
        sale.sold = sold.toUint128();
        EMISSION.authorise(modelId, CAPITAL, epoch, epoch, uint48(block.timestamp), sold);
        uint256 proceeds = _pay(book, REGISTRY.timelockOf(modelId), total);
        emit SaleSettled(modelId, epoch, total, proceeds, sold);
    }

    /// @inheritdoc ICapitalSale
    function claim(ModelId modelId, uint64 epoch, address account) external returns (uint256 shares) {
        EpochSale storage sale = _existing(modelId).sales[epoch];
        if (sale.sold == 0) revert CapitalSaleNotSettled(modelId, epoch);
        uint256 amount = sale.deposits[account];
        if (amount == 0) return 0;
        delete sale.deposits[account];
        shares = (amount * sale.sold) / sale.total;
        emit SharesClaimed(modelId, epoch, account, amount, shares);
        IERC20(REGISTRY.sharesOf(modelId)).safeTransfer(account, shares);
    }

    /// @inheritdoc ICapitalSale
    function refund(
        ModelId modelId,
        uint64 epoch,
        address account,
        uint256 atLeast
    ) external nonReentrant returns (uint256 amount) {
        Book storage book = _existing(modelId);
        EpochSale storage sale = book.sales[epoch];
        if (_stateOf(modelId, epoch, sale) != SaleState.Failed) revert CapitalSaleNotRefundable(modelId, epoch);
        uint256 deposited = sale.deposits[account];
        if (deposited == 0) return 0;
        delete sale.deposits[account];
        amount = _pay(book, account, deposited);
        // A token may give back what it took: who bears a loss decides when.
        if (amount < deposited && msg.sender != account) revert CapitalSaleLoss(account, deposited, amount);
        if (amount < atLeast) revert CapitalSaleTooLittle(account, amount, atLeast);
        emit Refunded(modelId, epoch, account, deposited, amount);
    }

    /// @inheritdoc ICapitalSale
    function bookOf(ModelId modelId) external view returns (CapitalBook memory) {
        Book storage book = _books[modelId];
        return CapitalBook(address(book.token), book.priceFloor, address(book.vault), book.held);
    }

    /// @inheritdoc ICapitalSale
    function newestTerms(ModelId modelId) external view returns (SaleTerms memory terms, uint32 version) {
        Book storage book = _books[modelId];
        return (book.newest, book.version);
    }

    /// @inheritdoc ICapitalSale
    function saleOf(ModelId modelId, uint64 epoch) external view returns (Sale memory) {
        Book storage book = _existing(modelId);
        EpochSale storage sale = book.sales[epoch];
        SaleState state = _stateOf(modelId, epoch, sale);
        if (state != SaleState.None) return Sale(state, sale.price, sale.minimum, sale.total, sale.sold);
        if (epoch < _current(modelId)) return Sale(state, 0, 0, 0, 0);
        SaleTerms memory terms = _termsOf(book, epoch);
        return Sale(state, terms.price, terms.minimum, 0, 0);
    }

    /// @inheritdoc ICapitalSale
    function depositOf(ModelId modelId, uint64 epoch, address account) external view returns (uint256) {
        return _books[modelId].sales[epoch].deposits[account];
    }

    /// @inheritdoc ICapitalSale
    function unsettled(ModelId modelId) external view returns (uint64 oldest, uint256 count) {
        Book storage book = _books[modelId];
        count = book.reached.length - book.settled;
        if (count != 0) oldest = book.reached[book.settled];
    }

    /// @inheritdoc ICapitalSale
    function emission() external view returns (address) {
        return address(EMISSION);
    }

    function _setTerms(ModelId modelId, Book storage book, uint256 fromEpoch, uint96 price, uint128 minimum) private {
        if (price < book.priceFloor) revert CapitalSalePriceTooLow(price, book.priceFloor);
        // Whoever settles an epoch must not take its money for nothing.
        uint256 least = Math.ceilDiv(price, SHARE);
        if (minimum < least) revert CapitalSaleMinimumTooLow(minimum, least);
        book.newest = SaleTerms(uint32(fromEpoch), price, minimum);
        ++book.version;
        emit SaleTermsSet(modelId, uint64(fromEpoch), price, minimum);
    }

    function _deposit(
        ModelId modelId,
        Book storage book,
        uint64 epoch,
        address account,
        uint256 amount
    ) private returns (uint256 arrived) {
        uint256 current = _current(modelId);
        if (epoch != current) revert CapitalSaleOtherEpoch(epoch, uint64(current));
        if (_budget(modelId, epoch) == 0) revert CapitalSaleNothingForSale(epoch);
        address timelock = REGISTRY.timelockOf(modelId);
        if (msg.sender == timelock) revert CapitalSaleBadAccount(timelock);
        // Neither the sale nor a vault can move shares that are its own.
        if (account == timelock || account == address(0) || account == address(this) || account == address(book.vault))
            revert CapitalSaleBadAccount(account);
        arrived = _take(book, amount);
        _record(book, epoch, account, arrived.toUint128());
        emit Deposited(modelId, epoch, account, msg.sender, arrived);
    }

    /// @dev Moves the caller's tokens to the vault and answers what arrived there.
    function _take(Book storage book, uint256 amount) private returns (uint256) {
        uint256 before = _whole(book);
        (IERC20 token, address vault) = (book.token, address(book.vault));
        token.safeTransferFrom(msg.sender, vault, amount);
        uint256 balance = token.balanceOf(vault);
        if (balance <= before) revert CapitalSaleNothingArrived();
        book.held += balance - before;
        return balance - before;
    }

    /// @dev What lies in the vault: all that should, else it reverts.
    function _whole(Book storage book) private view returns (uint256 balance) {
        balance = book.token.balanceOf(address(book.vault));
        if (balance < book.held) revert CapitalSaleShort(balance, book.held);
    }

    function _record(Book storage book, uint64 epoch, address account, uint128 arrived) private {
        EpochSale storage sale = book.sales[epoch];
        uint128 total = sale.total;
        if (total == 0) {
            SaleTerms memory terms = _termsOf(book, epoch);
            (sale.price, sale.minimum) = (terms.price, terms.minimum);
        }
        uint128 minimum = sale.minimum;
        // Only once: a total never falls. So no stranger's dust makes anybody settle more.
        if (total < minimum && total + arrived >= minimum) book.reached.push(epoch);
        sale.total = total + arrived;
        sale.deposits[account] += arrived;
    }

    /// @dev Pays from the vault. Where less lies there than should, all deposits that are left lose the same part.
    function _pay(Book storage book, address to, uint256 amount) private returns (uint256 paid) {
        (IERC20 token, TokenVault vault, uint256 held) = (book.token, book.vault, book.held);
        uint256 balance = token.balanceOf(address(vault));
        paid = balance < held ? Math.mulDiv(amount, balance, held) : amount;
        book.held = held - amount;
        vault.pay(token, to, paid);
    }

    function _existing(ModelId modelId) private view returns (Book storage book) {
        book = _books[modelId];
        if (address(book.token) == address(0)) revert CapitalSaleNone(modelId);
    }

    function _stateOf(ModelId modelId, uint64 epoch, EpochSale storage sale) private view returns (SaleState) {
        if (sale.total == 0) return SaleState.None;
        if (sale.sold != 0) return SaleState.Settled;
        if (epoch >= _current(modelId)) return SaleState.Open;
        if (sale.total < sale.minimum || _budget(modelId, epoch) == 0) return SaleState.Failed;
        return SaleState.Due;
    }

    /// @dev What may be minted for an epoch: nothing once it is 30 days old or another contract sells, for ever. Settled in order,
    /// none voids another's.
    function _budget(ModelId modelId, uint64 epoch) private view returns (uint256) {
        return EMISSION.authorisableBy(address(this), modelId, CAPITAL, epoch, epoch, uint48(block.timestamp));
    }

    function _current(ModelId modelId) private view returns (uint256) {
        return Epochs.at(REGISTRY.scheduleOf(modelId), block.timestamp);
    }

    /// @dev Of the current epoch or a later one.
    function _termsOf(Book storage book, uint256 epoch) private view returns (SaleTerms memory) {
        return epoch < book.newest.fromEpoch ? book.former : book.newest;
    }
}

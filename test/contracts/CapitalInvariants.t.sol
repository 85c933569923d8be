// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Emission} from "../../contracts/emission/Emission.sol";
import {Sale, SaleState} from "../../contracts/interfaces/ICapitalSale.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {CapitalSale} from "../../contracts/rewards/CapitalSale.sol";
import {TestDollar} from "../../contracts/local/TestDollar.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {Capital} from "./support/Capital.sol";
import {Invariants} from "./support/Invariants.sol";

/// @notice What happens to the sales of two models that are paid in one token: budgets and terms change, buyers deposit for themselves
/// and for others, epochs are settled or left until they are too old, claimed and paid back. Calls that the contract must refuse
/// are not made; each of the others must succeed.
contract CapitalHandler is Capital {
    address[3] public buyers = [address(0xb1), address(0xb2), address(0xb3)];
    ModelId[2] public models;

    /// @dev Of the model of that number.
    mapping(uint256 model => uint256) public deposited;
    mapping(uint256 model => uint256) public refunded;
    mapping(uint256 model => uint256) public proceeds;
    mapping(uint256 model => uint256) public minted;
    mapping(uint256 model => uint256) public claimed;
    /// @dev Deposits that are neither settled, nor paid back.
    mapping(uint256 model => uint256) public open;
    mapping(uint256 model => mapping(uint64 epoch => mapping(address => uint256))) private _deposits;
    mapping(uint256 model => mapping(uint64 epoch => bool)) private _ended;
    /// @dev Epochs with deposits, of either.
    uint64[] private _epochs;
    bool public broken;

    constructor() {
        setUp();
        models = [modelId, registry.createModel(capitalConfig(address(dollar)), "twin")];
    }

    function views() external view returns (address, address, address) {
        return (address(capital), address(emission), address(dollar));
    }

    function sharesOf(uint256 model) external view returns (ModelShares) {
        return ModelShares(registry.sharesOf(models[model]));
    }

    function timelockOf(uint256 model) external view returns (address) {
        return registry.timelockOf(models[model]);
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 40));
    }

    /// @dev Now and then nobody settles for so long that all is paid back.
    function passLong(uint8 often) external {
        if (often % 4 == 0) vm.warp(block.timestamp + AGE);
    }

    function setBudget(uint8 model, uint128 perEpoch, uint16 bps) external {
        model %= 2;
        bps = uint16(bound(bps, 0, 10_000));
        uint32 newest = newestBudget(models[model]);
        vm.prank(registry.timelockOf(models[model]));
        emission.setBudget(models[model], newest, uint128(bound(perEpoch, 0, BUDGET)), split(10_000 - bps, 0, bps, 0));
    }

    function setTerms(uint8 model, uint96 price, uint128 minimum) external {
        model %= 2;
        (, uint32 newest) = capital.newestTerms(models[model]);
        vm.prank(registry.timelockOf(models[model]));
        capital.setTerms(models[model], newest, uint96(bound(price, FLOOR, 1e6)), uint128(bound(minimum, 1, 5e6)));
    }

    function deposit(uint8 model, uint8 payer, uint8 account, uint256 amount) external {
        model %= 2;
        (modelId, amount) = (models[model], bound(amount, 1, 10e6));
        uint64 epoch = current();
        if (emission.authorisable(modelId, 3, epoch, epoch, uint48(block.timestamp)) == 0) return;
        address to = buyers[account % 3];
        uint256 total = saleOf(epoch).total;
        if (depositFor(buyers[payer % 3], to, amount) != amount) broken = true;
        if (saleOf(epoch).total != total + amount) broken = true;
        deposited[model] += amount;
        open[model] += amount;
        _deposits[model][epoch][to] += amount;
        _epochs.push(epoch);
    }

    function settle(uint8 model) external {
        model %= 2;
        modelId = models[model];
        (uint64 oldest, ) = capital.unsettled(modelId);
        uint256 budget = oldest == 0 ? 0 : emission.authorisable(modelId, 3, oldest, oldest, uint48(block.timestamp));
        Sale memory before = saleOf(oldest);
        uint64 epoch = capital.settle(modelId);
        if (epoch == 0) {
            if (oldest != 0 && oldest < current()) broken = true;
            return;
        }
        if (epoch != oldest) broken = true;
        Sale memory sale = saleOf(epoch);
        if (budget == 0) {
            if (sale.state != SaleState.Failed || sale.sold != 0) broken = true;
            return;
        }
        if (_ended[model][epoch] || before.state != SaleState.Due || sale.state != SaleState.Settled) broken = true;
        _ended[model][epoch] = true;
        // Invariant 14: within the budget, and at the price at the least.
        if (sale.sold > budget || uint256(sale.sold) * sale.price > uint256(sale.total) * 1e18) broken = true;
        if (sale.price < FLOOR || sale.total < sale.minimum) broken = true;
        minted[model] += sale.sold;
        proceeds[model] += sale.total;
        open[model] -= sale.total;
    }

    function claim(uint8 model, uint256 which, uint8 who) external {
        (uint8 m, uint64 epoch, address account) = _pick(model, which, who);
        if (epoch == 0 || saleOf(epoch).state != SaleState.Settled) return;
        Sale memory sale = saleOf(epoch);
        uint256 paid = _deposits[m][epoch][account];
        uint256 amount = capital.claim(modelId, epoch, account);
        if (amount != (paid * sale.sold) / sale.total) broken = true;
        if (amount * sale.price > paid * 1e18) broken = true;
        claimed[m] += amount;
        _deposits[m][epoch][account] = 0;
    }

    function refund(uint8 model, uint256 which, uint8 who) external {
        (uint8 m, uint64 epoch, address account) = _pick(model, which, who);
        if (epoch == 0 || saleOf(epoch).state != SaleState.Failed) return;
        uint256 paid = _deposits[m][epoch][account];
        uint256 balance = dollar.balanceOf(account);
        if (capital.refund(modelId, epoch, account, 0) != paid) broken = true;
        if (dollar.balanceOf(account) != balance + paid) broken = true;
        // What is paid back was never settled.
        if (_ended[m][epoch]) broken = true;
        refunded[m] += paid;
        open[m] -= paid;
        _deposits[m][epoch][account] = 0;
    }

    function donate(uint8 model, uint256 amount) external {
        dollar.mint(model % 3 == 2 ? address(capital) : capital.bookOf(models[model % 3]).vault, bound(amount, 0, 5e6));
    }

    function _pick(uint8 model, uint256 which, uint8 who) private returns (uint8, uint64, address) {
        model %= 2;
        modelId = models[model];
        uint64 epoch = _epochs.length == 0 ? 0 : _epochs[bound(which, 0, _epochs.length - 1)];
        return (model, epoch, buyers[who % 3]);
    }
}

contract CapitalInvariants is Invariants {
    CapitalHandler private handler;

    function setUp() public override {
        handler = new CapitalHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](14);
        selectors[0] = CapitalHandler.pass.selector;
        selectors[1] = CapitalHandler.pass.selector;
        selectors[2] = CapitalHandler.passLong.selector;
        selectors[3] = CapitalHandler.setBudget.selector;
        selectors[4] = CapitalHandler.setTerms.selector;
        selectors[5] = CapitalHandler.deposit.selector;
        selectors[6] = CapitalHandler.deposit.selector;
        selectors[7] = CapitalHandler.deposit.selector;
        selectors[8] = CapitalHandler.settle.selector;
        selectors[9] = CapitalHandler.settle.selector;
        selectors[10] = CapitalHandler.claim.selector;
        selectors[11] = CapitalHandler.claim.selector;
        selectors[12] = CapitalHandler.refund.selector;
        selectors[13] = CapitalHandler.donate.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what is owed can always be had (27).
    function invariant_salesKeepTheirPromises() external {
        (address capital_, address emission_, address dollar_) = handler.views();
        (capital, emission) = (CapitalSale(capital_), Emission(emission_));
        TestDollar dollar = TestDollar(dollar_);

        yes(!handler.broken(), "each call did what it promises");
        for (uint256 model = 0; model < 2; ++model) {
            ModelId id = handler.models(model);
            uint256 open = handler.open(model);
            eq(
                handler.deposited(model),
                handler.refunded(model) + handler.proceeds(model) + open,
                "10 each deposit ends once: it is settled or paid back, and held until then"
            );
            eq(capital.bookOf(id).held, open, "the contract knows what it holds");
            yes(dollar.balanceOf(capital.bookOf(id).vault) >= open, "2 each vault holds what it owes");
            eq(dollar.balanceOf(handler.timelockOf(model)), handler.proceeds(model), "proceeds go to the timelock");
            ModelShares token = handler.sharesOf(model);
            eq(token.totalSupply(), handler.minted(model), "11, 12 nothing is minted but what is sold");
            eq(
                token.balanceOf(capital_),
                handler.minted(model) - handler.claimed(model),
                "2 the sale holds what was not claimed"
            );
            eq(token.getVotes(capital_), 0, "what is not claimed does not vote");
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {BudgetState, BudgetTerms} from "../../contracts/interfaces/IComputeBudget.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {Invariants} from "./support/Invariants.sol";
import {Fixture} from "./support/Fixture.sol";
import {HostileToken} from "./support/Tokens.sol";

/// @notice Two models whose holders open and end budgets of one token, which keeps a part of what it moves now and then. Calls that
/// the contract must refuse are not made; each of the others must succeed.
contract ComputeBudgetHandler is Fixture {
    uint256 public constant FUNDS = 1_000e6;

    HostileToken public token = new HostileToken();
    ModelId[2] public models;
    bool public broken;

    mapping(uint256 model => mapping(uint256 id => mapping(uint64 epoch => uint256))) private _spent;
    mapping(uint256 model => uint256) public spentOf;

    constructor() {
        setUp();
        models = [modelId, registry.createModel(modelConfig(), "twin")];
        for (uint256 i = 0; i < 2; ++i) {
            address treasury = registry.timelockOf(models[i]);
            token.mint(treasury, FUNDS);
            token.allow(treasury, address(budgets));
        }
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 60));
    }

    function setFee(uint16 fee) external {
        token.setFee(bound(fee, 0, 500));
    }

    function open(uint8 which, uint8 who, uint128 perEpoch, uint32 time) external {
        BudgetTerms memory terms = BudgetTerms({
            recipient: address(uint160(0xc0 + (who % 3))),
            token: address(token),
            perEpoch: uint128(bound(perEpoch, 1, 50e6)),
            expiry: uint48(block.timestamp + bound(time, 0, 300))
        });
        ModelId id = models[which % 2];
        vm.prank(registry.timelockOf(id));
        uint256 number = budgets.open(id, terms, "purpose");
        if (number != budgets.countOf(id)) broken = true;
    }

    function revoke(uint8 which, uint256 number) external {
        ModelId id = models[which % 2];
        if (budgets.countOf(id) == 0) return;
        number = bound(number, 1, budgets.countOf(id));
        vm.prank(registry.timelockOf(id));
        budgets.revoke(id, number);
        if (budgets.leftOf(id, number) != 0) broken = true;
    }

    function spend(uint8 which, uint256 number, uint256 amount) external {
        uint256 model = which % 2;
        ModelId id = models[model];
        if (budgets.countOf(id) == 0) return;
        number = bound(number, 1, budgets.countOf(id));
        uint256 left = budgets.leftOf(id, number);
        uint256 funds = token.balanceOf(registry.timelockOf(id));
        if (left > funds) left = funds;
        if (left == 0) return;
        amount = bound(amount, 1, left);
        BudgetState memory state = budgets.budgetOf(id, number);
        uint64 epoch = emission.epochOf(id, uint48(block.timestamp));
        vm.prank(state.terms.recipient);
        budgets.spend(id, number, amount, "memo");
        _spent[model][number][epoch] += amount;
        spentOf[model] += amount;
        if (_spent[model][number][epoch] > state.terms.perEpoch) broken = true;
        if (state.revokedAt != 0 || block.timestamp > state.terms.expiry) broken = true;
        if (budgets.budgetOf(id, number).total != state.total + amount) broken = true;
    }

    function views() external view returns (address treasury, address twins, address contract_) {
        return (registry.timelockOf(models[0]), registry.timelockOf(models[1]), address(budgets));
    }
}

contract ComputeBudgetInvariantsTest is Invariants {
    ComputeBudgetHandler private handler;

    function setUp() public override {
        handler = new ComputeBudgetHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](7);
        selectors[0] = ComputeBudgetHandler.pass.selector;
        selectors[1] = ComputeBudgetHandler.setFee.selector;
        selectors[2] = ComputeBudgetHandler.open.selector;
        selectors[3] = ComputeBudgetHandler.revoke.selector;
        selectors[4] = ComputeBudgetHandler.spend.selector;
        selectors[5] = ComputeBudgetHandler.spend.selector;
        selectors[6] = ComputeBudgetHandler.spend.selector;
        return (address(handler), selectors);
    }

    function invariant_budgetsBoundWhatLeavesATreasury() external view {
        yes(!handler.broken(), "no budget pays more than its cap in an epoch, nor once it is over");
        (address treasury, address twins, address contract_) = handler.views();
        HostileToken token = handler.token();
        eq(token.balanceOf(treasury), handler.FUNDS() - handler.spentOf(0), "each model pays its own");
        eq(token.balanceOf(twins), handler.FUNDS() - handler.spentOf(1), "and so does the twin");
        eq(token.balanceOf(contract_), 0, "nothing lies in the contract");
    }
}

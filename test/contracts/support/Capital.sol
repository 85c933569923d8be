// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {CapitalConfig, Sale} from "../../../contracts/interfaces/ICapitalSale.sol";
import {ModelConfig} from "../../../contracts/interfaces/IModelRegistry.sol";
import {TestDollar} from "../../../contracts/local/TestDollar.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A model that sells shares for test dollars: at two cents at the least, and an epoch brings in a dollar or is paid back.
abstract contract Capital is Fixture {
    address internal constant BUYER = address(0xb1);
    address internal constant OTHER = address(0xb2);
    /// @dev Capital's part of an epoch.
    uint256 internal constant CAPITAL_BUDGET = (uint256(BUDGET) * 1_500) / 10_000;
    /// @dev How long an epoch that is over can be settled.
    uint256 internal constant AGE = 30 days;
    uint96 internal constant FLOOR = 0.01e6;
    uint96 internal constant PRICE = 0.02e6;
    uint128 internal constant MINIMUM = 1e6;

    TestDollar internal dollar;

    function setUp() public virtual override {
        super.setUp();
        dollar = new TestDollar();
        useModel(registry.createModel(capitalConfig(address(dollar)), "capital"));
    }

    function capitalConfig(address token) internal view returns (ModelConfig memory config) {
        config = modelConfig();
        config.capital = CapitalConfig(token, FLOOR, PRICE, MINIMUM);
    }

    /// @dev With a balance and an allowance that suffice.
    function deposit(address account, uint256 amount) internal returns (uint256) {
        return depositFor(account, account, amount);
    }

    function depositFor(address payer, address account, uint256 amount) internal returns (uint256) {
        dollar.mint(payer, amount);
        vm.prank(payer);
        dollar.approve(address(capital), amount);
        uint64 epoch = current();
        vm.prank(payer);
        return capital.deposit(modelId, epoch, account, amount);
    }

    function current() internal view returns (uint64) {
        return emission.epochOf(modelId, uint48(block.timestamp));
    }

    function saleOf(uint64 epoch) internal view returns (Sale memory) {
        return capital.saleOf(modelId, epoch);
    }

    function vault() internal view returns (address) {
        return capital.bookOf(modelId).vault;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {CapitalBook, ICapitalSale} from "../../../contracts/interfaces/ICapitalSale.sol";
import {BudgetTerms} from "../../../contracts/interfaces/IComputeBudget.sol";
import {ModelId} from "../../../contracts/interfaces/Ids.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {REVENUE} from "../../../contracts/interfaces/Kinds.sol";
import {RevenueDeposits} from "../../../contracts/rewards/RevenueDeposits.sol";
import {ComputeBudget} from "../../../contracts/treasury/ComputeBudget.sol";
import {Ground, MODEL} from "./Ground.sol";

/// @notice The treasury's budgets: what a recipient can take of them.
contract ComputeBudgetProofs is Ground {
    ComputeBudget private budgets;

    function setUp() public {
        budgets = new ComputeBudget(IModelRegistry(address(this)));
        paper.mint(TIMELOCK, type(uint192).max);
        vm.prank(TIMELOCK);
        paper.approve(address(budgets), type(uint256).max);
    }

    /// @dev Two payments of one epoch are within its cap, come from the treasury, go to the recipient and are counted.
    function check_anEpochSpendsItsCapAtMost(
        address recipient,
        uint128 cap,
        uint32 first,
        uint32 second,
        uint256 amount,
        uint256 more
    ) public {
        vm.assume(second >= first && epochAt(first) == epochAt(second));
        open(recipient, cap, START + 365 days);
        goTo(first);
        spend(recipient, amount);
        goTo(second);
        spend(recipient, more);

        assert(amount + more <= cap);
        assert(paper.balanceOf(recipient) == amount + more);
        assert(paper.balanceOf(TIMELOCK) == type(uint192).max - amount - more);
        assert(budgets.budgetOf(MODEL, 1).total == amount + more);
    }

    /// @dev Whoever spends is the recipient, in time, and the holders have not ended the budget.
    function check_theRecipientAloneSpendsWhileItLasts(
        address recipient,
        address caller,
        uint48 expiry,
        uint32 elapsed,
        uint256 amount,
        bool revoked
    ) public {
        open(recipient, type(uint128).max, expiry);
        goTo(elapsed);
        if (revoked) {
            vm.prank(TIMELOCK);
            budgets.revoke(MODEL, 1);
        }
        spend(caller, amount);

        assert(caller == recipient);
        assert(block.timestamp <= expiry);
        assert(!revoked);
    }

    /// @dev What is said to be left can be spent, and no more can.
    function check_whatIsSaidToBeLeftIsLeft(
        address recipient,
        uint128 cap,
        uint48 expiry,
        uint32 elapsed,
        uint256 amount,
        uint256 more,
        bool revoked
    ) public {
        open(recipient, cap, expiry);
        spend(recipient, amount);
        goTo(elapsed);
        if (revoked) {
            vm.prank(TIMELOCK);
            budgets.revoke(MODEL, 1);
        }
        uint256 left = budgets.leftOf(MODEL, 1);
        vm.assume(more != 0);
        vm.prank(recipient);
        try budgets.spend(MODEL, 1, more, "rent") {
            assert(more <= left);
        } catch {
            assert(more > left);
        }
    }

    /// @dev A budget is the timelock's to open, for a year at the most, and to somebody else.
    function check_theTimelockAloneOpensBudgets(address caller, BudgetTerms memory terms) public {
        goTo(0);
        terms.token = address(paper);
        vm.prank(caller);
        budgets.open(MODEL, terms, "machines");

        assert(caller == TIMELOCK);
        assert(terms.recipient != address(0) && terms.recipient != TIMELOCK);
        assert(terms.perEpoch != 0);
        assert(terms.expiry >= START && terms.expiry <= START + 365 days);
    }

    function open(address recipient, uint128 cap, uint48 expiry) private {
        goTo(0);
        vm.prank(TIMELOCK);
        budgets.open(MODEL, BudgetTerms(recipient, address(paper), cap, expiry), "machines");
    }

    function spend(address caller, uint256 amount) private {
        vm.prank(caller);
        budgets.spend(MODEL, 1, amount, "rent");
    }
}

/// @notice What funds roots of revenue: RewardsBudget of RevenueDeposits. That of Emission is in Emission.t.sol.
contract RevenueBudgetProofs is Ground {
    address private constant REWARDS = address(0x4e3a);

    RevenueDeposits private revenue;

    function setUp() public {
        revenue = new RevenueDeposits(IModelRegistry(address(this)), ICapitalSale(address(this)), REWARDS);
        paper.mint(address(this), type(uint192).max);
        paper.approve(address(revenue), type(uint256).max);
        goTo(0);
        revenue.deposit(MODEL, 1);
    }

    /// @dev Of ICapitalSale: the model's capital token.
    function bookOf(ModelId) external view returns (CapitalBook memory book) {
        book.token = address(paper);
    }

    /// @dev Roots get what arrived through their last epoch at the most, and nothing twice.
    function check_rootsGetWhatArrivedAtMost(
        uint32 elapsed,
        uint256 arrived,
        uint64 to,
        uint256 amount,
        uint64 later,
        uint256 more
    ) public {
        goTo(elapsed);
        uint256 epoch = epochAt(elapsed);
        revenue.deposit(MODEL, arrived);
        fund(REWARDS, to, amount);
        fund(REWARDS, later, more);

        // In the first epoch 1 had arrived.
        uint256 through = later >= epoch || to >= epoch ? 1 + arrived : 1;
        assert(amount + more <= through);
    }

    /// @dev Nobody sets revenue aside, or pays it, but ComputeRewards.
    function check_rewardsAloneSetsAsideAndPays(address caller, uint64 to, uint256 amount, bool pays) public {
        if (pays) {
            vm.prank(caller);
            revenue.pay(MODEL, caller, caller, caller, amount);
        } else {
            fund(caller, to, amount);
        }
        assert(caller == REWARDS);
    }

    function fund(address caller, uint64 to, uint256 amount) private {
        vm.prank(caller);
        revenue.authorise(MODEL, REVENUE, 1, to, 0, amount);
    }
}

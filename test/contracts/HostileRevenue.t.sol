// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Permit} from "../../contracts/interfaces/ICapitalSale.sol";
import {Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {REVENUE} from "../../contracts/interfaces/Kinds.sol";
import {IRevenueDeposits} from "../../contracts/interfaces/IRevenueDeposits.sol";
import {Revenue} from "./support/Revenue.sol";
import {HostileToken} from "./support/Tokens.sol";
import {Tree} from "./support/Tree.sol";

/// @notice Two models with one capital token that behaves as tokens may: what it does to the revenue of one is no matter of the
/// other's.
contract HostileRevenueTest is Revenue {
    HostileToken private token;
    ModelId private mine;
    ModelId private theirs;

    function setUp() public override {
        super.setUp();
        token = new HostileToken();
        mine = registry.createModel(capitalConfig(address(token)), "mine");
        theirs = registry.createModel(capitalConfig(address(token)), "theirs");
        useModel(mine);
    }

    function test_whatATokenKeepsIsNotCounted() public {
        token.setFee(100);
        eq(_earn(mine, 100e6), 99e6, "arrived");
        eq(available(1), 99e6, "available");
        _settle(99e6);
        eq(claimRevenue(1, HOLDER, 99e6), 99e6, "paid");
        eq(token.balanceOf(HOLDER), 98.01e6, "less what the token keeps again");
        eq(revenue.bookOf(mine).held, 0, "nothing is held");
    }

    function test_aTokenThatKeepsAllIsNoRevenue() public {
        token.setFee(10_000);
        _ready(1e6);
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsNothingArrived.selector));
        vm.prank(CUSTOMER);
        revenue.deposit(mine, 1e6);
    }

    function test_aTokenThatAnswersFalseHasNotPaid() public {
        _earn(mine, 10);
        _settle(10);
        token.setLies(true);
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token));
        _ready(1);
        vm.expectRevert(failed);
        vm.prank(CUSTOMER);
        revenue.deposit(mine, 1);
        vm.expectRevert(failed);
        claimRevenue(1, HOLDER, 10);
        token.setLies(false);
        eq(claimRevenue(1, HOLDER, 10), 10, "still owed");
    }

    // --- calls from within ----------------------------------------------------------------------------------------------

    /// @dev A deposit within a deposit would count twice by what arrived.
    function test_aDepositWithinADepositIsRefused() public {
        _open();
        token.mint(address(token), 10);
        token.allow(address(token), address(revenue));
        _refusedWithin(abi.encodeCall(revenue.deposit, (mine, 10)));
        eq(available(1), 5, "counted once");
    }

    function test_aDepositByPermitWithinADepositIsRefused() public {
        _open();
        token.mint(address(token), 10);
        token.allow(address(token), address(revenue));
        _refusedWithin(abi.encodeCall(revenue.depositWithPermit, (mine, 10, Permit(0, 0, 0, 0))));
        eq(available(1), 5, "counted once");
    }

    function test_countingWithinADepositIsRefused() public {
        _open();
        token.mint(revenueVault(mine), 7);
        _refusedWithin(abi.encodeCall(revenue.count, (mine)));
        eq(available(1), 5, "the deposit alone");
    }

    /// @dev What was paid meanwhile would be missing from what arrived.
    function test_aClaimWithinADepositIsRefused() public {
        _earn(mine, 10);
        _settle(10);
        _refusedWithin(abi.encodeCall(rewards.claim, (mine, REVENUE, HOLDER, Leaf(1, 10, new bytes32[](0)))));
        eq(claimRevenue(1, HOLDER, 10), 10, "still owed");
        eq(token.balanceOf(HOLDER), 10, "paid once");
    }

    /// @dev Before the vault has paid it still holds what is owed no more: counted, it would be owed to others too.
    function test_countingWithinAClaimIsRefused() public {
        _earn(mine, 10);
        _settle(10);
        token.hook(address(revenue), abi.encodeCall(revenue.count, (mine)));
        claimRevenue(1, HOLDER, 10);
        _wasRefused();
        eq(revenue.bookOf(mine).arrived, 10, "nothing was counted twice");
        eq(revenue.bookOf(mine).held, 0, "nor is held");
    }

    // --- tokens that take -----------------------------------------------------------------------------------------------

    function test_whatATokenTakesAllWhoAreOwedLoseAlike() public {
        _earn(mine, 90);
        _earn(theirs, 90);
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = revenueLeaf(1, HOLDER, 60);
        leaves[1] = revenueLeaf(1, OTHER, 30);
        settleRevenue(1, Tree.root(leaves), 90);
        token.take(revenueVault(mine), 30);
        vm.expectEmit(address(revenue));
        emit IRevenueDeposits.RevenueLost(mine, HOLDER, 60, 40);
        _claimBy(HOLDER, HOLDER, 60, Tree.proof(leaves, 0));
        _claimBy(OTHER, OTHER, 30, Tree.proof(leaves, 1));
        eq(token.balanceOf(HOLDER), 40, "who comes first");
        eq(token.balanceOf(OTHER), 20, "as who comes last");
        eq(token.balanceOf(revenueVault(mine)), 0, "all of it");
        eq(revenue.bookOf(mine).held, 0, "nothing is held");
        eq(token.balanceOf(revenueVault(theirs)), 90, "the other model's lose nothing");
    }

    /// @dev What a token took it may give back: a stranger must not make anybody take less meanwhile.
    function test_whoBearsALossDecidesWhen() public {
        _earn(mine, 90);
        _settle(90);
        token.take(revenueVault(mine), 30);
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsLoss.selector, HOLDER, 90, 60));
        claimRevenue(1, HOLDER, 90);
        token.mint(revenueVault(mine), 30);
        eq(claimRevenue(1, HOLDER, 90), 90, "all of it, once it is there again");
        eq(token.balanceOf(HOLDER), 90, "paid");
    }

    function test_aDepositMakesNoLossGood() public {
        _earn(mine, 90);
        token.take(revenueVault(mine), 1);
        _ready(10);
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsShort.selector, 89, 90));
        vm.prank(CUSTOMER);
        revenue.deposit(mine, 10);
        eq(revenue.count(mine), 0, "nor is there anything to count");
        token.mint(revenueVault(mine), 1);
        vm.prank(CUSTOMER);
        eq(revenue.deposit(mine, 10), 10, "once it is made good");
        eq(_earn(theirs, 10), 10, "and the other model's is as ever");
    }

    function test_whatATokenAddsIsCounted() public {
        _earn(mine, 100);
        token.setScale(20_000);
        eq(revenue.count(mine), 100, "what holders gain");
        eq(available(1), 200, "is revenue");
    }

    // --- tokens that refuse ---------------------------------------------------------------------------------------------

    function test_aBannedVaultHoldsNoOtherModelsRevenue() public {
        _earn(mine, 1);
        _earn(theirs, 1);
        _settle(1);
        token.ban(revenueVault(mine));
        vm.expectRevert("refused");
        claimRevenue(1, HOLDER, 1);
        useModel(theirs);
        settleRevenue(uint64(emission.epochOf(theirs, uint48(block.timestamp))), revenueLeaf(1, OTHER, 1), 1);
        eq(claimRevenue(1, OTHER, 1), 1, "goes its way");
        useModel(mine);
        token.ban(address(0));
        eq(claimRevenue(1, HOLDER, 1), 1, "still owed");
    }

    function test_aPausedTokenHoldsUpNoRoot() public {
        _earn(mine, 10);
        token.setPaused(true);
        _settle(10);
        vm.expectRevert("refused");
        claimRevenue(1, HOLDER, 10);
        token.setPaused(false);
        eq(claimRevenue(1, HOLDER, 10), 10, "later");
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    function _ready(uint256 amount) private {
        token.mint(CUSTOMER, amount);
        token.allow(CUSTOMER, address(revenue));
    }

    function _earn(ModelId id, uint256 amount) private returns (uint256) {
        _ready(amount);
        vm.prank(CUSTOMER);
        return revenue.deposit(id, amount);
    }

    function _open() private {
        revenue.count(mine);
    }

    /// @dev All of it to the holder.
    function _settle(uint256 amount) private {
        settleRevenue(1, revenueLeaf(1, HOLDER, amount), amount);
    }

    function _claimBy(address caller, address account, uint256 amount, bytes32[] memory proof) private {
        vm.prank(caller);
        eq(rewards.claim(mine, REVENUE, account, Leaf(1, amount, proof)), amount, "is paid for good");
    }

    /// @dev A deposit of 5 whose token makes the call in its middle.
    function _refusedWithin(bytes memory call) private {
        bytes4 selector = bytes4(call);
        token.hook(selector == rewards.claim.selector ? address(rewards) : address(revenue), call);
        _earn(mine, 5);
        _wasRefused();
        token.hook(address(0), "");
    }

    function _wasRefused() private view {
        eq(
            keccak256(token.refusal()),
            keccak256(abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)),
            "refused"
        );
    }
}

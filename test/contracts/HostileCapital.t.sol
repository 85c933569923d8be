// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICapitalSale, Permit, SaleState} from "../../contracts/interfaces/ICapitalSale.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {Capital} from "./support/Capital.sol";
import {HostileToken} from "./support/Tokens.sol";

/// @notice Two models with one capital token that behaves as tokens may: what it does to one is no matter of the other's.
contract HostileCapitalTest is Capital {
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
        eq(_deposit(mine, BUYER, 100e6), 99e6, "arrived");
        eq(saleOf(1).total, 99e6, "total");
        eq(capital.bookOf(mine).held, 99e6, "held");
        afterEpoch(1);
        capital.settle(mine);
        eq(capital.bookOf(mine).held, 0, "all of it is paid on");
        eq(token.balanceOf(address(timelock)), 98.01e6, "less what the token keeps again");
    }

    function test_aTokenThatKeepsAllBuysNothing() public {
        token.setFee(10_000);
        token.mint(BUYER, 1e6);
        token.allow(BUYER, address(capital));
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNothingArrived.selector));
        vm.prank(BUYER);
        capital.deposit(mine, 1, BUYER, 1e6);
    }

    function test_aTokenThatAnswersFalseHasNotPaid() public {
        _deposit(mine, BUYER, MINIMUM - 1);
        _deposit(theirs, OTHER, 100e6);
        token.setLies(true);
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token));
        token.mint(BUYER, 1e6);
        vm.expectRevert(failed);
        vm.prank(BUYER);
        capital.deposit(mine, 1, BUYER, 1e6);
        afterEpoch(1);
        vm.expectRevert(failed);
        capital.refund(mine, 1, BUYER, 0);
        vm.expectRevert(failed);
        capital.settle(theirs);
        token.setLies(false);
        eq(capital.refund(mine, 1, BUYER, 0), MINIMUM - 1, "still owed");
        eq(capital.settle(theirs), 1, "still to be settled");
    }

    /// @dev A deposit within a deposit would count twice by what arrived.
    function test_aDepositWithinADepositIsRefused() public {
        token.mint(address(token), 10e6);
        token.allow(address(token), address(capital));
        _refusedWithin(abi.encodeCall(capital.deposit, (mine, 1, OTHER, 10e6)));
        eq(saleOf(1).total, 5e6, "counted once");
        eq(capital.depositOf(mine, 1, OTHER), 0, "not for the other");
    }

    function test_aDepositByPermitWithinADepositIsRefused() public {
        token.mint(address(token), 10e6);
        token.allow(address(token), address(capital));
        _refusedWithin(abi.encodeCall(capital.depositWithPermit, (mine, 1, OTHER, 10e6, Permit(0, 0, 0, 0))));
        eq(saleOf(1).total, 5e6, "counted once");
    }

    function test_settlingWithinADepositIsRefused() public {
        _deposit(mine, BUYER, 5e6);
        vm.warp(START + EPOCH);
        _refusedWithin(abi.encodeCall(capital.settle, (mine)));
        eq(saleOf(2).total, 5e6, "what the vault paid meanwhile would be missing");
    }

    function test_aRefundWithinADepositIsRefused() public {
        _deposit(mine, BUYER, MINIMUM - 1);
        vm.warp(START + EPOCH);
        _refusedWithin(abi.encodeCall(capital.refund, (mine, 1, BUYER, 0)));
        eq(saleOf(2).total, 5e6, "what the vault paid meanwhile would be missing");
    }

    /// @dev Whoever is paid back in the middle of another's refund gets no more, and no less is left.
    function test_aRefundWithinARefundIsRefused() public {
        _deposit(mine, BUYER, 4);
        _deposit(mine, OTHER, 6);
        afterEpoch(1);
        token.hook(address(capital), abi.encodeCall(capital.refund, (mine, 1, OTHER, 0)));
        capital.refund(mine, 1, BUYER, 0);
        _wasRefused();
        token.hook(address(0), "");
        eq(capital.refund(mine, 1, OTHER, 0), 6, "all of it");
    }

    // --- tokens that take -----------------------------------------------------------------------------------------------

    function test_whatATokenTakesAllDepositsOfItsModelLoseAlike() public {
        _deposit(mine, BUYER, 0.6e6);
        _deposit(mine, OTHER, 0.3e6);
        _deposit(theirs, OTHER, 0.9e6);
        token.take(vault(), 0.3e6);
        afterEpoch(1);
        eq(_refund(BUYER, 1), 0.4e6, "who comes first");
        eq(_refund(OTHER, 1), 0.2e6, "as who comes last");
        eq(token.balanceOf(vault()), 0, "all of it");
        eq(capital.bookOf(mine).held, 0, "nothing is held");
        eq(capital.refund(theirs, 1, OTHER, 0), 0.9e6, "the other model's lose nothing");
    }

    /// @dev Else who can take tokens back out of the vault would buy below the floor.
    function test_nothingIsMintedForMoneyThatIsNotThere() public {
        _deposit(mine, BUYER, 5e6);
        _deposit(theirs, OTHER, 5e6);
        afterEpoch(1);
        token.take(vault(), 1);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleShort.selector, 5e6 - 1, 5e6));
        capital.settle(mine);
        eq(shares.totalSupply(), 0, "nothing is minted");
        eq(uint256(saleOf(1).state), uint256(SaleState.Due), "still to be settled");
        eq(capital.settle(theirs), 1, "the other model's goes its way");
        token.mint(vault(), 1);
        eq(capital.settle(mine), 1, "once it is made good");
        eq(token.balanceOf(address(timelock)), 5e6, "all of the money");
        eq(capital.claim(mine, 1, BUYER), CAPITAL_BUDGET, "all of the shares");
    }

    function test_aTokenThatShrinksSellsNothing() public {
        _deposit(mine, BUYER, 5e6);
        afterEpoch(1);
        token.setScale(9_999);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleShort.selector, 4_999_500, 5e6));
        capital.settle(mine);
    }

    /// @dev What was bought before is there, what failed is paid back in part at once, and what could be settled with its time.
    function test_aLossThatNobodyMakesGoodHoldsNothingUpForEver() public {
        _deposit(mine, BUYER, 5e6);
        vm.warp(START + EPOCH);
        capital.settle(mine);
        _deposit(mine, BUYER, MINIMUM - 1e5);
        vm.warp(START + 2 * EPOCH);
        _deposit(mine, OTHER, 1.1e6);
        token.take(vault(), 1e6);
        afterEpoch(3);
        eq(capital.claim(mine, 1, BUYER), CAPITAL_BUDGET, "bought before");
        eq(_refund(BUYER, 2), 0.45e6, "half");
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleShort.selector, 0.55e6, 1.1e6));
        capital.settle(mine);
        vm.warp(START + 3 * EPOCH + AGE + 1);
        eq(_refund(OTHER, 3), 0.55e6, "half");
        eq(capital.bookOf(mine).held, 0, "nothing is held");
        uint64 epoch = current();
        _deposit(mine, BUYER, 2e6);
        vm.warp(block.timestamp + EPOCH);
        eq(capital.settle(mine), 3, "out of the way");
        eq(capital.settle(mine), epoch, "the sale goes on");
        eq(token.balanceOf(address(timelock)), 7e6, "with all of its money");
    }

    function test_aTokenThatShrinksDoesSoForEveryModelByItself() public {
        _deposit(mine, BUYER, 0.6e6);
        _deposit(theirs, OTHER, 0.8e6);
        token.setScale(5_000);
        afterEpoch(1);
        eq(_refund(BUYER, 1), 0.3e6, "half");
        eq(token.balanceOf(capital.bookOf(theirs).vault), 0.4e6, "the other's half lies there");
        vm.prank(OTHER);
        eq(capital.refund(theirs, 1, OTHER, 0), 0.4e6, "and is paid");
    }

    /// @dev What a token takes between a wallet's look and its refund is no loss that the wallet agreed to.
    function test_whoBearsALossSaysHowMuch() public {
        _deposit(mine, BUYER, 0.6e6);
        token.take(vault(), 0.2e6);
        afterEpoch(1);
        vm.startPrank(BUYER);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleTooLittle.selector, BUYER, 0.4e6, 0.4e6 + 1));
        capital.refund(mine, 1, BUYER, 0.4e6 + 1);
        vm.stopPrank();
        token.take(vault(), 0.1e6);
        vm.startPrank(BUYER);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleTooLittle.selector, BUYER, 0.3e6, 0.4e6));
        capital.refund(mine, 1, BUYER, 0.4e6);
        eq(capital.refund(mine, 1, BUYER, 0.3e6), 0.3e6, "what is there");
        vm.stopPrank();
    }

    /// @dev What a token took it may give back: a stranger must not make anybody take less meanwhile.
    function test_whoBearsALossDecidesWhen() public {
        _deposit(mine, BUYER, 0.6e6);
        token.take(vault(), 0.2e6);
        afterEpoch(1);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleLoss.selector, BUYER, 0.6e6, 0.4e6));
        vm.prank(OTHER);
        capital.refund(mine, 1, BUYER, 0);
        token.mint(vault(), 0.2e6);
        vm.prank(OTHER);
        eq(capital.refund(mine, 1, BUYER, 0), 0.6e6, "all of it, once it is there again");
    }

    function test_nobodyPaysForLossesFromBeforeTheyCame() public {
        _deposit(mine, BUYER, 1e6);
        token.take(vault(), 1);
        token.mint(OTHER, 1e6);
        token.allow(OTHER, address(capital));
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleShort.selector, 1e6 - 1, 1e6));
        vm.prank(OTHER);
        capital.deposit(mine, 1, OTHER, 1e6);
        token.mint(vault(), 1);
        vm.prank(OTHER);
        eq(capital.deposit(mine, 1, OTHER, 1e6), 1e6, "once it is made good");
        eq(_deposit(theirs, OTHER, 1e6), 1e6, "and the other model's is as ever");
    }

    // --- tokens that refuse ---------------------------------------------------------------------------------------------

    function test_aBannedVaultHoldsNoOtherModelsMoney() public {
        _deposit(mine, BUYER, 1);
        _deposit(theirs, OTHER, 1);
        afterEpoch(1);
        token.ban(vault());
        vm.expectRevert("refused");
        capital.refund(mine, 1, BUYER, 0);
        eq(capital.refund(theirs, 1, OTHER, 0), 1, "goes its way");
        token.ban(address(0));
        eq(capital.refund(mine, 1, BUYER, 0), 1, "still owed");
    }

    function test_aBannedBuyerHoldsNobodyUp() public {
        _deposit(mine, BUYER, 1);
        _deposit(mine, OTHER, 1);
        afterEpoch(1);
        token.ban(BUYER);
        vm.expectRevert("refused");
        capital.refund(mine, 1, BUYER, 0);
        eq(capital.refund(mine, 1, OTHER, 0), 1, "goes its way");
    }

    function test_whatCannotBePaidToTheTreasuryIsPaidBack() public {
        _deposit(mine, BUYER, 5e6);
        afterEpoch(1);
        token.ban(address(timelock));
        vm.expectRevert("refused");
        capital.settle(mine);
        eq(shares.totalSupply(), 0, "nothing is minted for nothing");
        vm.warp(block.timestamp + AGE + 1);
        eq(capital.refund(mine, 1, BUYER, 0), 5e6, "paid back");
    }

    function test_aPausedTokenLosesNothing() public {
        _deposit(mine, BUYER, 5e6);
        afterEpoch(1);
        token.setPaused(true);
        vm.expectRevert("refused");
        capital.settle(mine);
        token.setPaused(false);
        eq(capital.settle(mine), 1, "later");
        eq(uint256(saleOf(1).state), uint256(SaleState.Settled), "settled");
    }

    // --- shares as a capital token --------------------------------------------------------------------------------------

    /// @dev What buyers of one model have not claimed lies in the sale, and the vault of another that is paid in it lies elsewhere.
    function test_aModelThatIsPaidInAnothersSharesTouchesNoneOfThem() public {
        _deposit(mine, BUYER, 5e6);
        afterEpoch(1);
        capital.settle(mine);
        ModelShares paid = shares;
        ModelConfig memory config = capitalConfig(address(paid));
        ModelId second = registry.createModel(config, "second");
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(capital), 0, 1)
        );
        vm.prank(OTHER);
        capital.deposit(second, 1, OTHER, 1);
        eq(paid.balanceOf(address(capital)), CAPITAL_BUDGET, "what was not claimed");
        eq(capital.claim(mine, 1, BUYER), CAPITAL_BUDGET, "is there");
        vm.startPrank(BUYER);
        paid.approve(address(capital), 7);
        capital.deposit(second, 1, BUYER, 7);
        vm.stopPrank();
        eq(paid.balanceOf(capital.bookOf(second).vault), 7, "in the vault");
        vm.warp(block.timestamp + EPOCH);
        eq(capital.refund(second, 1, BUYER, 0), 7, "and back");
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    function _deposit(ModelId id, address account, uint256 amount) private returns (uint256) {
        token.mint(account, amount);
        token.allow(account, address(capital));
        uint64 epoch = emission.epochOf(id, uint48(block.timestamp));
        vm.prank(account);
        return capital.deposit(id, epoch, account, amount);
    }

    function _refund(address account, uint64 epoch) private returns (uint256) {
        vm.prank(account);
        return capital.refund(mine, epoch, account, 0);
    }

    /// @dev A deposit of 5 whose token makes the call in its middle.
    function _refusedWithin(bytes memory call) private {
        token.hook(address(capital), call);
        _deposit(mine, BUYER, 5e6);
        _wasRefused();
    }

    function _wasRefused() private view {
        eq(
            keccak256(token.refusal()),
            keccak256(abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)),
            "refused"
        );
    }
}

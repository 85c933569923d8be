// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {
    CapitalConfig,
    ICapitalSale,
    Permit,
    Sale,
    SaleState,
    SaleTerms
} from "../../contracts/interfaces/ICapitalSale.sol";
import {ITokenVault} from "../../contracts/interfaces/ITokenVault.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {TestDollar} from "../../contracts/local/TestDollar.sol";
import {TokenVault} from "../../contracts/rewards/TokenVault.sol";
import {Capital} from "./support/Capital.sol";

contract CapitalSaleTest is Capital {
    // --- creation -------------------------------------------------------------------------------------------------------

    function test_aModelIsCreatedWithItsSale() public {
        ModelConfig memory config = capitalConfig(address(dollar));
        ModelId id = registry.modelIdOf(address(this), "next", keccak256(abi.encode(config)));
        uint256 before = vm.snapshotState();
        registry.createModel(config, "next");
        address made = capital.bookOf(id).vault;
        vm.revertToState(before);
        vm.expectEmit(address(capital));
        emit ICapitalSale.SaleOpened(id, address(dollar), made, FLOOR);
        vm.expectEmit(address(capital));
        emit ICapitalSale.SaleTermsSet(id, 1, PRICE, MINIMUM);
        registry.createModel(config, "next");
        eq(capital.bookOf(id).token, address(dollar), "token");
        eq(capital.bookOf(id).priceFloor, FLOOR, "floor");
        eq(capital.bookOf(id).held, 0, "nothing is held");
        eq(TokenVault(made).keeper(), address(capital), "the vault obeys the sale");
        yes(made != vault(), "each model has a vault of its own");
        (SaleTerms memory terms, uint32 version) = capital.newestTerms(id);
        eq(terms.fromEpoch, 1, "from the first epoch on");
        eq(version, 1, "the first");
        eq(capital.saleOf(id, 1).price, PRICE, "price");
        eq(capital.saleOf(id, 7).minimum, MINIMUM, "minimum");
        eq(uint256(capital.saleOf(id, 1).state), uint256(SaleState.None), "no deposit yet");
    }

    function test_aModelWithoutATokenSellsNothing() public {
        useModel(registry.createModel(modelConfig(), "none"));
        eq(capital.bookOf(modelId).vault, address(0), "no vault");
        bytes memory refusal = abi.encodeWithSelector(ICapitalSale.CapitalSaleNone.selector, modelId);
        vm.expectRevert(refusal);
        capital.deposit(modelId, 1, BUYER, 1);
        vm.expectRevert(refusal);
        capital.depositWithPermit(modelId, 1, BUYER, 1, Permit(0, 0, 0, 0));
        vm.expectRevert(refusal);
        capital.settle(modelId);
        vm.expectRevert(refusal);
        capital.claim(modelId, 1, BUYER);
        vm.expectRevert(refusal);
        capital.refund(modelId, 1, BUYER, 0);
        vm.expectRevert(refusal);
        capital.saleOf(modelId, 1);
        vm.expectRevert(refusal);
        vm.prank(address(timelock));
        capital.setTerms(modelId, 1, PRICE, MINIMUM);
    }

    function test_settingsThatSayNothingAreRefused() public {
        _refuseConfig(CapitalConfig(address(0), 1, 0, 0), ICapitalSale.CapitalSaleBadToken.selector);
        _refuseConfig(CapitalConfig(address(0), 0, 1, 0), ICapitalSale.CapitalSaleBadToken.selector);
        _refuseConfig(CapitalConfig(address(0), 0, 0, 1), ICapitalSale.CapitalSaleBadToken.selector);
        _refuseConfig(CapitalConfig(address(0xc0de), 1, 1, 1), ICapitalSale.CapitalSaleBadToken.selector);
    }

    function test_thereIsAFloorAndNothingIsBelowIt() public {
        address token = address(dollar);
        _refuseConfig(CapitalConfig(token, 0, PRICE, 1), ICapitalSale.CapitalSalePriceTooLow.selector);
        _refuseConfig(CapitalConfig(token, 2, 1, 1), ICapitalSale.CapitalSalePriceTooLow.selector);
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSalePriceTooLow.selector, FLOOR - 1, FLOOR));
        capital.setTerms(modelId, 1, FLOOR - 1, MINIMUM);
        capital.setTerms(modelId, 1, FLOOR, MINIMUM);
        vm.stopPrank();
    }

    /// @dev Else an epoch could be settled for which nothing is minted.
    function test_whatAnEpochMustBringInBuysAWeiOfShares() public {
        address token = address(dollar);
        _refuseConfig(CapitalConfig(token, 1, 1, 0), ICapitalSale.CapitalSaleMinimumTooLow.selector);
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleMinimumTooLow.selector, 2, 3));
        capital.setTerms(modelId, 1, 2e18 + 1, 2);
        capital.setTerms(modelId, 1, 2e18 + 1, 3);
        vm.stopPrank();
        vm.warp(START + EPOCH);
        deposit(BUYER, 3);
        afterEpoch(2);
        capital.settle(modelId);
        eq(capital.claim(modelId, 2, BUYER), 1, "a wei");
    }

    function test_onlyTheRegistryOpensASale() public {
        vm.expectRevert(unauthorised(NO_MODEL, BUYER));
        vm.prank(BUYER);
        capital.open(NO_MODEL, CapitalConfig(address(dollar), 1, 1, 1));
    }

    // --- terms ----------------------------------------------------------------------------------------------------------

    function test_theHoldersSetTheTermsOfTheNextEpoch() public {
        vm.expectEmit(address(capital));
        emit ICapitalSale.SaleTermsSet(modelId, 2, 0.05e6, 7e6);
        vm.prank(address(timelock));
        capital.setTerms(modelId, 1, 0.05e6, 7e6);
        eq(saleOf(1).price, PRICE, "this epoch keeps its price");
        eq(saleOf(1).minimum, MINIMUM, "and its minimum");
        eq(saleOf(2).price, 0.05e6, "the next has another");
        eq(saleOf(2).minimum, 7e6, "and another");
        deposit(BUYER, 1e6);
        eq(saleOf(1).minimum, MINIMUM, "as the deposit found it");
        vm.warp(START + EPOCH);
        deposit(BUYER, 1e6);
        eq(saleOf(2).price, 0.05e6, "in force");
        eq(saleOf(2).minimum, 7e6, "in force");
    }

    function test_ofTwoDecisionsOnTheSameTermsTheFirstHolds() public {
        vm.startPrank(address(timelock));
        capital.setTerms(modelId, 1, 0.05e6, 7e6);
        for (uint32 stale = 0; stale < 4; ++stale) {
            if (stale == 2) continue;
            vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleTermsReplaced.selector, modelId, stale, 2));
            capital.setTerms(modelId, stale, PRICE, MINIMUM);
        }
        eq(saleOf(2).price, 0.05e6, "the first");
        // Also of those that come before it is in force.
        capital.setTerms(modelId, 2, 0.06e6, 8e6);
        vm.stopPrank();
        (, uint32 version) = capital.newestTerms(modelId);
        eq(version, 3, "counted");
    }

    function test_aSecondChangeWithinAnEpochReplacesTheFirst() public {
        vm.startPrank(address(timelock));
        capital.setTerms(modelId, 1, 0.05e6, 7e6);
        capital.setTerms(modelId, 2, 0.06e6, 8e6);
        eq(saleOf(1).price, PRICE, "this epoch keeps its price");
        eq(saleOf(2).price, 0.06e6, "the second");
        vm.warp(START + EPOCH);
        capital.setTerms(modelId, 3, 0.07e6, 9e6);
        vm.stopPrank();
        eq(saleOf(2).price, 0.06e6, "in force");
        eq(saleOf(3).price, 0.07e6, "from the next on");
        eq(saleOf(1).price, 0, "over, without a deposit");
    }

    function test_onlyTheTimelockSetsTerms() public {
        address other = registry.timelockOf(registry.createModel(capitalConfig(address(dollar)), "other"));
        address[4] memory others = [ORGANISER, BUYER, address(governor), other];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(unauthorised(modelId, others[i]));
            vm.prank(others[i]);
            capital.setTerms(modelId, 1, PRICE, MINIMUM);
        }
    }

    // --- deposits -------------------------------------------------------------------------------------------------------

    function test_aDepositLiesInTheModelsVault() public {
        dollar.mint(BUYER, 5e6);
        vm.startPrank(BUYER);
        dollar.approve(address(capital), 5e6);
        vm.expectEmit(address(capital));
        emit ICapitalSale.Deposited(modelId, 1, OTHER, BUYER, 3e6);
        eq(capital.deposit(modelId, 1, OTHER, 3e6), 3e6, "arrived");
        capital.deposit(modelId, 1, OTHER, 2e6);
        vm.stopPrank();
        eq(dollar.balanceOf(vault()), 5e6, "vault");
        eq(capital.bookOf(modelId).held, 5e6, "held");
        eq(capital.depositOf(modelId, 1, OTHER), 5e6, "for whom it was paid");
        eq(capital.depositOf(modelId, 1, BUYER), 0, "not for who paid");
        Sale memory sale = saleOf(1);
        eq(uint256(sale.state), uint256(SaleState.Open), "open");
        eq(sale.total, 5e6, "total");
        eq(sale.price, PRICE, "price");
        eq(sale.minimum, MINIMUM, "minimum");
    }

    function test_aDepositIsForTheEpochThatItNames() public {
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleOtherEpoch.selector, 2, 1));
        capital.deposit(modelId, 2, BUYER, 1);
        vm.warp(START + EPOCH);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleOtherEpoch.selector, 1, 2));
        capital.deposit(modelId, 1, BUYER, 1);
    }

    function test_nobodyPaysWhereNothingIsForSale() public {
        vm.prank(address(timelock));
        emission.setBudget(modelId, 1, BUDGET, split(8_500, 1_000, 0, 500));
        vm.warp(START + EPOCH);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNothingForSale.selector, 2));
        capital.deposit(modelId, 2, BUYER, 1);
    }

    /// @dev It would buy the whole budget with what it is paid back.
    function test_theTreasuryNeitherBuysNorIsBoughtFor() public {
        bytes memory refusal = abi.encodeWithSelector(ICapitalSale.CapitalSaleBadAccount.selector, address(timelock));
        dollar.mint(address(timelock), 5e6);
        vm.startPrank(address(timelock));
        dollar.approve(address(capital), 5e6);
        vm.expectRevert(refusal);
        capital.deposit(modelId, 1, BUYER, 5e6);
        vm.stopPrank();
        vm.expectRevert(refusal);
        capital.deposit(modelId, 1, address(timelock), 5e6);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleBadAccount.selector, address(0)));
        capital.deposit(modelId, 1, address(0), 5e6);
    }

    /// @dev Neither can move them, so that they would be lost.
    function test_noSharesAreBoughtForTheSaleOrItsVault() public {
        address[2] memory sinks = [address(capital), vault()];
        for (uint256 i = 0; i < sinks.length; ++i) {
            bytes memory refusal = abi.encodeWithSelector(ICapitalSale.CapitalSaleBadAccount.selector, sinks[i]);
            vm.expectRevert(refusal);
            capital.deposit(modelId, 1, sinks[i], 5e6);
            vm.expectRevert(refusal);
            capital.depositWithPermit(modelId, 1, sinks[i], 5e6, Permit(0, 0, 0, 0));
        }
    }

    function test_nothingIsNoDeposit() public {
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNothingArrived.selector));
        capital.deposit(modelId, 1, BUYER, 0);
    }

    function test_aSignatureIsAllowanceEnough() public {
        address owner = vm.addr(0xa);
        dollar.mint(owner, 5e6);
        Permit memory permit = _permit(0xa, 5e6, block.timestamp + 1);
        vm.prank(owner);
        eq(capital.depositWithPermit(modelId, 1, owner, 5e6, permit), 5e6, "arrived");
        eq(dollar.allowance(owner, address(capital)), 0, "used");
    }

    function test_aPermitThatAStrangerUsedFirstServesAllTheSame() public {
        address owner = vm.addr(0xa);
        dollar.mint(owner, 5e6);
        Permit memory p = _permit(0xa, 5e6, block.timestamp + 1);
        dollar.permit(owner, address(capital), 5e6, p.deadline, p.v, p.r, p.s);
        vm.prank(owner);
        eq(capital.depositWithPermit(modelId, 1, owner, 5e6, p), 5e6, "arrived");
    }

    function test_aPermitServesItsOwnerAlone() public {
        address owner = vm.addr(0xa);
        dollar.mint(owner, 5e6);
        Permit memory permit = _permit(0xa, 5e6, block.timestamp + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(capital), 0, 5e6)
        );
        vm.prank(BUYER);
        capital.depositWithPermit(modelId, 1, BUYER, 5e6, permit);
    }

    function test_severalCallsGoInOneTransaction() public {
        deposit(BUYER, 2e6);
        vm.warp(START + EPOCH);
        deposit(BUYER, 3e6);
        afterEpoch(2);
        bytes[] memory batch = new bytes[](4);
        batch[0] = abi.encodeCall(capital.settle, (modelId));
        batch[1] = batch[0];
        batch[2] = abi.encodeCall(capital.claim, (modelId, 1, BUYER));
        batch[3] = abi.encodeCall(capital.claim, (modelId, 2, BUYER));
        capital.multicall(batch);
        eq(shares.balanceOf(BUYER), 250e18, "of both");
    }

    // --- settlement -----------------------------------------------------------------------------------------------------

    function test_aDollarBuysSharesAtThePriceWhereTheBudgetSuffices() public {
        deposit(BUYER, 1e6);
        deposit(OTHER, 0.5e6);
        afterEpoch(1);
        vm.expectEmit(address(emission));
        emit IEmission.EmissionAuthorised(modelId, 3, 1, 1, uint48(block.timestamp), 75e18);
        vm.expectEmit(address(capital));
        emit ICapitalSale.SaleSettled(modelId, 1, 1.5e6, 1.5e6, 75e18);
        vm.prank(OTHER);
        eq(capital.settle(modelId), 1, "the first epoch");
        eq(shares.totalSupply(), 75e18, "what is not sold is not minted");
        eq(dollar.balanceOf(address(timelock)), 1.5e6, "the treasury has the money");
        eq(capital.bookOf(modelId).held, 0, "and the vault nothing");
        eq(uint256(saleOf(1).state), uint256(SaleState.Settled), "settled");
        eq(saleOf(1).sold, 75e18, "sold");
        vm.expectEmit(address(capital));
        emit ICapitalSale.SharesClaimed(modelId, 1, BUYER, 1e6, 50e18);
        vm.prank(OTHER);
        eq(capital.claim(modelId, 1, BUYER), 50e18, "whoever sends");
        eq(shares.balanceOf(BUYER), 50e18, "to the account");
        vm.recordLogs();
        eq(capital.claim(modelId, 1, BUYER), 0, "nothing more");
        eq(vm.getRecordedLogs().length, 0, "without a word");
        eq(capital.claim(modelId, 1, OTHER), 25e18, "the other's");
        eq(shares.balanceOf(address(capital)), 0, "to the last wei");
    }

    function test_theBudgetIsSharedByDeposits() public {
        deposit(BUYER, 6e6);
        deposit(OTHER, 2e6);
        afterEpoch(1);
        capital.settle(modelId);
        eq(shares.totalSupply(), CAPITAL_BUDGET, "all of it");
        eq(capital.claim(modelId, 1, BUYER), (CAPITAL_BUDGET * 3) / 4, "three parts");
        eq(capital.claim(modelId, 1, OTHER), CAPITAL_BUDGET / 4, "one part");
    }

    /// @dev Nothing is done for less than was asked for, and the account can ask again.
    function test_aRefundIsNoLessThanIsAskedFor() public {
        deposit(BUYER, MINIMUM - 1);
        afterEpoch(1);
        bytes memory refusal = abi.encodeWithSelector(
            ICapitalSale.CapitalSaleTooLittle.selector,
            BUYER,
            MINIMUM - 1,
            MINIMUM
        );
        vm.expectRevert(refusal);
        capital.refund(modelId, 1, BUYER, MINIMUM);
        vm.expectRevert(refusal);
        vm.prank(BUYER);
        capital.refund(modelId, 1, BUYER, MINIMUM);
        eq(capital.depositOf(modelId, 1, BUYER), MINIMUM - 1, "still owed");
        eq(capital.refund(modelId, 1, BUYER, MINIMUM - 1), MINIMUM - 1, "just that");
        eq(capital.refund(modelId, 1, BUYER, 1), 0, "once");
    }

    function test_whoeverIsAloneWithAWeiDoesNotTakeTheBudget() public {
        vm.prank(address(timelock));
        capital.setTerms(modelId, 1, PRICE, 1);
        vm.warp(START + EPOCH);
        deposit(BUYER, 1);
        afterEpoch(2);
        capital.settle(modelId);
        eq(capital.claim(modelId, 2, BUYER), 1e18 / PRICE, "what a wei buys");
        eq(shares.totalSupply(), 1e18 / PRICE, "and no more is minted");
    }

    function test_anEpochIsSettledWhenItIsOver() public {
        deposit(BUYER, 1e6);
        vm.warp(START + EPOCH - 1);
        eq(capital.settle(modelId), 0, "it lasts");
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNotSettled.selector, modelId, 1));
        capital.claim(modelId, 1, BUYER);
        vm.warp(START + EPOCH);
        eq(uint256(saleOf(1).state), uint256(SaleState.Due), "due");
        eq(capital.settle(modelId), 1, "it is over");
        eq(capital.settle(modelId), 0, "once");
        eq(dollar.balanceOf(address(timelock)), 1e6, "the treasury is paid once");
    }

    /// @dev Emission takes epochs in their order: a later one first would leave the earlier without a budget.
    function test_epochsAreSettledInTheirOrder() public {
        deposit(BUYER, 1e6);
        vm.warp(START + 2 * EPOCH);
        deposit(BUYER, 2e6);
        (uint64 oldest, uint256 count) = capital.unsettled(modelId);
        eq(oldest, 1, "the oldest");
        eq(count, 2, "how many");
        afterEpoch(3);
        eq(capital.settle(modelId), 1, "the older first");
        eq(capital.settle(modelId), 3, "then the newer");
        (oldest, count) = capital.unsettled(modelId);
        eq(oldest + count, 0, "none");
        eq(capital.claim(modelId, 1, BUYER), 50e18, "first");
        eq(capital.claim(modelId, 3, BUYER), 100e18, "third");
    }

    function test_dustMakesNobodySettleMore() public {
        deposit(OTHER, 1);
        deposit(OTHER, MINIMUM - 2);
        (, uint256 count) = capital.unsettled(modelId);
        eq(count, 0, "below the minimum");
        deposit(OTHER, 1);
        deposit(OTHER, 1);
        (, count) = capital.unsettled(modelId);
        eq(count, 1, "once");
    }

    function test_whatIsSoldDoesNotVoteUntilItIsClaimed() public {
        deposit(BUYER, 1e6);
        afterEpoch(1);
        capital.settle(modelId);
        eq(shares.delegates(address(capital)), address(0), "to nobody");
        vm.prank(BUYER);
        shares.delegate(BUYER);
        capital.claim(modelId, 1, BUYER);
        eq(shares.getVotes(BUYER), 50e18, "then it does");
    }

    // --- refunds --------------------------------------------------------------------------------------------------------

    function test_anEpochBelowItsMinimumIsPaidBack() public {
        deposit(BUYER, MINIMUM - 2);
        deposit(OTHER, 1);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNotRefundable.selector, modelId, 1));
        capital.refund(modelId, 1, BUYER, 0);
        afterEpoch(1);
        eq(uint256(saleOf(1).state), uint256(SaleState.Failed), "failed");
        eq(capital.settle(modelId), 0, "nothing to settle");
        vm.expectEmit(address(capital));
        emit ICapitalSale.Refunded(modelId, 1, BUYER, MINIMUM - 2, MINIMUM - 2);
        vm.prank(OTHER);
        eq(capital.refund(modelId, 1, BUYER, 0), MINIMUM - 2, "whoever sends");
        eq(dollar.balanceOf(BUYER), MINIMUM - 2, "to the account");
        vm.recordLogs();
        eq(capital.refund(modelId, 1, BUYER, 0), 0, "once");
        eq(vm.getRecordedLogs().length, 0, "without a word");
        eq(capital.refund(modelId, 1, OTHER, 0), 1, "the other's");
        eq(dollar.balanceOf(vault()), 0, "to the last unit");
        eq(shares.totalSupply(), 0, "nothing is minted");
    }

    /// @dev The minimum is the one from before the epoch: lowering it then does not turn a refund into a sale.
    function test_aMinimumThatIsLoweredLaterChangesNothing() public {
        deposit(BUYER, MINIMUM - 1);
        vm.prank(address(timelock));
        capital.setTerms(modelId, 1, PRICE, 1);
        afterEpoch(1);
        eq(capital.settle(modelId), 0, "nothing to settle");
        eq(capital.refund(modelId, 1, BUYER, 0), MINIMUM - 1, "paid back");
    }

    function test_anEpochThatNobodySettlesWithin30DaysIsPaidBack() public {
        deposit(BUYER, 5e6);
        uint256 end = START + EPOCH;
        vm.warp(end + AGE);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNotRefundable.selector, modelId, 1));
        capital.refund(modelId, 1, BUYER, 0);
        uint256 before = vm.snapshotState();
        eq(capital.settle(modelId), 1, "to the second");
        eq(capital.claim(modelId, 1, BUYER), CAPITAL_BUDGET, "settled");
        vm.revertToState(before);

        vm.warp(end + AGE + 1);
        eq(capital.refund(modelId, 1, BUYER, 0), 5e6, "paid back");
        vm.expectEmit(address(capital));
        emit ICapitalSale.SaleExpired(modelId, 1, 5e6);
        eq(capital.settle(modelId), 1, "and out of the way");
        eq(shares.totalSupply(), 0, "nothing is minted");
        eq(dollar.balanceOf(address(timelock)), 0, "the treasury has nothing");
        eq(uint256(saleOf(1).state), uint256(SaleState.Failed), "for ever");
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNotSettled.selector, modelId, 1));
        capital.claim(modelId, 1, BUYER);
    }

    function test_whatIsSettledIsNotPaidBack() public {
        deposit(BUYER, 5e6);
        afterEpoch(1);
        bytes memory refusal = abi.encodeWithSelector(ICapitalSale.CapitalSaleNotRefundable.selector, modelId, 1);
        vm.expectRevert(refusal);
        capital.refund(modelId, 1, BUYER, 0);
        capital.settle(modelId);
        vm.warp(block.timestamp + AGE + 1);
        vm.expectRevert(refusal);
        capital.refund(modelId, 1, BUYER, 0);
        eq(capital.claim(modelId, 1, BUYER), CAPITAL_BUDGET, "shares are there for ever");
    }

    function test_epochsWithoutDepositsArePaidToNobody() public {
        afterEpoch(3);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNotRefundable.selector, modelId, 2));
        capital.refund(modelId, 2, BUYER, 0);
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNotSettled.selector, modelId, 2));
        capital.claim(modelId, 2, BUYER);
        eq(capital.settle(modelId), 0, "nothing to settle");
    }

    // --- apart ----------------------------------------------------------------------------------------------------------

    function test_onlyTheSaleMovesWhatLiesInAVault() public {
        deposit(BUYER, 5e6);
        TokenVault own = TokenVault(vault());
        vm.expectRevert(abi.encodeWithSelector(ITokenVault.TokenVaultOnlyKeeper.selector, address(timelock)));
        vm.prank(address(timelock));
        own.pay(dollar, address(timelock), 5e6);
    }

    function test_anotherModelsDepositsPayNobodyHere() public {
        deposit(BUYER, MINIMUM - 1);
        ModelId first = modelId;
        useModel(registry.createModel(capitalConfig(address(dollar)), "rich"));
        deposit(OTHER, 100e6);
        afterEpoch(1);
        eq(capital.refund(first, 1, OTHER, 0), 0, "none of it here");
        eq(capital.refund(first, 1, BUYER, 0), MINIMUM - 1, "its own");
        eq(dollar.balanceOf(vault()), 100e6, "untouched");
        capital.settle(modelId);
        eq(capital.claim(modelId, 1, BUYER), 0, "none of it here either");
    }

    /// @dev Who sends tokens to a vault buys nothing, and stops nobody.
    function test_whatIsDonatedChangesNothing() public {
        dollar.mint(vault(), 50e6);
        deposit(BUYER, 1e6);
        dollar.mint(vault(), 50e6);
        eq(saleOf(1).total, 1e6, "not counted");
        afterEpoch(1);
        capital.settle(modelId);
        eq(dollar.balanceOf(address(timelock)), 1e6, "not paid");
        eq(capital.claim(modelId, 1, BUYER), 50e18, "not sold");
    }

    function test_testDollarsAreForDevelopmentAlone() public {
        eq(dollar.decimals(), 6, "as dollars have");
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(TestDollar.TestDollarForDevelopment.selector, 1));
        new TestDollar();
    }

    function testFuzz_nobodyGetsMoreThanItsPartOrPaysLessThanThePrice(uint128 a, uint128 b, uint96 price) public {
        price = uint96(bound(price, FLOOR, 1e24));
        uint256 least = (uint256(price) + 1e18 - 1) / 1e18;
        vm.prank(address(timelock));
        capital.setTerms(modelId, 1, price, uint128(least));
        vm.warp(START + EPOCH);
        a = uint128(bound(a, least, 1e30));
        b = uint128(bound(b, 1, 1e30));
        deposit(BUYER, a);
        deposit(OTHER, b);
        afterEpoch(2);
        capital.settle(modelId);
        uint256 first = capital.claim(modelId, 2, BUYER);
        uint256 second = capital.claim(modelId, 2, OTHER);
        _isFair(first, a, uint256(a) + b, price);
        _isFair(second, b, uint256(a) + b, price);
        yes(first + second <= shares.totalSupply(), "within what was minted");
        yes(shares.totalSupply() - first - second <= 2, "and all of it but a wei each");
        yes(shares.totalSupply() <= CAPITAL_BUDGET, "14 within the budget");
        eq(dollar.balanceOf(address(timelock)), uint256(a) + b, "all of the money");
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    /// @dev min(budget × deposit ÷ total, deposit ÷ price), rounded down, or a wei less.
    function _isFair(uint256 got, uint256 deposited, uint256 total, uint256 price) private pure {
        uint256 part = (CAPITAL_BUDGET * deposited) / total;
        uint256 bought = (deposited * 1e18) / price;
        uint256 least = part < bought ? part : bought;
        yes(got <= least && got + 1 >= least, "its part");
    }

    function _refuseConfig(CapitalConfig memory config, bytes4 reason) private {
        ModelConfig memory all = modelConfig();
        all.capital = config;
        vm.expectPartialRevert(reason);
        registry.createModel(all, "refused");
    }

    function _permit(uint256 key, uint256 amount, uint256 deadline) private view returns (Permit memory) {
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        address owner = vm.addr(key);
        bytes32 content = keccak256(abi.encode(kind, owner, address(capital), amount, dollar.nonces(owner), deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), content));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Permit(deadline, v, r, s);
    }
}

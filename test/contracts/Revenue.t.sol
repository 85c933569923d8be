// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Permit} from "../../contracts/interfaces/ICapitalSale.sol";
import {Claim, IComputeRewards, Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IRevenueDeposits, RevenueBook} from "../../contracts/interfaces/IRevenueDeposits.sol";
import {COMPUTE, REVENUE} from "../../contracts/interfaces/Kinds.sol";
import {Attestation, ClaimTo} from "../../contracts/interfaces/Statements.sol";
import {ITokenVault} from "../../contracts/interfaces/ITokenVault.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {ComputeRewards} from "../../contracts/rewards/ComputeRewards.sol";
import {TokenVault} from "../../contracts/rewards/TokenVault.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Revenue} from "./support/Revenue.sol";

contract RevenueTest is Revenue {
    // --- successors -----------------------------------------------------------------------------------------------------

    function test_whoTakesComputeOverPaysNoRevenue() public {
        earn(10);
        ComputeRewards first = rewards;
        ComputeRewards second = new ComputeRewards(registry, emission, validators, bootstrap, revenue);
        vm.prank(address(timelock));
        emission.nameSuccessor(modelId, COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days);
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        eq(revenue.authorisableBy(address(second), modelId, REVENUE, 1, over, 0), 0, "nothing for the second");
        eq(revenue.authorisableBy(address(first), modelId, REVENUE, 1, over, 0), 10, "all of it for the first");
        rewards = second;
        Attestation memory a = attestRevenue(over, "root", 10);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, 10, 0));
        second.postRoot(a, signatures);
        rewards = first;
        settleRevenue(over, revenueLeaf(1, HOLDER, 10), 10);
        eq(claimRevenue(1, HOLDER, 10), 10, "and the first pays it");
    }

    // --- deposits -------------------------------------------------------------------------------------------------------

    function test_aDepositLiesInTheModelsVault() public {
        eq(earn(5e6), 5e6, "arrived");
        RevenueBook memory book = revenue.bookOf(modelId);
        eq(book.token, address(dollar), "token");
        eq(book.held, 5e6, "held");
        eq(book.arrived, 5e6, "arrived");
        eq(book.setAside, 0, "nothing is set aside");
        eq(dollar.balanceOf(book.vault), 5e6, "vault");
        eq(dollar.balanceOf(address(revenue)), 0, "nothing lies in the contract");
        eq(TokenVault(book.vault).keeper(), address(revenue), "whom the vault obeys");
        yes(book.vault != vault(), "it is not the sale's");
    }

    function test_theFirstUseOpensTheVault() public {
        eq(revenue.bookOf(modelId).vault, address(0), "not yet");
        vm.recordLogs();
        eq(revenue.count(modelId), 0, "nothing there");
        eq(vm.getRecordedLogs().length, 1, "and no more is said than that");
        address made = revenueVault(modelId);
        yes(made.code.length != 0, "made");
        earn(1);
        eq(revenueVault(modelId), made, "once");
    }

    function test_aModelOpensWithItsTokenAndVault() public {
        uint256 before = vm.snapshotState();
        revenue.count(modelId);
        address made = revenueVault(modelId);
        vm.revertToState(before);
        vm.expectEmit(address(revenue));
        emit IRevenueDeposits.RevenueOpened(modelId, address(dollar), made);
        revenue.count(modelId);
    }

    function test_aDepositCountsForItsEpoch() public {
        dollar.mint(CUSTOMER, 100);
        vm.startPrank(CUSTOMER);
        dollar.approve(address(revenue), 100);
        revenue.deposit(modelId, 10);
        vm.warp(START + EPOCH - 1);
        vm.expectEmit(address(revenue));
        emit IRevenueDeposits.RevenueDeposited(modelId, 1, CUSTOMER, 20);
        revenue.deposit(modelId, 20);
        vm.warp(START + EPOCH);
        vm.expectEmit(address(revenue));
        emit IRevenueDeposits.RevenueDeposited(modelId, 2, CUSTOMER, 30);
        revenue.deposit(modelId, 30);
        vm.warp(START + 4 * EPOCH);
        revenue.deposit(modelId, 40);
        vm.stopPrank();
        uint256[7] memory through = [uint256(0), 30, 60, 60, 60, 100, 100];
        for (uint64 epoch = 0; epoch < 7; ++epoch) {
            eq(revenue.arrivedThrough(modelId, epoch), through[epoch], "arrived");
            eq(available(epoch), through[epoch], "available");
        }
        eq(revenue.arrivedThrough(modelId, type(uint64).max), 100, "for ever");
        eq(revenue.bookOf(modelId).arrived, 100, "in all");
    }

    function test_whatIsSentWithoutADepositIsCounted() public {
        earn(5);
        dollar.mint(revenueVault(modelId), 7);
        vm.expectEmit(address(revenue));
        emit IRevenueDeposits.RevenueDeposited(modelId, 1, address(0), 7);
        eq(revenue.count(modelId), 7, "counted");
        eq(revenue.count(modelId), 0, "once");
        eq(revenue.bookOf(modelId).held, 12, "held");
        eq(available(1), 12, "available");
    }

    /// @dev What somebody sent before is not this customer's payment.
    function test_aDepositCountsItsOwnAlone() public {
        earn(5);
        dollar.mint(revenueVault(modelId), 7);
        eq(earn(3), 3, "its own");
        eq(revenue.count(modelId), 7, "the rest");
    }

    function test_aPermitServesAndOneThatWasUsedDoesNoHarm() public {
        address payer = vm.addr(0xa);
        dollar.mint(payer, 10e6);
        Permit memory permit = _permit(0xa, 5e6);
        vm.prank(payer);
        eq(revenue.depositWithPermit(modelId, 5e6, permit), 5e6, "arrived");
        permit = _permit(0xa, 5e6);
        dollar.permit(payer, address(revenue), 5e6, permit.deadline, permit.v, permit.r, permit.s);
        vm.prank(payer);
        eq(revenue.depositWithPermit(modelId, 5e6, permit), 5e6, "used by another");
        eq(dollar.balanceOf(revenueVault(modelId)), 10e6, "vault");
    }

    function test_nothingIsNoRevenue() public {
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsNothingArrived.selector));
        vm.prank(CUSTOMER);
        revenue.deposit(modelId, 0);
    }

    function test_aModelWithoutATokenHasNoRevenue() public {
        ModelId poor = registry.createModel(modelConfig(), "poor");
        bytes memory none = abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsNone.selector, poor);
        vm.expectRevert(none);
        revenue.deposit(poor, 1);
        vm.expectRevert(none);
        revenue.count(poor);
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsNone.selector, NO_MODEL));
        revenue.depositWithPermit(NO_MODEL, 1, Permit(0, 0, 0, 0));
    }

    function test_moreThanCanBeCountedIsRefused() public {
        earn(type(uint128).max);
        dollar.mint(CUSTOMER, 1);
        vm.startPrank(CUSTOMER);
        dollar.approve(address(revenue), 1);
        vm.expectRevert(
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 128, uint256(2) ** 128)
        );
        revenue.deposit(modelId, 1);
        vm.stopPrank();
        eq(available(1), type(uint128).max, "what was before stands");
    }

    // --- roots ----------------------------------------------------------------------------------------------------------

    function test_aRootPaysWhatArrived() public {
        earn(10e6);
        settleRevenue(1, revenueLeaf(1, HOLDER, 10e6), 10e6);
        eq(revenue.bookOf(modelId).setAside, 10e6, "set aside");
        eq(available(1), 0, "nothing is left");
        eq(shares.totalSupply(), 0, "nothing is minted");
        vm.prank(address(0xdead));
        eq(claimRevenue(1, HOLDER, 10e6), 10e6, "paid, whoever calls");
        eq(dollar.balanceOf(HOLDER), 10e6, "to the holder");
        eq(claimRevenue(1, HOLDER, 10e6), 0, "once");
        eq(dollar.balanceOf(HOLDER), 10e6, "no more");
        eq(revenue.bookOf(modelId).held, 0, "nothing is held");
        eq(rewards.rootAt(modelId, REVENUE, 1).paid, 10e6, "counted");
    }

    /// @dev What nobody has counted yet is the next root's, and not of whoever claims first.
    function test_whatIsSentWithoutADepositPaysNoClaim() public {
        earn(10);
        settleRevenue(1, revenueLeaf(1, HOLDER, 10), 10);
        dollar.mint(revenueVault(modelId), 90);
        eq(claimRevenue(1, HOLDER, 10), 10, "what is owed");
        eq(dollar.balanceOf(HOLDER), 10, "and no more");
        eq(revenue.count(modelId), 90, "the rest");
    }

    function test_activationSaysWhatItSetsAside() public {
        earn(10);
        afterEpoch(2);
        post(attestRevenue(2, "root", 4));
        vm.warp(block.timestamp + WINDOW);
        vm.expectEmit(address(revenue));
        emit IRevenueDeposits.RevenueSetAside(modelId, 1, 2, 4);
        rewards.activate(posted);
        eq(available(2), 6, "the rest is the next root's");
    }

    function test_aRootAddsNoMoreThanArrived() public {
        earn(10);
        vm.warp(START + EPOCH);
        earn(5);
        afterEpoch(1);
        _refused(attestRevenue(1, "root", 11), 11, 10);
        settleRevenue(1, "root", 10);
        afterEpoch(2);
        _refused(attestRevenue(2, "next", 6), 6, 5);
        settleRevenue(2, "next", 5);
        afterEpoch(3);
        _refused(attestRevenue(3, "last", 1), 1, 0);
    }

    function test_whatARootLeavesIsTheNextOnes() public {
        earn(10);
        settleRevenue(1, "root", 4);
        afterEpoch(2);
        _refused(attestRevenue(2, "next", 7), 7, 6);
        settleRevenue(2, "next", 6);
        eq(available(2), 0, "all of it");
    }

    function test_whatArrivesLaterIsNoEarlierRoots() public {
        afterEpoch(1);
        earn(10);
        _refused(attestRevenue(1, "root", 1), 1, 0);
        settleRevenue(2, "root", 10);
    }

    function test_revenueDoesNotAge() public {
        earn(10);
        vm.warp(START + 400 days);
        settleRevenue(1, revenueLeaf(1, HOLDER, 10), 10);
        eq(claimRevenue(1, HOLDER, 10), 10, "paid");
    }

    function test_anotherModelsRevenuePaysNobodyHere() public {
        earn(10);
        ModelId poor = modelId;
        useModel(registry.createModel(capitalConfig(address(dollar)), "rich"));
        earn(100);
        useModel(poor);
        afterEpoch(1);
        _refused(attestRevenue(1, "root", 11), 11, 10);
        settleRevenue(1, revenueLeaf(1, HOLDER, 10), 10);
        claimRevenue(1, HOLDER, 10);
        eq(dollar.balanceOf(HOLDER), 10, "its own");
    }

    function test_kindsAreApart() public {
        earn(10);
        settleRevenue(1, "revenue", 10);
        settle(1, leafOf(1, HOLDER, 7), 7);
        eq(rewards.rootAt(modelId, REVENUE, 1).root, "revenue", "revenue");
        eq(rewards.rootAt(modelId, COMPUTE, 1).total, 7, "compute");
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, modelId, REVENUE, 1, HOLDER)
        );
        claimRevenue(1, HOLDER, 7);
        eq(rewards.claim(modelId, COMPUTE, HOLDER, Leaf(1, 7, new bytes32[](0))), 7, "shares");
        eq(shares.balanceOf(HOLDER), 7, "to the holder");
        eq(dollar.balanceOf(HOLDER), 0, "and no dollars");
    }

    function test_leavesAboveTheTotalAreNotPaid() public {
        earn(10);
        settleRevenue(1, revenueLeaf(1, HOLDER, 11), 10);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsAboveTotal.selector, 1, 11, 10));
        claimRevenue(1, HOLDER, 11);
    }

    function test_manyClaimsOfBothKindsInOneCall() public {
        earn(10);
        settleRevenue(1, revenueLeaf(1, HOLDER, 10), 10);
        settle(1, leafOf(1, HOLDER, 7), 7);
        Claim[] memory claims = new Claim[](2);
        claims[0] = Claim(modelId, REVENUE, HOLDER, new Leaf[](1));
        claims[1] = Claim(modelId, COMPUTE, HOLDER, new Leaf[](1));
        claims[0].leaves[0] = Leaf(1, 10, new bytes32[](0));
        claims[1].leaves[0] = Leaf(1, 7, new bytes32[](0));
        uint256[] memory amounts = rewards.claimMany(claims);
        eq(amounts[0], 10, "revenue");
        eq(amounts[1], 7, "compute");
        eq(dollar.balanceOf(HOLDER), 10, "dollars");
        eq(shares.balanceOf(HOLDER), 7, "shares");
    }

    function test_aHolderNamesWhoIsPaid() public {
        earn(10);
        address holder = vm.addr(0xa);
        settleRevenue(1, revenueLeaf(1, holder, 10), 10);
        ClaimTo memory order = ClaimTo(modelId, REVENUE, holder, address(0x70), 0, uint64(block.timestamp));
        bytes32 digest = MessageHashUtils.toTypedDataHash(rewards.domainSeparator(), ProtocolHashes.hashClaimTo(order));
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = Leaf(1, 10, new bytes32[](0));
        eq(rewards.claimTo(order, leaves, signature(0xa, digest)), 10, "paid");
        eq(dollar.balanceOf(address(0x70)), 10, "to whom it named");
    }

    function test_aDisputeHoldsRevenueUpAndTakesNone() public {
        earn(10);
        afterEpoch(1);
        post(attestRevenue(1, revenueLeaf(1, HOLDER, 10), 10));
        vm.deal(address(this), BOND);
        rewards.dispute{value: BOND}(modelId, REVENUE, nameOf(posted), posted.epochDigest);
        vm.warp(block.timestamp + 1 days);
        rewards.settleDispute(modelId, REVENUE, nameOf(posted));
        eq(available(1), 10, "undecided is void, and all of it is there");
        Attestation memory next = attestRevenue(1, revenueLeaf(1, HOLDER, 10), 10);
        vm.deal(address(this), 2 * BOND);
        rewards.postRoot{value: 2 * BOND}(next, signedBy(quorum(), digestOf(next)));
        vm.warp(block.timestamp + WINDOW);
        rewards.activate(next);
        eq(claimRevenue(1, HOLDER, 10), 10, "paid");
    }

    // --- authority ------------------------------------------------------------------------------------------------------

    function test_onlyRewardsSetAsideAndPay() public {
        earn(10);
        afterEpoch(1);
        address[3] memory callers = [address(timelock), ORGANISER, address(registry)];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory refusal = abi.encodeWithSelector(
                IRevenueDeposits.RevenueDepositsOnlyRewards.selector,
                callers[i]
            );
            vm.startPrank(callers[i]);
            vm.expectRevert(refusal);
            revenue.authorise(modelId, REVENUE, 1, 1, 0, 10);
            vm.expectRevert(refusal);
            revenue.pay(modelId, callers[i], callers[i], callers[i], 10);
            vm.stopPrank();
        }
        TokenVault own = TokenVault(revenueVault(modelId));
        vm.expectRevert(abi.encodeWithSelector(ITokenVault.TokenVaultOnlyKeeper.selector, address(timelock)));
        vm.prank(address(timelock));
        own.pay(dollar, address(timelock), 10);
    }

    /// @dev ComputeRewards looks before it asks; whoever pays from what lies here trusts nobody's look.
    function test_noMoreIsSetAsideThanArrived() public {
        earn(10);
        afterEpoch(1);
        vm.startPrank(address(rewards));
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsOverBudget.selector, 11, 10));
        revenue.authorise(modelId, REVENUE, 1, 1, 0, 11);
        revenue.authorise(modelId, REVENUE, 1, 1, 0, 10);
        vm.expectRevert(abi.encodeWithSelector(IRevenueDeposits.RevenueDepositsOverBudget.selector, 1, 0));
        revenue.authorise(modelId, REVENUE, 2, 2, 0, 1);
        vm.stopPrank();
    }

    function _permit(uint256 key, uint256 amount) private view returns (Permit memory) {
        address owner = vm.addr(key);
        bytes32 typehash = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        uint256 deadline = block.timestamp + 1;
        bytes32 hash = keccak256(abi.encode(typehash, owner, address(revenue), amount, dollar.nonces(owner), deadline));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(
            key,
            MessageHashUtils.toTypedDataHash(dollar.DOMAIN_SEPARATOR(), hash)
        );
        return Permit(deadline, v, r, s);
    }

    function _refused(Attestation memory a, uint256 total, uint256 budget) private {
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, total, budget));
        rewards.postRoot(a, signatures);
    }
}

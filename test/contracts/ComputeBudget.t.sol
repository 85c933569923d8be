// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {BudgetState, BudgetTerms, IComputeBudget} from "../../contracts/interfaces/IComputeBudget.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IModelShares} from "../../contracts/interfaces/IModelShares.sol";
import {TREASURY} from "../../contracts/interfaces/Kinds.sol";
import {Fixture} from "./support/Fixture.sol";
import {HostileToken} from "./support/Tokens.sol";

/// @notice The holders let somebody spend so much an epoch from the treasury, which is their timelock.
contract ComputeBudgetTest is Fixture {
    address private constant RENTER = address(0x4e);
    string private constant PURPOSE = "GPUs of the spring";
    string private constant MEMO = "invoice 12";
    uint128 private constant PER_EPOCH = 100e6;

    HostileToken private token;

    function setUp() public override {
        super.setUp();
        token = new HostileToken();
        token.mint(address(timelock), 1_000e6);
        vm.prank(address(timelock));
        token.approve(address(budgets), type(uint256).max);
    }

    // --- opening --------------------------------------------------------------------------------------------------------

    function test_theHoldersOpenABudget() public {
        BudgetTerms memory terms = _terms();
        vm.expectEmit(address(budgets));
        emit IComputeBudget.ComputeBudgetOpened(modelId, 1, RENTER, address(token), PER_EPOCH, terms.expiry, PURPOSE);
        eq(_open(terms), 1, "the first");
        eq(_open(terms), 2, "the second");
        eq(budgets.countOf(modelId), 2, "counted");
        BudgetState memory state = budgets.budgetOf(modelId, 1);
        eq(state.terms.recipient, RENTER, "recipient");
        eq(state.terms.token, address(token), "token");
        eq(state.terms.perEpoch, PER_EPOCH, "per epoch");
        eq(state.terms.expiry, terms.expiry, "expiry");
        eq(state.revokedAt, 0, "stands");
        eq(state.total, 0, "nothing spent");
        eq(budgets.leftOf(modelId, 1), PER_EPOCH, "left");
        eq(budgets.registry(), address(registry), "whom it obeys");
        eq(registry.computeBudget(), address(budgets), "where it is found");
    }

    function test_nobodyElseOpensOrEndsOne() public {
        BudgetTerms memory terms = _terms();
        _open(terms);
        address[3] memory others = [ORGANISER, RENTER, address(registry)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert(unauthorised(modelId, others[i]));
            budgets.open(modelId, terms, PURPOSE);
            vm.expectRevert(unauthorised(modelId, others[i]));
            budgets.revoke(modelId, 1);
            vm.stopPrank();
        }
    }

    function test_termsHaveBounds() public {
        BudgetTerms memory terms = _terms();
        terms.recipient = address(0);
        _refusedTerms(terms, abi.encodeWithSelector(IComputeBudget.ComputeBudgetBadRecipient.selector, address(0)));
        terms.recipient = address(timelock);
        _refusedTerms(terms, abi.encodeWithSelector(IComputeBudget.ComputeBudgetBadRecipient.selector, timelock));
        terms = _terms();
        terms.token = RENTER;
        _refusedTerms(terms, abi.encodeWithSelector(IComputeBudget.ComputeBudgetBadToken.selector, RENTER));
        terms = _terms();
        terms.perEpoch = 0;
        _refusedTerms(terms, _outOfBounds("perEpoch", 0, 1, type(uint128).max));
        terms = _terms();
        terms.expiry = uint48(START - 1);
        _refusedTerms(terms, _outOfBounds("expiry", START - 1, START, START + 365 days));
        terms.expiry = uint48(START + 365 days + 1);
        _refusedTerms(terms, _outOfBounds("expiry", terms.expiry, START, START + 365 days));
        terms.expiry = uint48(START + 365 days);
        _open(terms);
        terms.expiry = uint48(START);
        terms.perEpoch = 1;
        _open(terms);
    }

    function test_aPurposeIsSaidAndShort() public {
        BudgetTerms memory terms = _terms();
        vm.startPrank(address(timelock));
        vm.expectRevert(_outOfBounds("purpose", 0, 1, 256));
        budgets.open(modelId, terms, "");
        vm.expectRevert(_outOfBounds("purpose", 257, 1, 256));
        budgets.open(modelId, terms, string(new bytes(257)));
        budgets.open(modelId, terms, string(new bytes(256)));
        vm.stopPrank();
    }

    // --- spending -------------------------------------------------------------------------------------------------------

    function test_theRecipientSpendsUpToTheCapOfAnEpoch() public {
        _open(_terms());
        vm.expectEmit(address(budgets));
        emit IComputeBudget.ComputeBudgetSpent(modelId, 1, 1, 60e6, MEMO);
        _spend(60e6);
        eq(token.balanceOf(RENTER), 60e6, "paid");
        eq(token.balanceOf(address(timelock)), 940e6, "by the treasury");
        eq(budgets.leftOf(modelId, 1), 40e6, "left");
        _refused(40e6 + 1, abi.encodeWithSelector(IComputeBudget.ComputeBudgetExceeded.selector, 1, 40e6 + 1, 40e6));
        _spend(40e6);
        _refused(1, abi.encodeWithSelector(IComputeBudget.ComputeBudgetExceeded.selector, 1, 1, 0));
        eq(budgets.leftOf(modelId, 1), 0, "nothing");
    }

    function test_whatAnEpochLeavesIsNotAddedToTheNext() public {
        _open(_terms());
        _spend(10e6);
        vm.warp(START + EPOCH - 1);
        eq(budgets.leftOf(modelId, 1), 90e6, "its last second");
        vm.warp(START + EPOCH);
        eq(budgets.leftOf(modelId, 1), PER_EPOCH, "the next one's own");
        _spend(PER_EPOCH);
        BudgetState memory state = budgets.budgetOf(modelId, 1);
        eq(state.spentIn, 2, "in");
        eq(state.spent, PER_EPOCH, "of it");
        eq(state.total, PER_EPOCH + 10e6, "in all");
    }

    function test_nobodyElseSpendsIt() public {
        _open(_terms());
        address[3] memory others = [ORGANISER, address(timelock), address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IComputeBudget.ComputeBudgetNotRecipient.selector, 1, others[i], RENTER)
            );
            vm.prank(others[i]);
            budgets.spend(modelId, 1, 1, MEMO);
        }
    }

    function test_itEndsWithItsTime() public {
        BudgetTerms memory terms = _terms();
        _open(terms);
        vm.warp(terms.expiry);
        eq(budgets.leftOf(modelId, 1), PER_EPOCH, "its last second");
        _spend(1);
        vm.warp(uint256(terms.expiry) + 1);
        _refused(1, abi.encodeWithSelector(IComputeBudget.ComputeBudgetExpired.selector, 1, terms.expiry));
        eq(budgets.leftOf(modelId, 1), 0, "nothing");
    }

    function test_itEndsAtOnceWhenTheHoldersSaySo() public {
        _open(_terms());
        vm.startPrank(address(timelock));
        vm.expectEmit(address(budgets));
        emit IComputeBudget.ComputeBudgetRevoked(modelId, 1);
        budgets.revoke(modelId, 1);
        vm.stopPrank();
        _refused(1, abi.encodeWithSelector(IComputeBudget.ComputeBudgetEnded.selector, 1, uint48(START)));
        eq(budgets.leftOf(modelId, 1), 0, "nothing");
        // A second proposal that ends it among others is not undone by it.
        vm.warp(START + 1);
        vm.prank(address(timelock));
        budgets.revoke(modelId, 1);
        eq(budgets.budgetOf(modelId, 1).revokedAt, START, "when it was first ended");
    }

    function test_eachPaymentSaysWhatFor() public {
        _open(_terms());
        vm.startPrank(RENTER);
        vm.expectRevert(_outOfBounds("memo", 0, 1, 256));
        budgets.spend(modelId, 1, 1, "");
        vm.expectRevert(_outOfBounds("memo", 257, 1, 256));
        budgets.spend(modelId, 1, 1, string(new bytes(257)));
        budgets.spend(modelId, 1, 1, string(new bytes(256)));
        vm.expectRevert(_outOfBounds("amount", 0, 1, type(uint256).max));
        budgets.spend(modelId, 1, 0, MEMO);
        vm.stopPrank();
    }

    function test_unknownBudgetsAreRefused() public {
        _open(_terms());
        uint256[2] memory ids = [uint256(0), 2];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory unknown = abi.encodeWithSelector(
                IComputeBudget.ComputeBudgetUnknown.selector,
                modelId,
                ids[i]
            );
            vm.expectRevert(unknown);
            budgets.budgetOf(modelId, ids[i]);
            vm.expectRevert(unknown);
            budgets.leftOf(modelId, ids[i]);
            vm.expectRevert(unknown);
            budgets.spend(modelId, ids[i], 1, MEMO);
            vm.expectRevert(unknown);
            vm.prank(address(timelock));
            budgets.revoke(modelId, ids[i]);
        }
    }

    function test_whatTheTreasuryDoesNotAllowIsNotPaid() public {
        _open(_terms());
        vm.prank(address(timelock));
        token.approve(address(budgets), 5e6);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(budgets), 5e6, 5e6 + 1)
        );
        vm.prank(RENTER);
        budgets.spend(modelId, 1, 5e6 + 1, MEMO);
        eq(budgets.leftOf(modelId, 1), PER_EPOCH, "and not counted");
        _spend(5e6);
    }

    /// @dev Its timelock allows this contract the same token.
    function test_anotherModelsTreasuryIsNotTouched() public {
        ModelId other = registry.createModel(modelConfig(), "other");
        address theirs = registry.timelockOf(other);
        token.mint(theirs, 50e6);
        token.allow(theirs, address(budgets));
        _open(_terms());
        _spend(PER_EPOCH);
        eq(token.balanceOf(theirs), 50e6, "theirs");
        vm.expectRevert(abi.encodeWithSelector(IComputeBudget.ComputeBudgetUnknown.selector, other, 1));
        vm.prank(RENTER);
        budgets.spend(other, 1, 1, MEMO);
    }

    // --- hostile tokens -------------------------------------------------------------------------------------------------

    function test_whatATokenKeepsCountsAsSpent() public {
        _open(_terms());
        token.setFee(100);
        _spend(PER_EPOCH);
        eq(token.balanceOf(RENTER), 99e6, "arrived");
        eq(budgets.leftOf(modelId, 1), 0, "what left the treasury");
    }

    function test_aTokenThatAnswersFalseHasNotPaid() public {
        _open(_terms());
        token.setLies(true);
        _refused(1, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        token.setLies(false);
        token.setPaused(true);
        _refused(1, abi.encodeWithSignature("Error(string)", "refused"));
        token.setPaused(false);
        token.ban(RENTER);
        _refused(1, abi.encodeWithSignature("Error(string)", "refused"));
        token.ban(address(0));
        eq(budgets.leftOf(modelId, 1), PER_EPOCH, "nothing was counted");
        _spend(PER_EPOCH);
    }

    function test_aTokenThatShrinksTakesNothingFromTheCap() public {
        _open(_terms());
        token.setScale(5_000);
        _spend(PER_EPOCH);
        eq(token.balanceOf(address(timelock)), 400e6, "half, less the cap");
        _refused(1, abi.encodeWithSelector(IComputeBudget.ComputeBudgetExceeded.selector, 1, 1, 0));
    }

    /// @dev The recipient is the token itself, which spends again while it is asked to pay.
    function test_aPaymentWithinAPaymentFindsTheFirstCounted() public {
        BudgetTerms memory terms = _terms();
        terms.recipient = address(token);
        _open(terms);
        token.hook(address(budgets), abi.encodeCall(budgets.spend, (modelId, 1, 60e6, MEMO)));
        vm.prank(address(token));
        budgets.spend(modelId, 1, 60e6, MEMO);
        eq(
            keccak256(token.refusal()),
            keccak256(abi.encodeWithSelector(IComputeBudget.ComputeBudgetExceeded.selector, 1, 60e6, 40e6)),
            "refused"
        );
        eq(token.balanceOf(address(token)), 60e6, "once");
    }

    // --- the treasury's part of the emission ----------------------------------------------------------------------------

    function test_theTreasurysPartIsDrawnByTheHolders() public {
        uint256 part = (uint256(BUDGET) * 500) / 10_000;
        eq(emission.distributorFor(modelId, TREASURY), address(timelock), "who draws");
        eq(emission.distributorOf(TREASURY), address(0), "each model's own");
        for (uint8 kind = 1; kind < 4; ++kind)
            eq(emission.distributorFor(modelId, kind), emission.distributorOf(kind), "one for all models");
        eq(emission.distributorFor(modelId, 5), address(0), "no kind");
        eq(emission.distributorFor(NO_MODEL, TREASURY), address(0), "no model");
        vm.warp(START + EPOCH);
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, 2 * part + 1, 2 * part));
        emission.draw(modelId, TREASURY, 2 * part + 1);
        emission.draw(modelId, TREASURY, 2 * part);
        eq(shares.balanceOf(address(timelock)), 2 * part, "minted to the treasury");
        eq(emission.mintedOf(modelId, TREASURY), 2 * part, "counted");
        eq(shares.getVotes(address(timelock)), 0, "without a vote");
        emission.burn(modelId, TREASURY, part);
        eq(shares.totalSupply(), part, "and it may burn them");
        vm.stopPrank();
    }

    function test_nobodyElseDrawsTheTreasurysPart() public {
        ModelId other = registry.createModel(modelConfig(), "other");
        address[4] memory others = [registry.timelockOf(other), ORGANISER, address(grants), address(budgets)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            bytes memory refusal = abi.encodeWithSelector(
                IEmission.EmissionNotDistributor.selector,
                TREASURY,
                others[i]
            );
            vm.expectRevert(refusal);
            emission.draw(modelId, TREASURY, 1);
            vm.expectRevert(refusal);
            emission.authorise(modelId, TREASURY, 1, 1, uint48(START), 1);
            vm.expectRevert(refusal);
            emission.burn(modelId, TREASURY, 1);
            vm.stopPrank();
        }
    }

    /// @dev Whoever authorises says how old an epoch may be: the holders would take what lapsed long ago.
    function test_whatLapsedOfTheTreasurysPartIsGone() public {
        uint256 part = (uint256(BUDGET) * 500) / 10_000;
        vm.warp(START + 90 days);
        uint64 now_ = emission.epochOf(modelId, uint48(block.timestamp));
        uint256 most = (30 days / EPOCH + 2) * part;
        eq(emission.authorisable(modelId, TREASURY, 1, now_, uint48(block.timestamp)), most, "of 30 days");
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, TREASURY, address(timelock)));
        emission.authorise(modelId, TREASURY, 1, now_, 0, most + 1);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, most + 1, most));
        emission.draw(modelId, TREASURY, most + 1);
        emission.draw(modelId, TREASURY, most);
        vm.stopPrank();
    }

    /// @dev Whoever has a majority once would keep the votes of all that is drawn later.
    function test_theTreasurysSharesVoteForNobody() public {
        vm.startPrank(address(timelock));
        emission.draw(modelId, TREASURY, 10e18);
        vm.expectRevert(abi.encodeWithSelector(IModelShares.ModelSharesTreasuryVotes.selector));
        shares.delegate(RENTER);
        vm.stopPrank();
        eq(shares.getVotes(RENTER), 0, "no vote");
        // Any other contract chooses for its own.
        vm.prank(address(budgets));
        shares.delegate(RENTER);
    }

    /// @dev What was drawn can be spent by a budget like any token.
    function test_aBudgetMayPayShares() public {
        BudgetTerms memory terms = _terms();
        terms.token = address(shares);
        _open(terms);
        vm.startPrank(address(timelock));
        emission.draw(modelId, TREASURY, 10e6);
        shares.approve(address(budgets), 10e6);
        vm.stopPrank();
        _spend(10e6);
        eq(shares.balanceOf(RENTER), 10e6, "paid");
    }

    function _terms() private view returns (BudgetTerms memory) {
        return
            BudgetTerms({
                recipient: RENTER,
                token: address(token),
                perEpoch: PER_EPOCH,
                expiry: uint48(START + 100 days)
            });
    }

    function _open(BudgetTerms memory terms) private returns (uint256) {
        vm.prank(address(timelock));
        return budgets.open(modelId, terms, PURPOSE);
    }

    function _spend(uint256 amount) private {
        vm.prank(RENTER);
        budgets.spend(modelId, 1, amount, MEMO);
    }

    function _refused(uint256 amount, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(RENTER);
        budgets.spend(modelId, 1, amount, MEMO);
    }

    function _refusedTerms(BudgetTerms memory terms, bytes memory reason) private {
        vm.expectRevert(reason);
        _open(terms);
    }

    function _outOfBounds(bytes32 term, uint256 value, uint256 min, uint256 max) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IComputeBudget.ComputeBudgetTermOutOfBounds.selector, term, value, min, max);
    }
}

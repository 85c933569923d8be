// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {IComputeRewards} from "../../contracts/interfaces/IComputeRewards.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {BondTerms, IDisputes, Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {Digest, ModelId} from "../../contracts/interfaces/Ids.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {ComputeRewards} from "../../contracts/rewards/ComputeRewards.sol";
import {Court} from "./support/Court.sol";
import {Vm} from "./support/Vm.sol";

/// @notice Withdraws again while it is being paid.
contract Greedy {
    ComputeRewards private immutable REWARDS;
    uint256 public got;

    constructor(ComputeRewards rewards) {
        REWARDS = rewards;
    }

    function dispute(ModelId modelId, bytes32 digest) external payable {
        REWARDS.dispute{value: msg.value}(modelId, 1, digest, Digest.wrap("evidence"));
    }

    receive() external payable {
        got += msg.value;
        REWARDS.withdraw(address(this));
    }
}

/// @notice Takes no coins.
contract Proud {
    function dispute(ComputeRewards rewards, ModelId modelId, bytes32 digest) external payable {
        rewards.dispute{value: msg.value}(modelId, 1, digest, Digest.wrap("evidence"));
    }
}

contract DisputeBondsTest is Court {
    /// @dev Delay, period and extension.
    uint256 private constant LONGEST_VOTE = 1 + 6 + 2;

    /// @dev What is known of it: whoever backs a root looks whether it can become active before another contract takes over.
    function test_theBondOfARootThatWaitsWhenAnotherTakesOverStays() public {
        _decided(AGAINST);
        ComputeRewards other = new ComputeRewards(registry, emission, validators, bootstrap, revenue);
        vm.prank(address(timelock));
        emission.nameSuccessor(modelId, 1, address(other));
        vm.warp(block.timestamp + 14 days - WINDOW);
        _postBacked(attest(emission.epochOf(modelId, uint48(block.timestamp)) - 1, "next", 1));
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, 1, address(rewards)));
        rewards.activate(posted);
        eq(rewards.credit(BACKER), 0, "not back");
        eq(rewards.backingOf(modelId, 1).amount, 2 * uint256(BOND), "and nobody's");
    }

    function test_afterAVoidRootTheNextBearsABondLikeTheNextDispute() public {
        _decided(AGAINST);
        eq(_bond(), 2 * uint256(BOND), "doubled");
        yes(_isDue(), "due");
        Attestation memory a = attest(posted.toEpoch, "next", 1);
        uint256[3] memory wrong = [uint256(0), BOND, 2 * uint256(BOND) - 1];
        for (uint256 i = 0; i < wrong.length; ++i) {
            _refusedPost(
                a,
                wrong[i],
                abi.encodeWithSelector(IDisputes.DisputesBondTooLow.selector, wrong[i], 2 * uint256(BOND))
            );
        }
        _postBacked(a);
        eq(rewards.backingOf(modelId, 1).backer, BACKER, "backer");
        eq(rewards.backingOf(modelId, 1).amount, 2 * uint256(BOND), "amount");
        _activate();
        eq(rewards.credit(BACKER), 2 * uint256(BOND), "back with the activation");
        eq(rewards.backingOf(modelId, 1).backer, address(0), "no backing is left");
        yes(!_isDue(), "nor due");
    }

    function test_rootsBearNoBondOtherwise() public {
        _activate();
        afterEpoch(posted.toEpoch + 1);
        _postWith(attest(posted.toEpoch + 1, "next", 1), 1);
        eq(rewards.backingOf(modelId, 1).amount, 0, "none");
        eq(rewards.credit(BACKER), 1, "what came is the sender's");
    }

    /// @dev A bond that falls between signing and posting refuses no root.
    function test_whatComesBeyondABondIsTheSenders() public {
        _decided(AGAINST);
        rewards.withdraw(DISPUTER);
        _postWith(attest(posted.toEpoch, "next", 1), 2 * uint256(BOND) + 3);
        eq(rewards.backingOf(modelId, 1).amount, 2 * uint256(BOND), "the bond");
        eq(rewards.credit(BACKER), 3, "the rest");
        eq(rewards.withdraw(BACKER), 3, "paid");
        _activate();
        eq(rewards.credit(BACKER), 2 * uint256(BOND), "and the bond with the activation");
    }

    function test_whoBacksATrueRootWinsHalfOfTheBond() public {
        _decided(AGAINST);
        rewards.withdraw(DISPUTER);
        _postBacked(attest(posted.toEpoch, "next", 1));
        eq(_decided(FOR), Outcome.Stands, "outcome");
        eq(rewards.credit(BACKER), BOND, "half of the disputer's");
        _activate();
        eq(rewards.credit(BACKER), 3 * uint256(BOND), "and its own");
        eq(rewards.credit(DISPUTER), 0, "who lost all");
        rewards.withdraw(BACKER);
        eq(address(rewards).balance, BOND, "the other half stays, nobody's");
    }

    function test_whoDisputesAFalseRootWinsHalfOfItsBacking() public {
        _decided(AGAINST);
        rewards.withdraw(DISPUTER);
        _postBacked(attest(posted.toEpoch, "next", 1));
        eq(_decided(AGAINST), Outcome.Void, "outcome");
        eq(rewards.credit(DISPUTER), 3 * uint256(BOND), "its own and half of the other");
        eq(rewards.credit(BACKER), 0, "who lost all");
        rewards.withdraw(DISPUTER);
        eq(address(rewards).balance, BOND, "the other half stays, nobody's");
    }

    function test_undecidedBothLoseAFifth() public {
        _decided(AGAINST);
        rewards.withdraw(DISPUTER);
        _postBacked(attest(posted.toEpoch, "next", 1));
        eq(_undecided(), Outcome.Undecided, "outcome");
        eq(rewards.credit(DISPUTER), (2 * uint256(BOND) * 4) / 5, "disputer");
        eq(rewards.credit(BACKER), (2 * uint256(BOND) * 4) / 5, "backer");
        eq(rewards.backingOf(modelId, 1).amount, 0, "no backing is left");
        yes(_isDue(), "the next bears a bond");
        _postBacked(attest(posted.toEpoch, "another", 1));
        eq(rewards.backingOf(modelId, 1).amount, 4 * uint256(BOND), "twice as high");
    }

    function test_whatRoundsIsTheLosersLoss() public {
        _setBond(1, BOND + 3);
        _undecided();
        eq(rewards.credit(DISPUTER), BOND + 3 - (BOND + 3 + 4) / 5, "a wei more than a fifth is lost");
        _postBacked(attest(posted.toEpoch, "next", 1));
        _undecided();
        uint256 backing = 2 * uint256(BOND + 3);
        eq(rewards.credit(BACKER), backing - (backing + 4) / 5, "by who backed a root as well");
    }

    function test_halfOfAnOddBondIsRoundedDown() public {
        _setBond(1, BOND + 1);
        _decided(FOR);
        eq(rewards.credit(address(timelock)), BOND / 2, "what is won");
    }

    function test_aVoidAttestationIsNeverAcceptedAgain() public {
        _decided(AGAINST);
        _refusedPost(posted, _bond(), abi.encodeWithSelector(IDisputes.DisputesRuledBefore.selector, nameOf(posted)));
        Attestation memory later = posted;
        later.deadline += DELAY;
        _postBacked(later);
        eq(rewards.pending(modelId, 1).digest, nameOf(later), "the same root under another deadline is");
    }

    function test_anUndecidedAttestationIsNeverAcceptedAgain() public {
        _undecided();
        _refusedPost(posted, _bond(), abi.encodeWithSelector(IDisputes.DisputesRuledBefore.selector, nameOf(posted)));
    }

    /// @dev 28: a dispute burns no pay, however long it takes.
    function test_noDisputeAgesABudgetAway() public {
        uint48 asOf = rewards.pending(modelId, 1).asOf;
        uint64 last = posted.toEpoch;
        uint256 due = emission.authorisable(modelId, 1, posted.fromEpoch, last, asOf);
        _undecided();
        eq(rewards.ageJudgedAt(modelId, 1), asOf, "judged as at the first posting");
        vm.warp(block.timestamp + 40 days);
        _refusedPost(
            attest(last, "more", due + 1),
            _bond(),
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, due + 1, due)
        );
        _postBacked(attest(last, "next", due));
        eq(rewards.pending(modelId, 1).asOf, asOf, "and so on");
        _activate();
        eq(rewards.rootAt(modelId, 1, 2).total, due, "all of it");
        eq(rewards.ageJudgedAt(modelId, 1), 0, "from then on by the deadline again");
    }

    /// @dev Who signs a root of nothing under a deadline far ahead ages no budget either.
    function test_aDeadlineFarAheadThatFailedDoesNotCount() public {
        _postLate(DELAY * 220_000, 0);
        _decided(AGAINST);
        Attestation memory a = attest(posted.toEpoch, "next", COMPUTE_BUDGET);
        _postBacked(a);
        eq(rewards.pending(modelId, 1).asOf, a.deadline, "the earlier one counts");
    }

    function test_theBondDoublesTenTimesAtMost() public {
        for (uint256 i = 0; i < 12; ++i) {
            uint8 level = uint8(i < 10 ? i : 10);
            eq(_level(), level, "level");
            eq(_bond(), uint256(BOND) << level, "bond");
            _undecided();
            _postBacked(attest(posted.toEpoch, bytes32(i + 1), 1));
        }
    }

    function test_theBondHalvesWithEachUndisputedActivation() public {
        _undecided();
        _postNext("b", 1);
        _undecided();
        _postNext("c", 1);
        eq(_level(), 2, "two in a row");
        _activate();
        eq(_level(), 2, "what was contested calms nothing");
        _postNext("d", 1);
        eq(_level(), 2, "nor does a posting");
        _rest();
        eq(_level(), 2, "nor time alone");
        _activate();
        eq(_level(), 1, "undisputed");
        _postNext("e", 1);
        _decided(FOR);
        eq(_level(), 2, "disputed again");
        _rest();
        _activate();
        eq(_level(), 2, "though it stood");
        for (uint256 i = 0; i < 4; ++i) {
            _postNext("f", 1);
            _rest();
            _activate();
        }
        eq(_level(), 0, "and never below");
    }

    /// @dev Whoever waits for the bond to fall before each dispute would hold pay up at the first price for ever.
    function test_theBondFallsNoFasterThanADisputeMayTake() public {
        _useShortEpochs();
        _undecided();
        uint256 rest = block.timestamp + WINDOW + LONGEST_VOTE;
        _postNext("b", 1);
        _activate();
        _postNext("c", 1);
        vm.warp(rest - 1);
        uint256 before = vm.snapshotState();
        vm.warp(rest);
        _activate();
        eq(_level(), 0, "as soon as it has rested");
        vm.revertToState(before);
        _activate();
        eq(_level(), 1, "a second too early");
        _postNext("d", 1);
        _activate();
        eq(_level(), 0, "not before the next");
        uint256 fell = block.timestamp;
        for (uint256 i = 0; i < 2; ++i) {
            _postNext("e", 1);
            _undecided();
        }
        eq(_level(), 2, "two in a row");
        yes(block.timestamp > fell, "later");
        _postNext("f", 1);
        _activate();
        _postNext("g", 1);
        _rest();
        _activate();
        eq(_level(), 1, "one level");
        _postNext("h", 1);
        _activate();
        eq(_level(), 1, "and no second at once");
    }

    /// @dev Cycles of a dispute, the root after it and one more: each costs twice what the one before did.
    function test_disputesAtAPaceDoubleToo() public {
        _useShortEpochs();
        for (uint256 i = 0; i < 4; ++i) {
            eq(_bond(), uint256(BOND) << i, "price of the cycle");
            _undecided();
            _postNext("b", 1);
            _activate();
            _postNext("c", 1);
            _activate();
            _postNext(bytes32(i + 1), 1);
        }
    }

    /// @dev Whoever adds up the events knows what every bond became.
    function test_aDisputesEndSaysWhoWonAndWhatIsLost() public {
        vm.recordLogs();
        _dispute();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            yes(logs[i].topics[0] != IDisputes.Credited.selector, "nothing is no credit");
        }
        _ballot(ALICE, FOR);
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        _settled(Outcome.Stands, true, BOND / 2, BOND - BOND / 2);
        _activate();

        _postNext("b", 1);
        _dispute();
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        uint256 bond = 2 * uint256(BOND);
        _settled(Outcome.Undecided, false, 0, (bond + 4) / 5);

        // The next one is backed by as much as its dispute costs, but for the level that the dispute itself adds.
        _postNext("c", 1);
        uint256 backed = rewards.backingOf(modelId, 1).amount;
        yes(backed > 1, "backed");
        _dispute();
        _ballot(ALICE, AGAINST);
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        _settled(Outcome.Void, true, backed / 2, backed - backed / 2);
    }

    function test_theHoldersMoveTheBondWithinBounds() public {
        _bondRefused(1, BOND / 16 - 1, BOND / 16, uint256(BOND) * 16);
        _bondRefused(1, BOND * 16 + 1, BOND / 16, uint256(BOND) * 16);
        uint256 before = vm.snapshotState();
        _setBond(1, BOND / 16);
        eq(_bond(), BOND / 16, "least");
        vm.revertToState(before);
        _setBond(1, BOND * 16);
        eq(_bond(), uint256(BOND) * 16, "most");
        vm.expectRevert(unauthorised(modelId, ALICE));
        vm.prank(ALICE);
        rewards.setBond(modelId, 2, BOND);
        vm.expectRevert(unauthorised(modelId, ALICE));
        vm.prank(ALICE);
        rewards.open(modelId, BOND);
    }

    /// @dev A coin may come to be worth a thousandth, or a thousand times as much.
    function test_theBondFollowsTheCoinStepByStep() public {
        _setBond(1, BOND * 16);
        vm.warp(block.timestamp + 30 days);
        _setBond(2, BOND * 256);
        eq(_bond(), uint256(BOND) * 256, "two steps");
        vm.warp(block.timestamp + 30 days);
        _setBond(3, BOND * 4_096);
        vm.warp(block.timestamp + 30 days);
        _setBond(4, BOND * 65_536);
        vm.warp(block.timestamp + 30 days);
        _setBond(5, BOND * 1_048_576);
        vm.warp(block.timestamp + 30 days);
        _bondRefused(6, 2 ** 80 + 1, BOND * 65_536, 2 ** 80);
        _setBond(6, 2 ** 80);
        _activate();
        for (uint256 i = 0; i < 11; ++i) {
            _postNext(bytes32(i + 1), 1);
            vm.deal(DISPUTER, 2 ** 91);
            vm.deal(BACKER, 2 ** 91);
            _undecided();
        }
        eq(_bond(), 2 ** 90, "doubled as often as may be");
    }

    function test_theBondMovesOnceIn30Days() public {
        _setBond(1, BOND * 2);
        uint256 from = block.timestamp + 30 days;
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesBondTooSoon.selector, from));
        _setBond(2, BOND);
        vm.warp(from);
        _setBond(2, BOND);
        BondTerms memory terms = rewards.bondTermsOf(modelId);
        eq(terms.base, BOND, "base");
        eq(terms.setAt, from, "since");
        eq(terms.version, 3, "number");
    }

    /// @dev Of two decisions about one bond the first holds.
    function test_aDecisionNamesTheBondThatItReplaces() public {
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesBondReplaced.selector, modelId, 2, 1));
        _setBond(2, BOND);
        _setBond(1, BOND);
        vm.warp(block.timestamp + 30 days);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesBondReplaced.selector, modelId, 1, 2));
        _setBond(1, BOND);
    }

    function test_anyoneWithdrawsForAnAccount() public {
        _decided(AGAINST);
        uint256 balance = DISPUTER.balance;
        vm.prank(ALICE);
        eq(rewards.withdraw(DISPUTER), BOND, "amount");
        eq(DISPUTER.balance, balance + BOND, "paid");
        vm.recordLogs();
        eq(rewards.withdraw(DISPUTER), 0, "once");
        eq(vm.getRecordedLogs().length, 0, "silent");
    }

    function test_whoWithdrawsAgainMeanwhileFindsNothing() public {
        Greedy greedy = new Greedy(rewards);
        vm.deal(address(this), BOND);
        greedy.dispute{value: BOND}(modelId, nameOf(posted));
        _ballot(ALICE, AGAINST);
        _settleVote();
        vm.deal(address(rewards), 10 ether);
        rewards.withdraw(address(greedy));
        eq(greedy.got(), BOND, "its own");
        eq(address(rewards).balance, 10 ether - BOND, "and no other's");
    }

    /// @dev Who takes no coins holds nobody up.
    function test_whoTakesNoCoinsHoldsNobodyUp() public {
        Proud proud = new Proud();
        vm.deal(address(this), BOND);
        proud.dispute{value: BOND}(rewards, modelId, nameOf(posted));
        _ballot(ALICE, AGAINST);
        _settleVote();
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        rewards.withdraw(address(proud));
        eq(rewards.credit(address(proud)), BOND, "still owed");
        _postNext("next", 1);
        _activate();
    }

    function test_coinsComeAsBondsAlone() public {
        vm.deal(address(this), 1 ether);
        (bool sent, ) = address(rewards).call{value: 1}("");
        yes(!sent, "no others");
    }

    function _activateNext() private {
        _postNext("next", 1);
        _activate();
    }

    /// @dev The next root, under a deadline so many seconds later than it need be.
    function _postLate(uint64 extra, uint256 total) private {
        _activate();
        uint64 epoch = posted.toEpoch + 1;
        afterEpoch(epoch);
        Attestation memory a = attest(epoch, "late", total);
        a.deadline += extra;
        _postBacked(a);
    }

    /// @dev A model with a root in its window, and many windows in the time of a vote.
    function _useShortEpochs() private {
        ModelConfig memory config = modelConfig();
        (config.epochLength, config.epochBudget) = (EPOCH / 8, BUDGET / 8);
        config.bootstrapMaxEpochs = uint32(EPOCHS_PER_YEAR * 8);
        useModel(registry.createModel(config, "short"));
        _postNext("root", 1);
    }

    /// @dev As long as the level rests.
    function _settled(Outcome outcome, bool voted, uint256 won, uint256 burned) private {
        bytes32 digest = nameOf(posted);
        vm.expectEmit(address(rewards));
        emit IDisputes.DisputeSettled(modelId, 1, digest, outcome, voted, won, burned);
        rewards.settleDispute(modelId, 1, digest);
    }

    function _rest() private {
        vm.warp(block.timestamp + WINDOW + LONGEST_VOTE);
    }

    function _postWith(Attestation memory a, uint256 value) private {
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.prank(BACKER);
        rewards.postRoot{value: value}(a, signatures);
        posted = a;
    }

    function _refusedPost(Attestation memory a, uint256 value, bytes memory reason) private {
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(reason);
        vm.prank(BACKER);
        rewards.postRoot{value: value}(a, signatures);
    }

    function _setBond(uint32 replaces, uint96 base) private {
        vm.prank(address(timelock));
        rewards.setBond(modelId, replaces, base);
    }

    function _bondRefused(uint32 replaces, uint96 base, uint256 minimum, uint256 maximum) private {
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesBondOutOfBounds.selector, base, minimum, maximum));
        _setBond(replaces, base);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {GovernorPreventLateQuorumUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorPreventLateQuorumUpgradeable.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {IComputeRewards, Leaf, PendingRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {Dispute, IDisputes, Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {IModelGovernor} from "../../contracts/interfaces/IModelGovernor.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {Court} from "./support/Court.sol";
import {Tree} from "./support/Tree.sol";

contract DisputesTest is Court {
    function test_aDisputeFreezesTheRootAndOpensAVote() public {
        PendingRoot memory before = rewards.pending(modelId, 1);
        uint256 id = _dispute();
        Dispute memory current = _state();
        eq(current.disputer, DISPUTER, "disputer");
        eq(current.bond, BOND, "bond");
        eq(current.proposalId, id, "vote");
        eq(current.openedAt, block.timestamp, "opened");
        eq(current.rulableUntil, 0, "no organiser");
        eq(current.endedAt, 0, "open");
        eq(current.activatableAt, before.activatableAt, "window");
        eq(current.outcome, Outcome.Open, "outcome");
        (bytes32 digest, uint48 voidedAt) = rewards.disputedOf(modelId, 1);
        eq(digest, nameOf(posted), "which");
        eq(voidedAt, 0, "no vote has voided one");
        eq(rewards.pending(modelId, 1).activatableAt, type(uint48).max, "frozen");
        eq(uint256(governor.state(current.proposalId)), uint256(IGovernor.ProposalState.Pending), "vote");
        eq(governor.proposalProposer(current.proposalId), address(rewards), "proposer");
        eq(address(rewards).balance, BOND, "coins");

        vm.warp(before.activatableAt + 100);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesOpen.selector, digest));
        rewards.activate(posted);
    }

    function test_aDisputeCostsTheBond() public {
        uint256[2] memory wrong = [uint256(0), BOND - 1];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesBondTooLow.selector, wrong[i], BOND));
            vm.prank(DISPUTER);
            rewards.dispute{value: wrong[i]}(modelId, 1, nameOf(posted), EVIDENCE);
        }
    }

    /// @dev Whoever has holders' decision about the bond executed first refuses nobody.
    function test_aBondThatFallsMeanwhileRefusesNoDispute() public {
        vm.prank(address(timelock));
        rewards.setBond(modelId, 1, BOND - 1);
        vm.expectEmit(address(rewards));
        emit IDisputes.Credited(DISPUTER, 1);
        vm.prank(DISPUTER);
        rewards.dispute{value: BOND}(modelId, 1, nameOf(posted), EVIDENCE);
        eq(_state().bond, BOND - 1, "the bond");
        eq(rewards.credit(DISPUTER), 1, "the rest is the sender's");
    }

    function test_aDisputeComesInsideTheWindow() public {
        uint48 due = rewards.pending(modelId, 1).activatableAt;
        vm.warp(due);
        _refused(abi.encodeWithSelector(IDisputes.DisputesWindowOver.selector, due));
        vm.warp(due - 1);
        _dispute();
    }

    function test_oneDisputeAtATime() public {
        _dispute();
        _refused(abi.encodeWithSelector(IDisputes.DisputesOpen.selector, nameOf(posted)));
    }

    function test_aDisputeNamesThePendingRoot() public {
        bytes32 digest = nameOf(posted);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesOtherAttestation.selector, bytes32("x"), digest));
        vm.prank(DISPUTER);
        rewards.dispute{value: BOND}(modelId, 1, "x", EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNothingPending.selector, modelId, 2));
        vm.prank(DISPUTER);
        rewards.dispute{value: BOND}(modelId, 2, digest, EVIDENCE);
        ModelId other = registry.createModel(modelConfig(), "other");
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNothingPending.selector, other, 1));
        vm.prank(DISPUTER);
        rewards.dispute{value: BOND}(other, 1, digest, EVIDENCE);
        _activate();
        _refused(abi.encodeWithSelector(IDisputes.DisputesNothingPending.selector, modelId, 1));
    }

    function test_activationNeedsWhatWasPosted() public {
        Attestation memory other = posted;
        other.root = "another";
        vm.warp(rewards.pending(modelId, 1).activatableAt);
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.DisputesOtherAttestation.selector, nameOf(other), nameOf(posted))
        );
        rewards.activate(other);
        rewards.activate(posted);
    }

    function test_aMajorityForTheRootLetsItStand() public {
        uint48 due = rewards.pending(modelId, 1).activatableAt;
        eq(_decided(FOR), Outcome.Stands, "outcome");
        eq(rewards.pending(modelId, 1).activatableAt, due, "as before");
        eq(_state().endedAt, block.timestamp, "ended");
        yes(_state().voted, "by a vote");
        eq(_state().disputer, DISPUTER, "disputer");
        eq(rewards.credit(DISPUTER), 0, "who lost loses all");
        eq(rewards.credit(address(timelock)), BOND / 2, "half to the model, where nobody backs it");
        yes(!_isDue(), "no bond for the next");
        rewards.activate(posted);
        eq(rewards.rootAt(modelId, 1, 2).root, "root", "it pays");
    }

    /// @dev A vote may be over before a window that is longer.
    function test_whatStoodIsNotDisputedAgain() public {
        ModelConfig memory config = modelConfig();
        config.window = 40;
        useModel(registry.createModel(config, "slow"));
        _mint(ALICE, 60e18);
        _postNext("root", 1);
        eq(_decided(FOR), Outcome.Stands, "outcome");
        yes(block.timestamp < rewards.pending(modelId, 1).activatableAt, "inside the window");
        _refused(abi.encodeWithSelector(IDisputes.DisputesRuledBefore.selector, nameOf(posted)));
    }

    function test_aMajorityAgainstTheRootVoidsIt() public {
        eq(_decided(AGAINST), Outcome.Void, "outcome");
        eq(rewards.pending(modelId, 1).index, 0, "none is pending");
        eq(rewards.credit(DISPUTER), BOND, "the bond goes back");
        yes(_state().voted, "by a vote");
        (bytes32 digest, uint48 voidedAt) = rewards.disputedOf(modelId, 1);
        eq(digest, bytes32(0), "none is disputed");
        eq(voidedAt, block.timestamp, "known to whoever has voided it");
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsNothingPending.selector, modelId, 1));
        rewards.activate(posted);
        yes(_isDue(), "the next bears a bond");
    }

    function test_aTieIsVoid() public {
        _dispute();
        vm.prank(ALICE);
        shares.transfer(BOB, 15e18);
        _ballot(ALICE, FOR);
        _ballot(BOB, AGAINST);
        eq(_settleVote(), Outcome.Void, "outcome");
    }

    function test_withoutAQuorumNothingIsDecided() public {
        vm.prank(CAROL);
        shares.transfer(BOB, 1);
        _dispute();
        _ballot(CAROL, AGAINST);
        eq(_settleVote(), Outcome.Undecided, "a wei below the quorum");
        eq(rewards.pending(modelId, 1).index, 0, "void, too");
        eq(rewards.credit(DISPUTER), (BOND * 4) / 5, "a fifth is lost");
        yes(!_state().voted, "by no vote");
        (, uint48 voidedAt) = rewards.disputedOf(modelId, 1);
        eq(voidedAt, 0, "nor voided");
    }

    /// @dev Where a quorum asks for nothing, since there are no shares, nobody decides all the same.
    function test_whereNobodyVotesNothingIsDecided() public {
        uint256 id = _disputeWithoutShares();
        vm.warp(governor.proposalDeadline(id) + 1);
        eq(governor.quorum(governor.proposalSnapshot(id)), 0, "no quorum is asked for");
        rewards.settleDispute(modelId, 1, nameOf(posted));
        eq(_state().outcome, Outcome.Undecided, "outcome");
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Defeated), "in the governor");
    }

    function test_aQuorumAgainstIsEnough() public {
        _dispute();
        _ballot(CAROL, AGAINST);
        eq(_settleVote(), Outcome.Void, "ten of a hundred");
    }

    function test_aQuorumForIsEnough() public {
        _dispute();
        _ballot(CAROL, FOR);
        eq(_settleVote(), Outcome.Stands, "ten of a hundred");
    }

    function test_whoAbstainsDecidesNothing() public {
        _dispute();
        _ballot(ALICE, ABSTAIN);
        _ballot(BOB, ABSTAIN);
        eq(_settleVote(), Outcome.Undecided, "outcome");
        eq(uint256(governor.state(_state().proposalId)), uint256(IGovernor.ProposalState.Defeated), "in the governor");
    }

    function test_bothSidesTogetherAreNoQuorum() public {
        vm.prank(CAROL);
        shares.transfer(ALICE, 4e18);
        vm.prank(BOB);
        shares.transfer(ALICE, 24e18);
        _dispute();
        _ballot(CAROL, FOR);
        _ballot(BOB, AGAINST);
        eq(_settleVote(), Outcome.Undecided, "six on either side");
    }

    function test_theGovernorSaysSucceededWhereTheRootStands() public {
        _decided(FOR);
        eq(uint256(governor.state(_state().proposalId)), uint256(IGovernor.ProposalState.Succeeded), "stands");
        _activate();
        _postNext("next", 1);
        _decided(AGAINST);
        eq(uint256(governor.state(_state().proposalId)), uint256(IGovernor.ProposalState.Defeated), "void");
    }

    function test_aLateQuorumAgainstExtendsTheVote() public {
        _dispute();
        uint256 id = _state().proposalId;
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, ALICE, AGAINST);
        eq(governor.proposalDeadline(id), deadline + 2, "extended");
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotDecided.selector, deadline + 2));
        rewards.settleDispute(modelId, 1, nameOf(posted));
        _castVote(id, BOB, FOR);
        eq(_settleVote(), Outcome.Void, "the others had time to answer");
    }

    /// @dev Who reaches the quorum early uses up no time that the others need to answer a vote of the last second.
    function test_aLeadThatChangesLateExtendsTheVote() public {
        uint256 id = _dispute();
        _ballot(CAROL, AGAINST);
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, BOB, FOR);
        eq(governor.proposalDeadline(id), deadline + 2, "extended");
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotDecided.selector, deadline + 2));
        rewards.settleDispute(modelId, 1, nameOf(posted));
        vm.warp(deadline + 2);
        _castVote(id, ALICE, AGAINST);
        eq(governor.proposalDeadline(id), deadline + 4, "again");
        eq(_settleVote(), Outcome.Void, "the others had time to answer");
    }

    /// @dev So that a vote ends, whoever would have it go on.
    function test_aLeadExtendsTheVoteTwiceAtMost() public {
        address dave = address(0xda5e);
        _mint(dave, 35e18);
        uint256 id = _dispute();
        _ballot(BOB, AGAINST);
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, ALICE, FOR);
        vm.warp(deadline + 2);
        _castVote(id, dave, AGAINST);
        vm.warp(deadline + 4);
        _castVote(id, CAROL, FOR);
        eq(governor.proposalDeadline(id), deadline + 4, "not a third time");
        eq(_settleVote(), Outcome.Stands, "seventy of a hundred and thirty-five");
    }

    function test_aLeadThatChangesEarlyExtendsNothing() public {
        address dave = address(0xda5e);
        (address eve, address frank) = (address(0xe7e), address(0xf7a));
        _mint(dave, 35e18);
        _mint(eve, 35e18);
        _mint(frank, 35e18);
        uint256 id = _dispute();
        _ballot(BOB, AGAINST);
        uint256 deadline = governor.proposalDeadline(id);
        _castVote(id, ALICE, FOR);
        eq(governor.proposalDeadline(id), deadline, "as before");
        // The last second at which all have that time anyway.
        vm.warp(deadline - 2);
        _castVote(id, dave, AGAINST);
        eq(governor.proposalDeadline(id), deadline, "still");
        vm.warp(deadline);
        _castVote(id, eve, FOR);
        vm.warp(deadline + 2);
        _castVote(id, frank, AGAINST);
        eq(governor.proposalDeadline(id), deadline + 4, "nor does it use an extension up");
    }

    /// @dev A lead is of a dispute that has its quorum.
    function test_aLeadWithoutAQuorumExtendsNothing() public {
        vm.prank(CAROL);
        shares.transfer(BOB, 1);
        uint256 id = _dispute();
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, CAROL, FOR);
        eq(governor.proposalDeadline(id), deadline, "as before");
    }

    function test_whoDrawsLevelOrLeadsOnExtendsNothing() public {
        vm.prank(ALICE);
        shares.transfer(address(0xda5e), 30e18);
        vm.prank(address(0xda5e));
        shares.delegate(address(0xda5e));
        uint256 id = _dispute();
        _ballot(BOB, AGAINST);
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, ALICE, FOR);
        eq(governor.proposalDeadline(id), deadline, "thirty of sixty");
        _castVote(id, CAROL, AGAINST);
        eq(governor.proposalDeadline(id), deadline, "who led before");
        _castVote(id, address(0xda5e), ABSTAIN);
        eq(governor.proposalDeadline(id), deadline, "nor who abstains");
    }

    function test_aLeadThatChangesLateIsTold() public {
        uint256 id = _dispute();
        _ballot(CAROL, AGAINST);
        uint64 deadline = uint64(governor.proposalDeadline(id));
        vm.warp(deadline);
        vm.expectEmit(address(governor));
        emit GovernorPreventLateQuorumUpgradeable.ProposalExtended(id, deadline + 2);
        _castVote(id, BOB, FOR);
    }

    function test_whoeverLeadsInOtherVotesExtendsNothing() public {
        uint256 id = _propose(ALICE);
        _vote(id, BOB, FOR);
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, ALICE, AGAINST);
        eq(governor.proposalDeadline(id), deadline, "as before");
    }

    function test_aLateAbstentionExtendsNothing() public {
        _dispute();
        uint256 id = _state().proposalId;
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, ALICE, ABSTAIN);
        eq(governor.proposalDeadline(id), deadline, "as before");
    }

    /// @dev Where a quorum asks for nothing, since there are no shares, whoever has none votes in vain.
    function test_aLateVoteOfNothingExtendsNothing() public {
        uint256 id = _disputeWithoutShares();
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        _castVote(id, ALICE, AGAINST);
        eq(governor.proposalDeadline(id), deadline, "as before");
    }

    /// @dev What others read of the governor is what is settled here.
    function test_theGovernorsQuorumOfADisputeIsTheDisputes() public {
        _dispute();
        _ballot(CAROL, FOR);
        eq(_settleVote(), Outcome.Stands, "ten of a hundred");
        eq(uint256(governor.state(_state().proposalId)), uint256(IGovernor.ProposalState.Succeeded), "stands");
        _activate();
        vm.prank(CAROL);
        shares.transfer(BOB, 1);
        _postNext("next", 1);
        _dispute();
        _ballot(CAROL, FOR);
        eq(_settleVote(), Outcome.Undecided, "a wei below the quorum");
        eq(uint256(governor.state(_state().proposalId)), uint256(IGovernor.ProposalState.Defeated), "void");
    }

    function test_nobodySettlesEarlyAndAnyoneAfter() public {
        _dispute();
        uint256 deadline = governor.proposalDeadline(_state().proposalId);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotDecided.selector, deadline));
        rewards.settleDispute(modelId, 1, nameOf(posted));
        vm.warp(deadline + 1);
        vm.prank(address(0x57a6e4));
        rewards.settleDispute(modelId, 1, nameOf(posted));
        eq(_state().endedAt, block.timestamp, "ended");
    }

    function test_settlingTwiceDoesNothing() public {
        _decided(AGAINST);
        bytes32 first = nameOf(posted);
        vm.recordLogs();
        rewards.settleDispute(modelId, 1, first);
        eq(vm.getRecordedLogs().length, 0, "silent");
        eq(rewards.credit(DISPUTER), BOND, "paid once");
        _postNext("next", 1);
        _dispute();
        rewards.settleDispute(modelId, 1, first);
        eq(_state().endedAt, 0, "an older one ends nothing");
    }

    function test_aDisputeIsOfItsModelAndKind() public {
        bytes32 digest = nameOf(posted);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesUnknown.selector, modelId, 1, digest));
        rewards.settleDispute(modelId, 1, digest);
        ModelId other = registry.createModel(modelConfig(), "other");
        _dispute();
        _ballot(ALICE, AGAINST);
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesUnknown.selector, other, 1, digest));
        rewards.settleDispute(other, 1, digest);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesUnknown.selector, modelId, 2, digest));
        rewards.settleDispute(modelId, 2, digest);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesUnknown.selector, modelId, 1, bytes32(0)));
        rewards.settleDispute(modelId, 1, 0);
        rewards.settleDispute(modelId, 1, digest);
    }

    /// @dev What the governor would carry out is harmless, and does what it says where nobody has done it.
    function test_theProposalOfADisputeCanBeExecuted() public {
        _dispute();
        _ballot(ALICE, FOR);
        targets = [address(rewards)];
        values = [uint256(0)];
        calls = [abi.encodeCall(rewards.settleDispute, (modelId, 1, nameOf(posted)))];
        text = _textOf(2);
        eq(governor.getProposalId(targets, values, calls, keccak256(bytes(text))), _state().proposalId, "its text");
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        _queue();
        vm.warp(governor.proposalEta(_state().proposalId));
        _execute();
        eq(_state().outcome, Outcome.Stands, "settled");
    }

    function test_nobodyProposesADisputeFirst() public {
        targets = [address(rewards)];
        values = [uint256(0)];
        calls = [abi.encodeCall(rewards.settleDispute, (modelId, 1, nameOf(posted)))];
        text = _textOf(2);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorRestrictedProposer.selector, ALICE));
        vm.prank(ALICE);
        governor.propose(targets, values, calls, text);
        uint256 id = governor.getProposalId(targets, values, calls, keccak256(bytes(text)));
        eq(_dispute(), id, "that is what a dispute opens");
    }

    function test_onlyTheRewardsOpenDisputes() public {
        vm.expectRevert(abi.encodeWithSelector(IModelGovernor.ModelGovernorOnlyRewards.selector, ALICE));
        vm.prank(ALICE);
        governor.openDispute("", "text");
        eq(governor.rewards(), address(rewards), "which are known");
    }

    function test_nobodyCancelsADispute() public {
        _dispute();
        targets = [address(rewards)];
        values = [uint256(0)];
        calls = [abi.encodeCall(rewards.settleDispute, (modelId, 1, nameOf(posted)))];
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, _state().proposalId, DISPUTER)
        );
        vm.prank(DISPUTER);
        governor.cancel(targets, values, calls, keccak256(bytes(_textOf(2))));
    }

    function test_otherProposalsCountTheirQuorumAsEver() public {
        vm.prank(CAROL);
        shares.transfer(BOB, 1);
        _plan(address(runs), abi.encodeCall(runs.setParams, (runId, 1, params())));
        uint256 id = _propose(ALICE);
        _vote(id, BOB, ABSTAIN);
        _castVote(id, CAROL, FOR);
        vm.warp(governor.proposalDeadline(id) + 1);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Succeeded), "abstentions count");
    }

    /// @dev 27.
    function test_activeRootsPayDuringADispute() public {
        _dispute();
        eq(rewards.claim(modelId, 1, ALICE, Leaf(1, 1, Tree.proof(_firstLeaves(), 0))), 1, "paid");
    }

    /// @dev A10.
    function test_whatARemovedSetPostedIsDisputed() public {
        address[] memory six = new address[](6);
        for (uint256 i = 0; i < 6; ++i) six[i] = vm.addr(keys[i]);
        vm.prank(address(timelock));
        validators.setValidators(modelId, 1, six, 5);
        eq(_decided(AGAINST), Outcome.Void, "outcome");
    }

    function test_whatTheHoldersSetMeanwhileChangesNoBond() public {
        _dispute();
        vm.prank(address(timelock));
        rewards.setBond(modelId, 1, BOND * 16);
        eq(_state().bond, BOND, "what was put up");
        _ballot(ALICE, AGAINST);
        _settleVote();
        eq(rewards.credit(DISPUTER), BOND, "comes back");
    }

    function test_theVoteKeepsTheSettingsOfItsOpening() public {
        targets = [address(governor), address(governor)];
        values = [uint256(0), 0];
        calls = [
            abi.encodeCall(governor.setVotingPeriod, (1)),
            abi.encodeCall(governor.updateQuorumNumerator, (2_000))
        ];
        text = "others";
        uint256 change = _propose(ALICE);
        _vote(change, ALICE, FOR);
        vm.warp(governor.proposalDeadline(change) + 1);
        _queue();
        _activate();
        _postNext("next", 1);
        _dispute();
        uint256 id = _state().proposalId;
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(governor.proposalSnapshot(id) + 1);
        _execute();
        eq(governor.votingPeriod(), 1, "carried out");
        eq(governor.proposalDeadline(id), deadline, "deadline");
        _castVote(id, CAROL, AGAINST);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotDecided.selector, deadline));
        rewards.settleDispute(modelId, 1, nameOf(posted));
        eq(_settleVote(), Outcome.Void, "the quorum of its snapshot");
    }

    function test_disputesSaySo() public {
        bytes32 digest = nameOf(posted);
        vm.expectEmit(address(rewards));
        emit IDisputes.RootDisputed(modelId, 1, digest, 2, DISPUTER, BOND, EVIDENCE, _idOf(2), 0);
        _dispute();
        _ballot(ALICE, AGAINST);
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        vm.expectEmit(address(rewards));
        emit IDisputes.Credited(DISPUTER, BOND);
        vm.expectEmit(address(rewards));
        emit IDisputes.DisputeSettled(modelId, 1, digest, Outcome.Void, true, 0, 0);
        rewards.settleDispute(modelId, 1, digest);
        vm.expectEmit(address(rewards));
        emit IDisputes.Withdrawn(DISPUTER, BOND);
        rewards.withdraw(DISPUTER);

        Attestation memory a = attest(posted.toEpoch, "next", 1);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        uint256 bond = 2 * uint256(BOND);
        vm.expectEmit(address(rewards));
        emit IDisputes.RootBacked(modelId, 1, nameOf(a), BACKER, bond);
        vm.prank(BACKER);
        rewards.postRoot{value: bond}(a, signatures);
        vm.expectEmit(address(rewards));
        emit IDisputes.BondSet(modelId, 2, BOND + 1);
        vm.prank(address(timelock));
        rewards.setBond(modelId, 1, BOND + 1);
    }

    function _textOf(uint64 index) private view returns (string memory) {
        return
            string.concat(
                "Does root ",
                _digits(index),
                " of kind 1 stand? Attestation ",
                _hex(abi.encode(nameOf(posted))),
                ", evidence ",
                _hex(abi.encode(EVIDENCE)),
                "#proposer=",
                _hex(abi.encodePacked(address(rewards)))
            );
    }

    function _idOf(uint64 index) private view returns (uint256) {
        address[] memory to = new address[](1);
        bytes[] memory what = new bytes[](1);
        (to[0], what[0]) = (address(rewards), abi.encodeCall(rewards.settleDispute, (modelId, 1, nameOf(posted))));
        return governor.getProposalId(to, new uint256[](1), what, keccak256(bytes(_textOf(index))));
    }

    function _digits(uint256 value) private pure returns (string memory) {
        return string(abi.encodePacked(bytes1(uint8(48 + value))));
    }

    function _hex(bytes memory data) private pure returns (string memory) {
        bytes memory digits = new bytes(2 * data.length);
        for (uint256 i = 0; i < digits.length; ++i) {
            digits[i] = bytes16("0123456789abcdef")[(uint8(data[i / 2]) >> (i % 2 == 0 ? 4 : 0)) & 15];
        }
        return string(bytes.concat("0x", digits));
    }

    function _refused(bytes memory reason) private {
        (bytes32 digest, uint256 bond) = (nameOf(posted), _bond());
        vm.expectRevert(reason);
        vm.prank(DISPUTER);
        rewards.dispute{value: bond}(modelId, 1, digest, EVIDENCE);
    }

    function _disputeWithoutShares() private returns (uint256) {
        ModelConfig memory config = modelConfig();
        config.bps = split(0, 1_000, 8_500, 500);
        (config.governor.quorumFloor, config.governor.proposalThreshold, config.bootstrapShares) = (0, 0, 0);
        useModel(registry.createModel(config, "empty"));
        _postNext("root", 0);
        return _dispute();
    }
}

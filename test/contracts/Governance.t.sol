// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {TimelockControllerUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IModelGovernor} from "../../contracts/interfaces/IModelGovernor.sol";
import {IModelTimelock} from "../../contracts/interfaces/IModelTimelock.sol";
import {Holders} from "./support/Holders.sol";

contract GovernanceTest is Holders {
    function test_holdersChangeARunsParameters() public {
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        _queue();
        vm.warp(governor.proposalEta(id));
        _execute();
        eq(runs.paramsOf(runId, 2).innerSteps, 128, "changed");
        eq(runs.versionAt(runId, uint48(block.timestamp)), 2, "in force");
    }

    function test_theScheduleOfTheLocalProfileHolds() public {
        uint256 proposed = block.timestamp;
        uint256 id = _propose(ALICE);
        eq(governor.proposalSnapshot(id), proposed + 1, "snapshot");
        eq(governor.proposalDeadline(id), proposed + 7, "deadline");
        _vote(id, ALICE, 1);
        vm.warp(proposed + 8);
        _queue();
        eq(governor.proposalEta(id), proposed + 11, "eta");
    }

    function test_nothingIsExecutedBeforeItsDelay() public {
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 1);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        _queue();
        vm.warp(governor.proposalDeadline(id) + 1);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        _execute();
        _queue();
        vm.warp(governor.proposalEta(id) - 1);
        vm.expectPartialRevert(TimelockControllerUpgradeable.TimelockUnexpectedOperationState.selector);
        _execute();
        eq(runs.runOf(runId).version, 1, "unchanged");
    }

    function test_withoutAQuorumNothingPasses() public {
        _mint(address(0xdead), 1_000e18);
        vm.warp(block.timestamp + 1);
        eq(governor.quorum(block.timestamp - 1), 110e18, "a tenth of all that was minted, delegated or not");
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 1);
        _vote(id, BOB, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Defeated), "90 of 110");
    }

    function test_theFloorStandsWhereTheFractionIsLess() public view {
        eq(governor.quorum(START - 1), 1e18, "no supply yet, yet a floor");
        eq(governor.quorum(block.timestamp - 1), 10e18, "a tenth of the supply");
        eq(governor.quorumDenominator(), 10_000, "basis points");
    }

    function test_votesAreThoseAtTheSnapshot() public {
        uint256 id = _propose(ALICE);
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(ALICE);
        shares.transfer(BOB, 60e18);
        _castVote(id, BOB, 0);
        _castVote(id, ALICE, 1);
        (uint256 against, uint256 inFavour, ) = governor.proposalVotes(id);
        eq(against, 30e18, "nothing by a transfer after the snapshot");
        eq(inFavour, 60e18, "nothing lost by it");
    }

    /// @dev Neither in the second that is looked at nor in that of the vote.
    function test_sharesBorrowedForATransactionDoNotVote() public {
        uint256 id = _propose(ALICE);
        vm.warp(governor.proposalSnapshot(id));
        address borrower = address(0xf1a5);
        vm.prank(borrower);
        shares.delegate(borrower);
        _lend(ALICE, borrower);
        _lend(borrower, ALICE);
        vm.warp(block.timestamp + 1);
        _lend(ALICE, borrower);
        _castVote(id, borrower, 1);
        _lend(borrower, ALICE);
        (, uint256 inFavour, ) = governor.proposalVotes(id);
        eq(inFavour, 0, "none");
    }

    function _lend(address from, address to) private {
        vm.prank(from);
        shares.transfer(to, 60e18);
    }

    function test_nobodyVotesTwice() public {
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 1);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorAlreadyCastVote.selector, ALICE));
        vm.prank(ALICE);
        governor.castVote(id, 1);
    }

    function test_aLateQuorumLengthensTheVote() public {
        _mint(address(0xdead), 500e18);
        vm.warp(block.timestamp + 1);
        uint256 id = _propose(CAROL);
        uint256 deadline = governor.proposalDeadline(id);
        _vote(id, CAROL, 1);
        vm.warp(deadline);
        _castVote(id, ALICE, 1);
        eq(governor.proposalDeadline(id), deadline + 2, "extended");
        vm.warp(deadline + 2);
        _castVote(id, BOB, 0);
    }

    function test_votesAreNeededToPropose() public {
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorInsufficientProposerVotes.selector, address(0xdead), 0, 1e18)
        );
        _propose(address(0xdead));
    }

    function test_aNamedProposerIsTheOnlyOneAndTheOnlyCanceller() public {
        text = string.concat("more steps #proposer=", Strings.toHexString(ALICE));
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorRestrictedProposer.selector, BOB));
        _propose(BOB);
        uint256 id = _propose(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, id, BOB));
        vm.prank(BOB);
        governor.cancel(targets, values, calls, keccak256(bytes(text)));
        vm.prank(ALICE);
        governor.cancel(targets, values, calls, keccak256(bytes(text)));
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Canceled), "cancelled");
    }

    function test_strangersCannotCancelInTheTimelock() public {
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        _queue();
        bytes32 operation = _operation();
        yes(timelock.isOperationPending(operation), "pending");
        bytes32 role = timelock.CANCELLER_ROLE();
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, BOB, role));
        vm.prank(BOB);
        timelock.cancel(operation);
    }

    function test_settingsChangeByProposalAlone() public {
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorOnlyExecutor.selector, ALICE));
        vm.prank(ALICE);
        governor.setVotingDelay(5);
        // Not by the timelock either, but for what the governor has it do: an empty queue is popped.
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x31));
        vm.prank(address(timelock));
        governor.setVotingDelay(5);
        _pass(address(governor), abi.encodeCall(governor.setVotingDelay, (5)));
        eq(governor.votingDelay(), 5, "delay");
        _pass(address(governor), abi.encodeCall(governor.setVotingPeriod, (9)));
        eq(governor.votingPeriod(), 9, "period");
        _pass(address(governor), abi.encodeCall(governor.setLateQuorumVoteExtension, (4)));
        eq(governor.lateQuorumVoteExtension(), 4, "extension");
        _pass(address(governor), abi.encodeCall(governor.updateQuorumNumerator, (2_000)));
        eq(governor.quorumNumerator(), 2_000, "quorum");
        _pass(address(governor), abi.encodeCall(governor.setProposalThreshold, (2e18)));
        eq(governor.proposalThreshold(), 2e18, "threshold");
        _pass(address(timelock), abi.encodeCall(timelock.updateDelay, (6)));
        eq(timelock.getMinDelay(), 6, "timelock");
    }

    function test_theLimitsThemselvesAreAllowed() public {
        _pass(address(governor), abi.encodeCall(governor.updateQuorumNumerator, (2_000)));
        eq(governor.quorumNumerator(), 2_000, "quorum");
        _pass(address(governor), abi.encodeCall(governor.updateQuorumNumerator, (1)));
        eq(governor.quorumNumerator(), 1, "quorum");
        _pass(address(timelock), abi.encodeCall(timelock.updateDelay, (1)));
        eq(timelock.getMinDelay(), 1, "timelock");
        _pass(address(timelock), abi.encodeCall(timelock.updateDelay, (30 days)));
        eq(timelock.getMinDelay(), 30 days, "timelock");
    }

    /// @dev A2.
    function test_settingsStayWithinTheLimits() public {
        _outOfBounds(abi.encodeCall(governor.setVotingDelay, (0)), 0, 1, 30 days);
        _outOfBounds(abi.encodeCall(governor.setVotingDelay, (30 days + 1)), 30 days + 1, 1, 30 days);
        _outOfBounds(abi.encodeCall(governor.setVotingPeriod, (0)), 0, 1, 30 days);
        _outOfBounds(abi.encodeCall(governor.setVotingPeriod, (30 days + 1)), 30 days + 1, 1, 30 days);
        _outOfBounds(abi.encodeCall(governor.setLateQuorumVoteExtension, (0)), 0, 1, 30 days);
        _outOfBounds(abi.encodeCall(governor.updateQuorumNumerator, (0)), 0, 1, 2_000);
        _outOfBounds(abi.encodeCall(governor.updateQuorumNumerator, (2_001)), 2_001, 1, 2_000);
    }

    /// @dev A2.
    function test_theTimelocksDelayStaysWithinTheLimits() public {
        uint256[2] memory delays = [uint256(0), 30 days + 1];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IModelTimelock.ModelTimelockDelayOutOfBounds.selector, delays[i], 1, 30 days)
            );
            vm.prank(address(timelock));
            timelock.updateDelay(delays[i]);
        }
        vm.expectRevert(
            abi.encodeWithSelector(TimelockControllerUpgradeable.TimelockUnauthorizedCaller.selector, ALICE)
        );
        vm.prank(ALICE);
        timelock.updateDelay(5);
    }

    function test_theTimelockCannotBeExchanged() public {
        vm.expectRevert(abi.encodeWithSelector(IModelGovernor.ModelGovernorTimelockFixed.selector));
        vm.prank(address(timelock));
        governor.updateTimelock(timelock);
    }

    function test_everyProposalWaitsInTheTimelock() public {
        uint256 id = _propose(ALICE);
        yes(governor.proposalNeedsQueuing(id), "queuing");
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Pending), "pending");
    }

    /// @dev Whatever the supply and its split, nothing passes without a quorum, and no one's weight counts twice.
    function testFuzz_executedMeansAQuorumInFavour(uint96 alice, uint96 bob, uint96 idle, uint8 ballots) public {
        _mint(ALICE, alice);
        _mint(BOB, bob);
        _mint(address(0xdead), idle);
        vm.warp(block.timestamp + 1);
        uint256 id = _propose(CAROL);
        if (ballots & 1 != 0) _vote(id, ALICE, ballots & 2 != 0 ? 1 : 0);
        if (ballots & 4 != 0) _vote(id, BOB, ballots & 8 != 0 ? 1 : 0);
        if (ballots & 16 != 0) _vote(id, CAROL, ballots & 32 != 0 ? 1 : 2);
        (uint256 against, uint256 inFavour, uint256 abstaining) = governor.proposalVotes(id);
        yes(against + inFavour + abstaining <= shares.totalSupply(), "one weight each");
        vm.warp(governor.proposalDeadline(id) + 1);
        bool enough = inFavour + abstaining >= governor.quorum(governor.proposalSnapshot(id));
        bool passes = enough && inFavour > against;
        eq(
            uint256(governor.state(id)),
            uint256(passes ? IGovernor.ProposalState.Succeeded : IGovernor.ProposalState.Defeated),
            "state"
        );
    }

    function _outOfBounds(bytes memory call, uint256 value, uint256 min, uint256 max) private {
        _ready(address(governor), call);
        vm.expectRevert(
            abi.encodeWithSelector(IModelGovernor.ModelGovernorSettingOutOfBounds.selector, value, min, max)
        );
        _execute();
    }
}

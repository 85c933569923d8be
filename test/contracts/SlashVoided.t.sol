// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {IStakeManager, Role} from "../../contracts/interfaces/IStakeManager.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {Court} from "./support/Court.sol";

/// @notice What holders decide on a root, as stake sees it.
contract SlashVoidedTest is Court {
    address private validator;

    function setUp() public override {
        super.setUp();
        validator = vm.addr(keys[0]);
        vm.deal(address(this), 100 ether);
        stakes.deposit{value: 10 ether}(modelId, Role.Validator, validator);
        // Who never was in a set.
        stakes.deposit{value: 10 ether}(modelId, Role.Validator, ALICE);
        vm.prank(ALICE);
        stakes.requestWithdrawal(modelId, Role.Validator, 10 ether);
    }

    function test_whoSignedARootThatHoldersVoidPaysATenth() public {
        eq(_decided(AGAINST), Outcome.Void, "void");
        eq(stakes.slashVoided(posted, signature(keys[0], digestOf(posted))), 1 ether, "a tenth");
        eq(stakes.activeOf(modelId, Role.Validator, validator), 9 ether, "the rest");
        eq(stakes.feesOf(DISPUTER), 0.05 ether, "a twentieth to who disputed it");
        eq(stakes.collectFees(payable(DISPUTER)), 0.05 ether, "paid");
    }

    /// @dev What the organiser refuses no vote has voided.
    function test_whoSignedARootThatTheOrganiserRefusedPaysNothing() public {
        useModel(registry.createModel(modelConfig(), "young"));
        stakes.deposit{value: 10 ether}(modelId, Role.Validator, validator);
        _postNext("root", 1);
        _dispute();
        _rule(false);
        eq(_state().outcome, Outcome.Undecided, "refused");
        _refused();
    }

    function test_whoSignedARootThatStandsOrThatNobodyDecidedPaysNothing() public {
        uint256 before = vm.snapshotState();
        eq(_decided(FOR), Outcome.Stands, "stands");
        _refused();
        vm.revertToState(before);
        eq(_undecided(), Outcome.Undecided, "undecided");
        _refused();
    }

    /// @dev Each vote would cost a tenth, and its winners nothing.
    function test_aRootThatIsVoidedAgainOnAnotherBlockCostsNoSecondTenth() public {
        Attestation memory first = posted;
        eq(_decided(AGAINST), Outcome.Void, "void");
        eq(stakes.slashVoided(first, signature(keys[0], digestOf(first))), 1 ether, "a tenth");
        Attestation memory again = attest(first.toEpoch, first.root, first.total);
        ++again.blockNumber;
        _postBacked(again);
        eq(_decided(AGAINST), Outcome.Void, "void again");
        bytes memory signed = signature(keys[0], digestOf(again));
        vm.expectPartialRevert(IStakeManager.StakeManagerPunished.selector);
        stakes.slashVoided(again, signed);
        eq(stakes.activeOf(modelId, Role.Validator, validator), 9 ether, "no more");
    }

    /// @dev 21: until the vote is over, and as long again as somebody may need to report.
    function test_noValidatorLeavesWhileHoldersDecide() public {
        vm.warp(rewards.pending(modelId, 1).activatableAt - 1);
        _dispute();
        _ballot(ALICE, AGAINST);
        bytes32 digest = nameOf(posted);
        vm.warp(stakes.leavesAt(modelId, Role.Validator, ALICE));
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerDisputed.selector, digest));
        vm.prank(ALICE);
        stakes.withdraw(modelId, Role.Validator, payable(ALICE));
        vm.warp(block.timestamp + 100);
        rewards.settleDispute(modelId, 1, digest);
        eq(_state().outcome, Outcome.Void, "void");
        uint256 until = block.timestamp + WINDOW + 1 + 6 + 2;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerDisputedLately.selector, uint48(until)));
        vm.prank(ALICE);
        stakes.withdraw(modelId, Role.Validator, payable(ALICE));
        vm.warp(until);
        vm.prank(ALICE);
        eq(stakes.withdraw(modelId, Role.Validator, payable(ALICE)), 10 ether, "paid");
    }

    function _refused() private {
        bytes memory signed = signature(keys[0], digestOf(posted));
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerNotVoided.selector, nameOf(posted)));
        stakes.slashVoided(posted, signed);
    }
}

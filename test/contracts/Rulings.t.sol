// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRunRegistry} from "../../contracts/interfaces/IRunRegistry.sol";
import {IStakeManager, Offence, ProposedRuling, RulingState} from "../../contracts/interfaces/IStakeManager.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Receipt, Ruling} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Stakes} from "./support/Stakes.sol";

/// @notice Validators rule on a worker's receipt; holders may veto it.
contract RulingsTest is Stakes {
    function setUp() public override {
        super.setUp();
        put(WORKER, worker, 100 ether);
    }

    function test_whatHoldersLetPassCostsATenth() public {
        Receipt memory r = receiptOf(1);
        Ruling memory ruling = rulingOn(r);
        uint48 vetoEnds = uint48(block.timestamp + VETO);
        (bytes memory signed, bytes memory signatures) = (signReceipt(WORKER_KEY, r), signRuling(ruling));
        vm.expectEmit(address(stakes));
        emit IStakeManager.RulingProposed(modelId, worker, ruling.subject, ruling, 10 ether, vetoEnds, REPORTER);
        vm.prank(REPORTER);
        eq(stakes.proposeRuling(ruling, r, signed, signatures), vetoEnds, "so long it can be vetoed");
        _stands(ruling.subject, RulingState.Proposed);
        ProposedRuling memory proposed = stakes.rulingOf(modelId, worker, ruling.subject);
        eq(proposed.reporter, REPORTER, "reporter");
        eq(proposed.amount, 10 ether, "amount");
        eq(proposed.vetoEnds, vetoEnds, "until");
        holds(WORKER, worker, 100 ether, 0);

        vm.warp(vetoEnds - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerVetoOpen.selector, vetoEnds));
        stakes.executeRuling(modelId, worker, ruling.subject);
        vm.warp(vetoEnds);
        expectSlash(WORKER, worker, Offence.Work, ruling.subject, 10 ether, REPORTER);
        eq(stakes.executeRuling(modelId, worker, ruling.subject), 10 ether, "by anybody");
        holds(WORKER, worker, 90 ether, 0);
        eq(stakes.feesOf(REPORTER), 0.5 ether, "a twentieth");
        _stands(ruling.subject, RulingState.Executed);
        _refuseExecution(ruling.subject, RulingState.Executed);
    }

    function test_holdersVetoARulingForEver() public {
        bytes32 subject = accuse(1);
        vm.expectRevert(unauthorised(modelId, ORGANISER));
        vm.prank(ORGANISER);
        stakes.vetoRuling(modelId, worker, subject);
        vm.warp(block.timestamp + VETO + 100);
        vm.expectEmit(address(stakes));
        emit IStakeManager.RulingVetoed(modelId, worker, subject);
        _veto(subject);
        _stands(subject, RulingState.Vetoed);
        _refuseExecution(subject, RulingState.Vetoed);
        (Receipt memory r, Ruling memory ruling) = _both(1);
        _refuse(ruling, r, abi.encodeWithSelector(IStakeManager.StakeManagerPunished.selector, worker, subject));
        holds(WORKER, worker, 100 ether, 0);
    }

    /// @dev A vote that begins when the ruling is noticed within the window.
    function test_aWholeVoteFitsIntoTheVeto() public {
        bytes32 subject = accuse(1);
        uint256 vetoEnds = block.timestamp + VETO;
        vm.warp(block.timestamp + WINDOW - 2);
        _plan(address(stakes), abi.encodeCall(stakes.vetoRuling, (modelId, worker, subject)));
        uint256 proposal = _propose(ALICE);
        vm.warp(governor.proposalDeadline(proposal));
        _castVote(proposal, ALICE, 1);
        vm.warp(governor.proposalDeadline(proposal) + 1);
        _queue();
        vm.warp(governor.proposalEta(proposal));
        _execute();
        yes(block.timestamp < vetoEnds, "in time");
        _stands(subject, RulingState.Vetoed);
    }

    /// @dev No revert: it would undo the rest of a proposal.
    function test_aVetoOfWhatIsDecidedChangesNothing() public {
        (bytes32 first, bytes32 second) = (accuse(1), accuse(2));
        _veto(first);
        vm.warp(block.timestamp + VETO);
        stakes.executeRuling(modelId, worker, second);
        vm.recordLogs();
        _veto(first);
        _veto(second);
        eq(vm.getRecordedLogs().length, 0, "without a word");
        _stands(first, RulingState.Vetoed);
        _stands(second, RulingState.Executed);
        eq(stakes.stakeOf(modelId, WORKER, worker).rulings, 0, "none is open");
        // Which was gone with its block before the vote on it ended.
        _veto("unknown");
        _stands("unknown", RulingState.None);
        _refuseExecution("unknown", RulingState.None);
    }

    /// @dev 21: whoever is accused leaves when that is decided.
    function test_nobodyLeavesWhileARulingIsOpen() public {
        request(WORKER, worker, 60 ether);
        (bytes32 first, bytes32 second) = (accuse(1), accuse(2));
        vm.warp(block.timestamp + LEAVE);
        refuseTake(WORKER, worker, abi.encodeWithSelector(IStakeManager.StakeManagerRulingsOpen.selector, 2));
        _veto(first);
        refuseTake(WORKER, worker, abi.encodeWithSelector(IStakeManager.StakeManagerRulingsOpen.selector, 1));
        stakes.executeRuling(modelId, worker, second);
        eq(take(WORKER, worker), 60 ether, "paid");
        holds(WORKER, worker, 31 ether, 0);
    }

    function test_whatLeavesIsTakenAsWell() public {
        request(WORKER, worker, 100 ether);
        bytes32 subject = accuse(1);
        vm.warp(block.timestamp + VETO);
        stakes.executeRuling(modelId, worker, subject);
        holds(WORKER, worker, 0, 90 ether);
    }

    /// @dev 22: of what there was when it was proposed, and of what there is.
    function test_aRulingTakesNoMoreThanWasRecorded() public {
        bytes32 subject = accuse(1);
        put(WORKER, worker, 900 ether);
        setTerms(1_000, 100, 5_000);
        vm.warp(block.timestamp + VETO);
        eq(stakes.executeRuling(modelId, worker, subject), 10 ether, "a tenth of what there was");
    }

    function test_rulingsTogetherTakeNoMoreThanThereIs() public {
        request(WORKER, worker, 100 ether);
        vm.warp(block.timestamp + LEAVE);
        take(WORKER, worker);
        put(WORKER, worker, 3);
        setTerms(1_000, 100, 5_000);
        bytes32[2] memory subjects = [accuse(1), accuse(2)];
        (Receipt memory r, Ruling memory ruling) = _both(3);
        _refuse(ruling, r, _nothing());
        vm.warp(block.timestamp + VETO);
        eq(stakes.executeRuling(modelId, worker, subjects[1]), 1, "what the first leaves");
        eq(stakes.executeRuling(modelId, worker, subjects[0]), 2, "half, rounded up");
        _areOpen(0, 0);
        holds(WORKER, worker, 0, 0);
    }

    /// @dev Ten receipts at once would else take all.
    function test_rulingsAtOnceTakeWhatTheyTakeOneByOne() public {
        bytes32[10] memory subjects;
        uint256 left = 100 ether;
        for (uint64 i = 0; i < 10; ++i) {
            subjects[i] = accuse(i);
            uint256 amount = stakes.rulingOf(modelId, worker, subjects[i]).amount;
            eq(amount, (left + 9) / 10, "a tenth of what the others leave");
            left -= amount;
        }
        _areOpen(10, 100 ether - left);
        vm.warp(block.timestamp + VETO);
        for (uint256 i = 10; i > 0; --i) stakes.executeRuling(modelId, worker, subjects[i - 1]);
        holds(WORKER, worker, left, 0);
        yes(left > 34 ether, "more than a third");
    }

    function test_whatIsVetoedIsNoLongerCounted() public {
        bytes32 first = accuse(1);
        _veto(first);
        _areOpen(0, 0);
        eq(stakes.rulingOf(modelId, worker, accuse(2)).amount, 10 ether, "a tenth of all");
    }

    // --- vetoed rulings ---------------------------------------------------------------------------------------------------

    /// @dev Each costs holders a whole vote, and holds the worker's stake meanwhile.
    function test_whoSignedARulingThatHoldersVetoPaysATenth() public {
        (, Ruling memory ruling) = _both(1);
        put(VALIDATOR, validator, 50 ether);
        bytes memory signed = signature(keys[0], digestOf(ruling));
        bytes memory refusal = abi.encodeWithSelector(
            IStakeManager.StakeManagerNotVetoed.selector,
            ProtocolHashes.hashRuling(ruling)
        );
        vm.expectRevert(refusal);
        stakes.slashVetoed(ruling, signed);
        bytes32 subject = accuse(1);
        vm.expectRevert(refusal);
        stakes.slashVetoed(ruling, signed);
        _veto(subject);
        expectSlash(VALIDATOR, validator, Offence.VetoedRuling, subject, 5 ether, REPORTER);
        vm.prank(REPORTER);
        eq(stakes.slashVetoed(ruling, signed), 5 ether, "a tenth");
        holds(VALIDATOR, validator, 45 ether, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerPunished.selector, validator, subject));
        stakes.slashVetoed(ruling, signed);
        // Each of those who signed.
        put(VALIDATOR, vm.addr(keys[1]), 10 ether);
        eq(stakes.slashVetoed(ruling, signature(keys[1], digestOf(ruling))), 1 ether, "a tenth of its own");
    }

    function test_aRulingThatWasNotVetoedCostsItsSignersNothing() public {
        put(VALIDATOR, validator, 50 ether);
        (, Ruling memory ruling) = _both(1);
        bytes memory signed = signature(keys[0], digestOf(ruling));
        bytes32 subject = accuse(1);
        vm.warp(block.timestamp + VETO);
        stakes.executeRuling(modelId, worker, subject);
        vm.expectPartialRevert(IStakeManager.StakeManagerNotVetoed.selector);
        stakes.slashVetoed(ruling, signed);
        // Nor does another ruling on a receipt of which one was vetoed.
        _veto(accuse(2));
        (, Ruling memory other) = _both(2);
        ++other.deadline;
        signed = signature(keys[0], digestOf(other));
        vm.expectPartialRevert(IStakeManager.StakeManagerNotVetoed.selector);
        stakes.slashVetoed(other, signed);
    }

    /// @dev 21: a veto may come as late as the timelock lets it.
    function test_whoSignedARulingIsStillThereWhenItIsVetoed() public {
        put(VALIDATOR, validator, 50 ether);
        request(VALIDATOR, validator, 50 ether);
        address[] memory others = new address[](6);
        for (uint256 i = 0; i < 6; ++i) others[i] = vm.addr(keys[i + 1]);
        vm.prank(address(timelock));
        validators.setValidators(modelId, 1, others, 5);
        vm.warp(block.timestamp + WINDOW - 1);
        (, Ruling memory ruling) = _both(1);
        bytes32 subject = accuse(1);
        uint48 vetoEnds = stakes.rulingOf(modelId, worker, subject).vetoEnds;
        yes(stakes.leavesAt(modelId, VALIDATOR, validator) > vetoEnds + EPOCH, "later than the veto");
        vm.warp(vetoEnds);
        _veto(subject);
        eq(stakes.slashVetoed(ruling, signature(keys[0], digestOf(ruling))), 5 ether, "a tenth of what leaves");
    }

    /// @dev There are no holders yet who could veto it, and the validators are the organiser's.
    function test_inBootstrapThereAreNoRulings() public {
        book.begin();
        (Receipt memory r, Ruling memory ruling) = _both(1);
        _refuse(ruling, r, abi.encodeWithSelector(IStakeManager.StakeManagerInBootstrap.selector, modelId));
    }

    // --- what is refused ------------------------------------------------------------------------------------------------

    function test_ofAReceiptThereIsOneRuling() public {
        bytes32 subject = accuse(1);
        (Receipt memory r, Ruling memory ruling) = _both(1);
        ruling.deadline += 5;
        _refuse(ruling, r, abi.encodeWithSelector(IStakeManager.StakeManagerPunished.selector, worker, subject));
        accuse(2);
    }

    function test_aRulingIsOnTheAccusedsWork() public {
        (Receipt memory r, Ruling memory ruling) = _both(1);
        ruling.kind = 1;
        _refuse(ruling, r, _bad("kind"));
        (r, ruling) = _both(1);
        ruling.outcome = 2;
        _refuse(ruling, r, _bad("outcome"));
        (r, ruling) = _both(1);
        ruling.dispute = 1;
        _refuse(ruling, r, _bad("dispute"));
        (r, ruling) = _both(1);
        r.steps = 1;
        _refuse(ruling, r, _bad("subject"));
        (r, ruling) = _both(1);
        ruling.accused = BOB;
        _refuse(ruling, r, _bad("accused"));
        (r, ruling) = _both(1);
        ruling.modelId = registry.createModel(modelConfig(), "twin");
        _refuse(ruling, r, _bad("modelId"));
        (r, ruling) = _both(1);
        r.runId = NO_RUN;
        ruling.subject = ProtocolHashes.hashReceipt(r);
        _refuse(ruling, r, abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
    }

    /// @dev No quorum can invent what a worker said.
    function test_theAccusedHasSignedTheReceipt() public {
        (Receipt memory r, Ruling memory ruling) = _both(1);
        (bytes memory forged, bytes memory signatures) = (signReceipt(keys[0], r), signRuling(ruling));
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerNotSigned.selector, worker, validator));
        stakes.proposeRuling(ruling, r, forged, signatures);
    }

    function test_aQuorumOfTheSetInForceHasSignedTheRuling() public {
        (Receipt memory r, Ruling memory ruling) = _both(1);
        bytes memory signed = signReceipt(WORKER_KEY, r);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 0, 5));
        stakes.proposeRuling(ruling, r, signed, "");
        bytes memory others = signedBy(quorum(), digestIn(runs.domainSeparator(), ProtocolHashes.hashRuling(ruling)));
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        stakes.proposeRuling(ruling, r, signed, others);
        ruling.setVersion = 2;
        _refuse(ruling, r, abi.encodeWithSelector(IStakeManager.StakeManagerStaleSet.selector, 2, 1));
    }

    function test_aRulingHasADeadline() public {
        (Receipt memory r, Ruling memory ruling) = _both(1);
        uint256 before = vm.snapshotState();
        vm.warp(ruling.deadline + 1);
        _refuse(ruling, r, abi.encodeWithSelector(IStakeManager.StakeManagerExpired.selector, ruling.deadline));
        vm.revertToState(before);
        vm.warp(ruling.deadline);
        (bytes memory signed, bytes memory signatures) = (signReceipt(WORKER_KEY, r), signRuling(ruling));
        stakes.proposeRuling(ruling, r, signed, signatures);
        _stands(ruling.subject, RulingState.Proposed);
    }

    function test_whereThereIsNothingToTakeThereIsNoRuling() public {
        setTerms(1_000, 100, 0);
        (Receipt memory r, Ruling memory ruling) = _both(1);
        _refuse(ruling, r, _nothing());
        setTerms(1_000, 100, 1);
        request(WORKER, worker, 100 ether);
        vm.warp(block.timestamp + LEAVE);
        take(WORKER, worker);
        (r, ruling) = _both(1);
        _refuse(ruling, r, _nothing());
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    function _both(uint64 round) private view returns (Receipt memory r, Ruling memory ruling) {
        r = receiptOf(round);
        ruling = rulingOn(r);
    }

    function _refuse(Ruling memory ruling, Receipt memory r, bytes memory reason) private {
        (bytes memory signed, bytes memory signatures) = (signReceipt(WORKER_KEY, r), signRuling(ruling));
        vm.expectRevert(reason);
        stakes.proposeRuling(ruling, r, signed, signatures);
    }

    function _areOpen(uint256 rulings, uint256 ruled) private view {
        eq(stakes.stakeOf(modelId, WORKER, worker).rulings, rulings, "open rulings");
        eq(stakes.stakeOf(modelId, WORKER, worker).ruled, ruled, "what they take");
    }

    function _nothing() private view returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerNothingToSlash.selector, modelId, WORKER, worker);
    }

    function _veto(bytes32 subject) private {
        vm.prank(address(timelock));
        stakes.vetoRuling(modelId, worker, subject);
    }

    function _refuseExecution(bytes32 subject, RulingState state) private {
        vm.expectRevert(_notOpen(subject, state));
        stakes.executeRuling(modelId, worker, subject);
    }

    function _stands(bytes32 subject, RulingState state) private view {
        yes(stakes.rulingOf(modelId, worker, subject).state == state, "how far it has come");
    }

    function _notOpen(bytes32 subject, RulingState state) private view returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerRulingNotOpen.selector, worker, subject, state);
    }

    function _bad(bytes32 field) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerBadRuling.selector, field);
    }
}

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
        vm.expectRevert(_notOpen("unknown", RulingState.None));
        _veto("unknown");
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
        holds(WORKER, worker, 30 ether, 0);
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
        bytes32[3] memory subjects = [accuse(1), accuse(2), accuse(3)];
        vm.warp(block.timestamp + VETO);
        eq(stakes.executeRuling(modelId, worker, subjects[0]), 2, "half, rounded up");
        eq(stakes.executeRuling(modelId, worker, subjects[1]), 1, "what there is");
        eq(stakes.executeRuling(modelId, worker, subjects[2]), 0, "nothing, but it is decided");
        eq(stakes.stakeOf(modelId, WORKER, worker).rulings, 0, "none is open");
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
        bytes memory refusal = abi.encodeWithSelector(
            IStakeManager.StakeManagerNothingToSlash.selector,
            modelId,
            WORKER,
            worker
        );
        setTerms(1_000, 100, 0);
        (Receipt memory r, Ruling memory ruling) = _both(1);
        _refuse(ruling, r, refusal);
        setTerms(1_000, 100, 1);
        request(WORKER, worker, 100 ether);
        vm.warp(block.timestamp + LEAVE);
        take(WORKER, worker);
        (r, ruling) = _both(1);
        _refuse(ruling, r, refusal);
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

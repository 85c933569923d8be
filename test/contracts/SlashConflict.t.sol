// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {Digest, HeadHash} from "../../contracts/interfaces/Ids.sol";
import {IRunRegistry} from "../../contracts/interfaces/IRunRegistry.sol";
import {IStakeManager, Offence} from "../../contracts/interfaces/IStakeManager.sol";
import {Attestation, Verdict} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Stakes} from "./support/Stakes.sol";

/// @notice What a validator signed twice, or signed falsely, costs it stake, once for each offence.
contract SlashConflictTest is Stakes {
    function setUp() public override {
        super.setUp();
        put(VALIDATOR, validator, 100 ether);
        put(WORKER, validator, 7 ether);
    }

    // --- verdicts -------------------------------------------------------------------------------------------------------

    function test_twoValuesForOneThingCostHalf() public {
        (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
        (b.round, b.evidence, b.issuedAt) = (4, Digest.wrap("other"), 2);
        request(VALIDATOR, validator, 70 ether);
        expectSlash(VALIDATOR, validator, Offence.Verdicts, subjectOf(a), 50 ether, REPORTER);
        eq(_report(a, b), 50 ether, "half of all, leaving or not");
        // What admits it first.
        holds(VALIDATOR, validator, 0, 50 ether);
        holds(WORKER, validator, 7 ether, 0);
        eq(stakes.feesOf(REPORTER), 2.5 ether, "a twentieth");
        eq(address(stakes).balance, 107 ether, "the rest stays here");
    }

    /// @dev EigenLayer's and others' slashers once took nothing of what had waited long enough.
    function test_whatHasWaitedIsSlashedAsWell() public {
        request(VALIDATOR, validator, 100 ether);
        vm.warp(block.timestamp + 10 * LEAVE);
        _report(verdictOf(1), verdictOf(2));
        holds(VALIDATOR, validator, 0, 50 ether);
    }

    function test_anOffenceIsPunishedOnce() public {
        _report(verdictOf(1), verdictOf(2));
        bytes memory refusal = _punished(subjectOf(verdictOf(1)));
        _refuse(verdictOf(1), verdictOf(2), refusal);
        _refuse(verdictOf(2), verdictOf(1), refusal);
        _refuse(verdictOf(3), verdictOf(1), refusal);
        Verdict memory a = verdictOf(1);
        Verdict memory b = verdictOf(2);
        (a.index, b.index) = (9, 9);
        eq(_report(a, b), 25 ether, "another is another");
    }

    function test_equalValuesAreHonest() public {
        Verdict memory again = verdictOf(1);
        (again.round, again.evidence, again.issuedAt) = (4, Digest.wrap("other"), 2);
        _refuse(verdictOf(1), again, _noConflict());
    }

    function test_valuesOfDifferentThingsAreHonest() public {
        for (uint256 i = 0; i < 6; ++i) {
            Verdict memory other = verdictOf(2);
            if (i == 0) other.runId = NO_RUN;
            if (i == 1) other.head = HeadHash.wrap("other");
            if (i == 2) other.validator = BOB;
            if (i == 3) other.kind = 5;
            if (i == 4) other.worker = BOB;
            if (i == 5) other.index = 9;
            _refuse(verdictOf(1), other, _noConflict());
        }
    }

    /// @dev Another machine or build measures another loss, and no pay depends on it.
    function test_measurementsMayDiffer() public {
        for (uint8 kind = 0; kind < 8; ++kind) {
            if (kind == 3 || kind == 5) continue;
            (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
            (a.kind, b.kind) = (kind, kind);
            _refuse(a, b, _noConflict());
        }
    }

    function test_whoConfirmsAndDeniesPaysAsWell() public {
        (Verdict memory a, Verdict memory b) = (verdictOf(0), verdictOf(1));
        (a.kind, b.kind) = (5, 5);
        eq(_report(a, b), 50 ether, "half");
    }

    /// @dev Else anybody could take anybody's stake.
    function test_bothMustBeSignedByTheValidator() public {
        (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
        bytes memory refusal = _notSigned(validator, worker);
        bytes memory own = signVerdict(keys[0], a);
        bytes memory forged = signVerdict(WORKER_KEY, b);
        vm.expectRevert(refusal);
        stakes.slashVerdicts(a, own, b, forged);
        vm.expectRevert(refusal);
        stakes.slashVerdicts(b, forged, a, own);
        // Under another contract's domain, or with its other form.
        own = signature(keys[0], digestIn(rewards.domainSeparator(), ProtocolHashes.hashVerdict(b)));
        bytes memory first = signVerdict(keys[0], a);
        vm.expectPartialRevert(IStakeManager.StakeManagerNotSigned.selector);
        stakes.slashVerdicts(a, first, b, own);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 1));
        stakes.slashVerdicts(a, first, b, hex"00");
        holds(VALIDATOR, validator, 100 ether, 0);
    }

    function test_aRunThatThereIsNotHasNoStake() public {
        (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
        (a.runId, b.runId) = (NO_RUN, NO_RUN);
        _refuse(a, b, abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
    }

    function test_whoHasNothingLosesNothing() public {
        (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
        (a.validator, b.validator) = (worker, worker);
        put(WORKER, worker, 5);
        (bytes memory x, bytes memory y) = (signVerdict(WORKER_KEY, a), signVerdict(WORKER_KEY, b));
        bytes memory refusal = abi.encodeWithSelector(
            IStakeManager.StakeManagerNothingToSlash.selector,
            modelId,
            VALIDATOR,
            worker
        );
        vm.expectRevert(refusal);
        stakes.slashVerdicts(a, x, b, y);
        // The offence is not forgotten.
        put(VALIDATOR, worker, 10);
        eq(stakes.slashVerdicts(a, x, b, y), 5, "half");
    }

    function test_anotherModelsStakeIsItsOwn() public {
        (address first, uint256 held) = (address(timelock), address(stakes).balance);
        useModel(registry.createModel(modelConfig(), "twin"));
        put(VALIDATOR, validator, 3 ether);
        yes(first != address(timelock), "another");
        _report(verdictOf(1), verdictOf(2));
        holds(VALIDATOR, validator, 3 ether, 0);
        eq(address(stakes).balance, held + 3 ether, "nothing moved");
    }

    /// @dev 22: never more than the cap, rounded up, or than there is; the fee rounded down.
    function testFuzz_aSlashIsTheCapRoundedUp(uint96 active, uint96 leaving, uint16 bps) public {
        active = uint96(bound(active, 1, 1e27));
        leaving = uint96(bound(leaving, 0, active));
        bps = uint16(bound(bps, 1_000, 10_000));
        setTerms(bps, 100, 0);
        (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
        (a.validator, b.validator) = (worker, worker);
        put(VALIDATOR, worker, active);
        if (leaving != 0) request(VALIDATOR, worker, leaving);
        (bytes memory x, bytes memory y) = (signVerdict(WORKER_KEY, a), signVerdict(WORKER_KEY, b));
        vm.prank(REPORTER);
        uint256 amount = stakes.slashVerdicts(a, x, b, y);
        yes(amount * 10_000 >= uint256(active) * bps, "not less");
        yes((amount - 1) * 10_000 < uint256(active) * bps, "not a wei more");
        yes(stakes.feesOf(REPORTER) * 20 <= amount, "the fee");
        yes((stakes.feesOf(REPORTER) + 1) * 20 > amount, "not a wei less");
        uint256 kept = active - leaving;
        holds(VALIDATOR, worker, amount < kept ? kept - amount : 0, amount < kept ? leaving : active - amount);
    }

    // --- attestations ---------------------------------------------------------------------------------------------------

    function test_twoRootsOfTheSameEpochsCostHalf() public {
        uint256 before = vm.snapshotState();
        for (uint256 i = 0; i < 4; ++i) {
            (Attestation memory a, Attestation memory b) = (attestation(), attestation());
            if (i == 0 || i == 3) b.root = "other";
            if (i == 1) b.total = 6;
            if (i == 3) b.epochDigest = Digest.wrap("other");
            if (i == 2) (b.root, b.total) = ("other", 6);
            expectSlash(VALIDATOR, validator, Offence.Attestations, subjectOf(a), 50 ether, REPORTER);
            eq(_report(a, b), 50 ether, "half");
            holds(VALIDATOR, validator, 50 ether, 0);
            _refuse(b, a, _punished(subjectOf(a)));
            vm.revertToState(before);
            before = vm.snapshotState();
        }
    }

    /// @dev They pay the same, to the wei: which losses were told may differ.
    function test_twoManifestsOfOneRootAreHonest() public {
        Attestation memory b = attestation();
        b.epochDigest = Digest.wrap("other");
        _refuse(attestation(), b, _noConflict());
    }

    /// @dev A new deadline after the old one passed, a new head or block after a reorg, another set.
    function test_attestationsOfDifferentThingsAreHonest() public {
        for (uint256 i = 0; i < 13; ++i) {
            Attestation memory b = attestation();
            b.root = "other";
            if (i == 0) b.kind = 2;
            if (i == 1) b.modelId = NO_MODEL;
            if (i == 2) b.index = 2;
            if (i == 3) b.fromEpoch = 2;
            if (i == 4) b.toEpoch = 2;
            if (i == 5) b.runId = NO_RUN;
            if (i == 6) b.head = HeadHash.wrap("other");
            if (i == 7) b.previousRoot = "other";
            if (i == 8) b.setVersion = 2;
            if (i == 9) b.deadline += DELAY;
            if (i == 10) b = attestation();
            if (i == 11) ++b.blockNumber;
            if (i == 12) b.blockHash = "other";
            _refuse(attestation(), b, _noConflict());
        }
    }

    function test_bothAttestationsMustBeOfOneKey() public {
        (Attestation memory a, Attestation memory b) = (attestation(), attestation());
        b.root = "other";
        bytes memory x = signature(keys[0], digestOf(a));
        bytes memory y = signature(keys[1], digestOf(b));
        vm.expectRevert(_notSigned(validator, vm.addr(keys[1])));
        stakes.slashAttestations(a, x, b, y);
        y = signature(keys[0], digestIn(runs.domainSeparator(), ProtocolHashes.hashAttestation(b)));
        vm.expectPartialRevert(IStakeManager.StakeManagerNotSigned.selector);
        stakes.slashAttestations(a, x, b, y);
    }

    // --- voided roots ---------------------------------------------------------------------------------------------------

    function test_aSignatureUnderAVoidedRootCostsATenth() public {
        Attestation memory a = attestation();
        bytes32 digest = ProtocolHashes.hashAttestation(a);
        book.rule(digest, Outcome.Void, ALICE);
        expectSlash(VALIDATOR, validator, Offence.VoidedRoot, contentOf(a), 10 ether, ALICE);
        eq(stakes.slashVoided(a, signature(keys[0], digestOf(a))), 10 ether, "a tenth");
        holds(VALIDATOR, validator, 90 ether, 0);
        eq(stakes.feesOf(ALICE), 0.5 ether, "to who disputed it");
        bytes memory signed = signature(keys[0], digestOf(a));
        vm.expectRevert(_punished(contentOf(a)));
        stakes.slashVoided(a, signed);
        // Each of those who signed.
        put(VALIDATOR, vm.addr(keys[1]), 50 ether);
        eq(stakes.slashVoided(a, signature(keys[1], digestOf(a))), 5 ether, "a tenth of its own");
    }

    /// @dev What holders void is a root; an honest validator signs it again when a block is gone or a deadline is over.
    function test_aRootSignedAgainIsNoSecondOffence() public {
        Attestation memory a = attestation();
        book.rule(ProtocolHashes.hashAttestation(a), Outcome.Void, ALICE);
        stakes.slashVoided(a, signature(keys[0], digestOf(a)));
        for (uint256 i = 0; i < 8; ++i) {
            Attestation memory b = attestation();
            if (i == 0) ++b.blockNumber;
            if (i == 1) b.blockHash = "other";
            if (i == 2) b.deadline += DELAY;
            if (i == 3) b.head = HeadHash.wrap("other");
            if (i == 4) b.runId = NO_RUN;
            if (i == 5) b.setVersion = 2;
            if (i == 6) b.epochDigest = Digest.wrap("other");
            if (i == 7) b.previousRoot = "other";
            book.rule(ProtocolHashes.hashAttestation(b), Outcome.Void, ALICE);
            bytes memory signed = signature(keys[0], digestOf(b));
            vm.expectRevert(_punished(contentOf(a)));
            stakes.slashVoided(b, signed);
        }
        holds(VALIDATOR, validator, 90 ether, 0);
    }

    function test_anotherRootIsAnotherOffence() public {
        uint256 left = 100 ether;
        for (uint256 i = 0; i < 7; ++i) {
            Attestation memory b = attestation();
            if (i == 1) b.root = "other";
            if (i == 2) b.total = 6;
            if (i == 3) b.index = 2;
            if (i == 4) b.fromEpoch = 0;
            if (i == 5) b.toEpoch = 2;
            if (i == 6) b.kind = 5;
            book.rule(ProtocolHashes.hashAttestation(b), Outcome.Void, ALICE);
            eq(stakes.slashVoided(b, signature(keys[0], digestOf(b))), left / 10, "a tenth of what there is");
            left -= left / 10;
        }
    }

    /// @dev In bootstrap the organiser is the court, disputes at once what it likes, and would have the fee.
    function test_whatACourtVoidsAloneCostsNothing() public {
        Attestation memory a = attestation();
        bytes32 digest = ProtocolHashes.hashAttestation(a);
        book.ruleAlone(digest, ORGANISER);
        bytes memory signed = signature(keys[0], digestOf(a));
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerNotVoided.selector, digest));
        stakes.slashVoided(a, signed);
    }

    function test_whatWasNotVoidedCostsNothing() public {
        Attestation memory a = attestation();
        bytes32 digest = ProtocolHashes.hashAttestation(a);
        bytes memory signed = signature(keys[0], digestOf(a));
        bytes memory refusal = abi.encodeWithSelector(IStakeManager.StakeManagerNotVoided.selector, digest);
        vm.expectRevert(refusal);
        stakes.slashVoided(a, signed);
        book.rule(digest, Outcome.Stands, ALICE);
        vm.expectRevert(refusal);
        stakes.slashVoided(a, signed);
        book.rule(digest, Outcome.Undecided, ALICE);
        vm.expectRevert(refusal);
        stakes.slashVoided(a, signed);
    }

    /// @dev Two proofs, two offences; neither costs what the other does.
    function test_holdersSetWhatEachCosts() public {
        setTerms(1_000, 200, 0);
        eq(_report(verdictOf(1), verdictOf(2)), 10 ether, "a conflict");
        Attestation memory a = attestation();
        book.rule(ProtocolHashes.hashAttestation(a), Outcome.Void, ALICE);
        eq(stakes.slashVoided(a, signature(keys[0], digestOf(a))), 1.8 ether, "a voided root");
    }

    // --- fees -----------------------------------------------------------------------------------------------------------

    function test_aReporterIsPaidOnce() public {
        _report(verdictOf(1), verdictOf(2));
        vm.expectEmit(address(stakes));
        emit IStakeManager.FeesCollected(REPORTER, 2.5 ether);
        vm.prank(BOB);
        eq(stakes.collectFees(payable(REPORTER)), 2.5 ether, "by anybody");
        eq(REPORTER.balance, 2.5 ether, "paid");
        eq(stakes.feesOf(REPORTER), 0, "nothing is left");
        vm.recordLogs();
        eq(stakes.collectFees(payable(REPORTER)), 0, "once");
        eq(vm.getRecordedLogs().length, 0, "without a word");
    }

    function test_aReporterThatRefusesCoinsLosesNothing() public {
        (Verdict memory a, Verdict memory b) = (verdictOf(1), verdictOf(2));
        (bytes memory x, bytes memory y) = (signVerdict(keys[0], a), signVerdict(keys[0], b));
        vm.prank(address(book));
        stakes.slashVerdicts(a, x, b, y);
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        stakes.collectFees(payable(address(book)));
        eq(stakes.feesOf(address(book)), 2.5 ether, "still there");
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    function _report(Verdict memory a, Verdict memory b) private returns (uint256) {
        (bytes memory x, bytes memory y) = (signVerdict(keys[0], a), signVerdict(keys[0], b));
        vm.prank(REPORTER);
        return stakes.slashVerdicts(a, x, b, y);
    }

    function _refuse(Verdict memory a, Verdict memory b, bytes memory reason) private {
        (bytes memory x, bytes memory y) = (signVerdict(keys[0], a), signVerdict(keys[0], b));
        vm.expectRevert(reason);
        stakes.slashVerdicts(a, x, b, y);
    }

    function _report(Attestation memory a, Attestation memory b) private returns (uint256) {
        (bytes memory x, bytes memory y) = (signature(keys[0], digestOf(a)), signature(keys[0], digestOf(b)));
        vm.prank(REPORTER);
        return stakes.slashAttestations(a, x, b, y);
    }

    function _refuse(Attestation memory a, Attestation memory b, bytes memory reason) private {
        (bytes memory x, bytes memory y) = (signature(keys[0], digestOf(a)), signature(keys[0], digestOf(b)));
        vm.expectRevert(reason);
        stakes.slashAttestations(a, x, b, y);
    }

    function _punished(bytes32 subject) private view returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerPunished.selector, validator, subject);
    }

    function _notSigned(address account, address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerNotSigned.selector, account, signer);
    }

    function _noConflict() private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerNoConflict.selector);
    }
}

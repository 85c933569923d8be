// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {IComputeRewards} from "../interfaces/IComputeRewards.sol";
import {Dispute, IDisputes, Outcome} from "../interfaces/IDisputes.sol";
import {Digest, ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IRunRegistry} from "../interfaces/IRunRegistry.sol";
import {
    IStakeManager,
    Offence,
    ProposedRuling,
    Role,
    RulingState,
    SlashTerms,
    Stake
} from "../interfaces/IStakeManager.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {COMPUTE, REVENUE} from "../interfaces/Kinds.sol";
import {Attestation, Receipt, Ruling, Verdict} from "../interfaces/Statements.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";
import {Votes} from "../libraries/Votes.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title StakeManager
/// @notice See IStakeManager. Coins that lie here are stakes, fees, and what was taken from offenders, which nobody gets.
contract StakeManager is IStakeManager, ModelAuthority {
    using SafeCast for uint256;

    /// @dev The reporter's part of what is taken.
    uint256 private constant FEE_BPS = 500;
    /// @dev Of Ruling.kind and Ruling.outcome: guilty of false work.
    uint8 private constant WORK = 3;
    uint8 private constant GUILTY = 1;
    /// @dev Of Verdict.kind: voices about what is paid. What a verdict of another kind says is a measurement, on which no pay depends.
    uint8 private constant AGGREGATE = 3;
    uint8 private constant CONFIRMATION = 5;

    IRunRegistry private immutable RUNS;
    IComputeRewards private immutable REWARDS;
    IValidatorSet private immutable VALIDATORS;
    IDisputes private immutable DISPUTES;

    mapping(ModelId modelId => mapping(Role role => mapping(address account => Stake))) private _stakes;
    /// @dev All zero until holders set them.
    mapping(ModelId modelId => SlashTerms) private _terms;
    mapping(bytes32 offence => bool) private _punished;
    mapping(ModelId modelId => mapping(address worker => mapping(bytes32 receiptHash => ProposedRuling)))
        private _rulings;

    /// @inheritdoc IStakeManager
    mapping(address account => uint256) public feesOf;

    /// @notice Knows these contracts, for ever.
    /// @param registry_ Knows every model's clock, governor and timelock.
    /// @param runs_ Verifying contract of verdicts and receipts.
    /// @param rewards_ Verifying contract of attestations.
    /// @param validators_ Knows who is a validator until when, and verifies rulings.
    /// @param disputes_ Knows which roots are disputed, and which were voided.
    constructor(
        IModelRegistry registry_,
        IRunRegistry runs_,
        IComputeRewards rewards_,
        IValidatorSet validators_,
        IDisputes disputes_
    ) ModelAuthority(registry_) {
        RUNS = runs_;
        REWARDS = rewards_;
        VALIDATORS = validators_;
        DISPUTES = disputes_;
    }

    /// @inheritdoc IStakeManager
    function deposit(ModelId modelId, Role role, address account) external payable {
        _scheduleOf(modelId);
        if (account == address(0)) revert StakeManagerZero("account");
        if (msg.value == 0) revert StakeManagerZero("amount");
        _stakes[modelId][role][account].active += msg.value.toUint96();
        emit StakeDeposited(modelId, role, account, msg.sender, msg.value);
    }

    /// @inheritdoc IStakeManager
    function setPayee(ModelId modelId, Role role, address payee) external {
        if (payee == address(0)) revert StakeManagerZero("payee");
        Stake storage stake = _stakes[modelId][role][msg.sender];
        if (stake.payee != address(0)) revert StakeManagerPayeeSet(stake.payee);
        stake.payee = payee;
        emit PayeeSet(modelId, role, msg.sender, payee);
    }

    /// @inheritdoc IStakeManager
    function requestWithdrawal(ModelId modelId, Role role, uint96 amount) external {
        Stake storage stake = _stakes[modelId][role][msg.sender];
        (uint96 active, uint96 leaving) = (stake.active, stake.leaving);
        if (amount == 0) revert StakeManagerZero("amount");
        if (amount > active) revert StakeManagerTooLittle(amount, active);
        leaving += amount;
        (stake.active, stake.leaving, stake.requestedAt) = (active - amount, leaving, uint48(block.timestamp));
        emit WithdrawalRequested(modelId, role, msg.sender, amount, leaving);
    }

    /// @inheritdoc IStakeManager
    function withdraw(ModelId modelId, Role role, address payable to) external returns (uint256 amount) {
        if (to == address(0)) revert StakeManagerZero("to");
        Stake storage stake = _stakes[modelId][role][msg.sender];
        amount = stake.leaving;
        if (amount == 0) revert StakeManagerNothingLeaving(modelId, role, msg.sender);
        address payee = stake.payee;
        if (payee != address(0) && to != payee) revert StakeManagerNotPayee(payee);
        if (stake.rulings != 0) revert StakeManagerRulingsOpen(stake.rulings);
        uint48 time = _leavesAt(modelId, role, msg.sender, stake.requestedAt);
        if (time == type(uint48).max) revert StakeManagerStillValidator(modelId, msg.sender);
        if (block.timestamp < time) revert StakeManagerTooEarly(time);
        // No dispute costs a worker anything.
        if (role == Role.Validator) {
            _requireUndisputed(modelId, COMPUTE);
            _requireUndisputed(modelId, REVENUE);
        }
        stake.leaving = 0;
        emit StakeWithdrawn(modelId, role, msg.sender, to, amount);
        Address.sendValue(to, amount);
    }

    /// @inheritdoc IStakeManager
    function slashVerdicts(
        Verdict calldata a,
        bytes calldata signatureA,
        Verdict calldata b,
        bytes calldata signatureB
    ) external returns (uint256 amount) {
        bytes32 subject = _subjectOf(a);
        if (a.kind != AGGREGATE && a.kind != CONFIRMATION) revert StakeManagerNoConflict();
        if (subject != _subjectOf(b) || a.value == b.value) revert StakeManagerNoConflict();
        bytes32 separator = RUNS.domainSeparator();
        _requireSigned(a.validator, separator, ProtocolHashes.hashVerdict(a), signatureA);
        _requireSigned(a.validator, separator, ProtocolHashes.hashVerdict(b), signatureB);
        ModelId modelId = RUNS.runOf(a.runId).modelId;
        return _punish(modelId, a.validator, Offence.Verdicts, subject, msg.sender);
    }

    /// @inheritdoc IStakeManager
    function slashAttestations(
        Attestation calldata a,
        bytes calldata signatureA,
        Attestation calldata b,
        bytes calldata signatureB
    ) external returns (uint256 amount) {
        bytes32 subject = _subjectOf(a);
        (bytes32 hashA, bytes32 hashB) = (ProtocolHashes.hashAttestation(a), ProtocolHashes.hashAttestation(b));
        // Two manifests of one root pay the same, to the wei.
        bool paysTheSame = a.root == b.root && a.total == b.total;
        if (subject != _subjectOf(b) || paysTheSame) revert StakeManagerNoConflict();
        bytes32 separator = REWARDS.domainSeparator();
        address signer = _signerOf(separator, hashA, signatureA);
        _requireSigned(signer, separator, hashB, signatureB);
        return _punish(a.modelId, signer, Offence.Attestations, subject, msg.sender);
    }

    /// @inheritdoc IStakeManager
    function slashVoided(Attestation calldata attestation, bytes calldata signature) external returns (uint256 amount) {
        bytes32 digest = ProtocolHashes.hashAttestation(attestation);
        Dispute memory dispute = DISPUTES.disputeOf(digest);
        // What was not decided proves nobody wrong, nor does what one court says alone.
        if (dispute.outcome != Outcome.Void || !dispute.voted) revert StakeManagerNotVoided(digest);
        address signer = _signerOf(REWARDS.domainSeparator(), digest, signature);
        return _punish(attestation.modelId, signer, Offence.VoidedRoot, _contentOf(attestation), dispute.disputer);
    }

    /// @inheritdoc IStakeManager
    function slashVetoed(Ruling calldata ruling, bytes calldata signature) external returns (uint256 amount) {
        bytes32 hash = ProtocolHashes.hashRuling(ruling);
        ProposedRuling storage proposed = _rulings[ruling.modelId][ruling.accused][ruling.subject];
        if (proposed.state != RulingState.Vetoed || proposed.hash != hash) revert StakeManagerNotVetoed(hash);
        address signer = _signerOf(VALIDATORS.domainSeparator(), hash, signature);
        return _punish(ruling.modelId, signer, Offence.VetoedRuling, ruling.subject, msg.sender);
    }

    /// @inheritdoc IStakeManager
    function proposeRuling(
        Ruling calldata ruling,
        Receipt calldata receipt,
        bytes calldata receiptSignature,
        bytes calldata signatures
    ) external returns (uint48 vetoEnds) {
        _requireOnWork(ruling, receipt);
        ModelId modelId = ruling.modelId;
        // There is nobody yet who could veto it.
        if (!IBootstrap(DISPUTES.bootstrap()).isOver(modelId)) revert StakeManagerInBootstrap(modelId);
        bytes32 receiptHash = ruling.subject;
        // Validators cannot rule on what the accused never said.
        _requireSigned(ruling.accused, RUNS.domainSeparator(), receiptHash, receiptSignature);
        _requireQuorum(ruling, signatures);

        ProposedRuling storage proposed = _rulings[modelId][ruling.accused][receiptHash];
        if (proposed.state != RulingState.None) revert StakeManagerPunished(ruling.accused, receiptHash);
        Stake storage stake = _stakes[modelId][Role.Worker][ruling.accused];
        // Of what the open ones leave: many together take as if one followed the other.
        uint256 amount = _part(_whole(stake) - stake.ruled, _termsOf(modelId).rulingBps);
        if (amount == 0) revert StakeManagerNothingToSlash(modelId, Role.Worker, ruling.accused);
        ++stake.rulings;
        stake.ruled += uint96(amount);
        vetoEnds = uint48(block.timestamp + Votes.veto(REGISTRY, modelId));
        (proposed.reporter, proposed.amount) = (msg.sender, uint96(amount));
        (proposed.vetoEnds, proposed.state) = (vetoEnds, RulingState.Proposed);
        proposed.hash = ProtocolHashes.hashRuling(ruling);
        emit RulingProposed(modelId, ruling.accused, receiptHash, ruling, amount, vetoEnds, msg.sender);
    }

    /// @inheritdoc IStakeManager
    function vetoRuling(ModelId modelId, address worker, bytes32 receiptHash) external onlyTimelock(modelId) {
        ProposedRuling storage proposed = _rulings[modelId][worker][receiptHash];
        // No revert: it would undo the rest of a proposal. A ruling may even be gone with the block that it was in.
        if (proposed.state != RulingState.Proposed) return;
        proposed.state = RulingState.Vetoed;
        _decide(_stakes[modelId][Role.Worker][worker], proposed.amount);
        emit RulingVetoed(modelId, worker, receiptHash);
    }

    /// @inheritdoc IStakeManager
    function executeRuling(ModelId modelId, address worker, bytes32 receiptHash) external returns (uint256 amount) {
        ProposedRuling storage proposed = _rulings[modelId][worker][receiptHash];
        RulingState state = proposed.state;
        if (state != RulingState.Proposed) revert StakeManagerRulingNotOpen(worker, receiptHash, state);
        uint48 vetoEnds = proposed.vetoEnds;
        if (block.timestamp < vetoEnds) revert StakeManagerVetoOpen(vetoEnds);
        proposed.state = RulingState.Executed;
        Stake storage stake = _stakes[modelId][Role.Worker][worker];
        // It is still there: nothing else takes from a worker, and none of it leaves while a ruling is open.
        amount = proposed.amount;
        _decide(stake, amount);
        _take(stake, modelId, Role.Worker, worker, Offence.Work, receiptHash, amount, proposed.reporter);
    }

    /// @inheritdoc IStakeManager
    function collectFees(address payable account) external returns (uint256 amount) {
        amount = feesOf[account];
        if (amount == 0) return 0;
        feesOf[account] = 0;
        emit FeesCollected(account, amount);
        Address.sendValue(account, amount);
    }

    /// @inheritdoc IStakeManager
    function setTerms(
        ModelId modelId,
        uint32 replaces,
        uint16 conflictBps,
        uint16 voidedBps,
        uint16 rulingBps
    ) external onlyTimelock(modelId) {
        uint32 latest = _terms[modelId].version;
        if (replaces != latest) revert StakeManagerTermsReplaced(modelId, replaces, latest);
        _requireWithin("conflictBps", conflictBps, 1_000, 10_000);
        _requireWithin("voidedBps", voidedBps, 100, 1_000);
        _requireWithin("rulingBps", rulingBps, 0, 5_000);
        SlashTerms memory terms = SlashTerms(conflictBps, voidedBps, rulingBps, latest + 1);
        _terms[modelId] = terms;
        emit SlashTermsSet(modelId, terms);
    }

    /// @inheritdoc IStakeManager
    function stakeOf(ModelId modelId, Role role, address account) external view returns (Stake memory) {
        return _stakes[modelId][role][account];
    }

    /// @inheritdoc IStakeManager
    function activeOf(ModelId modelId, Role role, address account) external view returns (uint256) {
        return _stakes[modelId][role][account].active;
    }

    /// @inheritdoc IStakeManager
    function leavesAt(ModelId modelId, Role role, address account) external view returns (uint48) {
        Stake storage stake = _stakes[modelId][role][account];
        return stake.leaving == 0 ? 0 : _leavesAt(modelId, role, account, stake.requestedAt);
    }

    /// @inheritdoc IStakeManager
    function withdrawalDelay(ModelId modelId, Role role) external view returns (uint256) {
        return _withdrawalDelay(modelId, role);
    }

    /// @inheritdoc IStakeManager
    function termsOf(ModelId modelId) external view returns (SlashTerms memory) {
        return _termsOf(modelId);
    }

    /// @inheritdoc IStakeManager
    function rulingOf(
        ModelId modelId,
        address worker,
        bytes32 receiptHash
    ) external view returns (ProposedRuling memory) {
        return _rulings[modelId][worker][receiptHash];
    }

    /// @inheritdoc IStakeManager
    function runs() external view returns (address) {
        return address(RUNS);
    }

    /// @inheritdoc IStakeManager
    function rewards() external view returns (address) {
        return address(REWARDS);
    }

    /// @inheritdoc IStakeManager
    function validators() external view returns (address) {
        return address(VALIDATORS);
    }

    /// @inheritdoc IStakeManager
    function disputes() external view returns (address) {
        return address(DISPUTES);
    }

    /// @dev Takes a validator's part for an offence that it was not punished for yet.
    function _punish(
        ModelId modelId,
        address account,
        Offence offence,
        bytes32 subject,
        address reporter
    ) private returns (uint256 amount) {
        bytes32 id = keccak256(abi.encode(modelId, account, offence, subject));
        if (_punished[id]) revert StakeManagerPunished(account, subject);
        _punished[id] = true;
        SlashTerms memory terms = _termsOf(modelId);
        Stake storage stake = _stakes[modelId][Role.Validator][account];
        bool conflicts = offence == Offence.Verdicts || offence == Offence.Attestations;
        amount = _part(_whole(stake), conflicts ? terms.conflictBps : terms.voidedBps);
        if (amount == 0) revert StakeManagerNothingToSlash(modelId, Role.Validator, account);
        _take(stake, modelId, Role.Validator, account, offence, subject, amount, reporter);
    }

    /// @dev A ruling against a worker is open no more.
    function _decide(Stake storage stake, uint256 amount) private {
        --stake.rulings;
        stake.ruled -= uint96(amount);
    }

    /// @dev From what admits the offender first.
    function _take(
        Stake storage stake,
        ModelId modelId,
        Role role,
        address account,
        Offence offence,
        bytes32 subject,
        uint256 amount,
        address reporter
    ) private {
        uint256 ofActive = Math.min(amount, stake.active);
        stake.active -= uint96(ofActive);
        stake.leaving -= uint96(amount - ofActive);
        uint256 fee = (amount * FEE_BPS) / Protocol.BPS;
        feesOf[reporter] += fee;
        emit StakeSlashed(modelId, role, account, offence, subject, amount, reporter, fee);
    }

    function _requireUndisputed(ModelId modelId, uint8 kind) private view {
        (bytes32 disputed, uint48 voidedAt) = DISPUTES.disputedOf(modelId, kind);
        if (disputed != 0) revert StakeManagerDisputed(disputed);
        // Nobody pays for a root that stands, or that nobody decided about.
        if (voidedAt == 0) return;
        // Time to punish who signed what was voided.
        uint256 until = voidedAt + _scheduleOf(modelId).window + Votes.length(REGISTRY, modelId);
        if (block.timestamp < until) revert StakeManagerDisputedLately(uint48(until));
    }

    function _requireOnWork(Ruling calldata ruling, Receipt calldata receipt) private view {
        if (ruling.kind != WORK) revert StakeManagerBadRuling("kind");
        if (ruling.outcome != GUILTY) revert StakeManagerBadRuling("outcome");
        if (ruling.dispute != 0) revert StakeManagerBadRuling("dispute");
        if (ruling.subject != ProtocolHashes.hashReceipt(receipt)) revert StakeManagerBadRuling("subject");
        if (ruling.accused != receipt.worker) revert StakeManagerBadRuling("accused");
        ModelId modelId = RUNS.runOf(receipt.runId).modelId;
        if (ModelId.unwrap(ruling.modelId) != ModelId.unwrap(modelId)) revert StakeManagerBadRuling("modelId");
    }

    function _requireQuorum(Ruling calldata ruling, bytes calldata signatures) private view {
        if (block.timestamp > ruling.deadline) revert StakeManagerExpired(ruling.deadline);
        uint32 version = VALIDATORS.currentVersion(ruling.modelId);
        if (ruling.setVersion != version) revert StakeManagerStaleSet(ruling.setVersion, version);
        bytes32 hash = ProtocolHashes.hashRuling(ruling);
        bytes32 digest = MessageHashUtils.toTypedDataHash(VALIDATORS.domainSeparator(), hash);
        VALIDATORS.requireQuorum(ruling.modelId, version, digest, signatures);
    }

    /// @dev A validator can be disputed for what it signed as long as a set with it was in force.
    function _leavesAt(ModelId modelId, Role role, address account, uint48 requestedAt) private view returns (uint48) {
        uint256 from = requestedAt;
        if (role == Role.Validator) {
            uint48 memberUntil = VALIDATORS.memberUntil(modelId, account);
            if (memberUntil == type(uint48).max) return memberUntil;
            from = Math.max(from, memberUntil);
        }
        return uint48(from + _withdrawalDelay(modelId, role));
    }

    /// @dev By the settings in force: those that make votes longer keep what is leaving longer. Of a validator a ruling that it has
    /// signed may be vetoed for as long as the timelock's delay after a vote.
    function _withdrawalDelay(ModelId modelId, Role role) private view returns (uint256) {
        Schedule memory schedule = _scheduleOf(modelId);
        uint256 decided =
            role == Role.Validator ? Votes.veto(REGISTRY, modelId) : schedule.window + Votes.length(REGISTRY, modelId);
        return decided + 2 * uint256(schedule.epochLength);
    }

    function _scheduleOf(ModelId modelId) private view returns (Schedule memory schedule) {
        schedule = REGISTRY.scheduleOf(modelId);
        if (schedule.start == 0) revert StakeManagerUnknownModel(modelId);
    }

    function _termsOf(ModelId modelId) private view returns (SlashTerms memory terms) {
        terms = _terms[modelId];
        if (terms.version == 0) terms = SlashTerms(5_000, 1_000, 1_000, 0);
    }

    function _whole(Stake storage stake) private view returns (uint256) {
        return uint256(stake.active) + stake.leaving;
    }

    /// @dev Rounds up: who has a wei has something to lose.
    function _part(uint256 amount, uint256 bps) private pure returns (uint256) {
        return Math.ceilDiv(amount * bps, Protocol.BPS);
    }

    /// @dev What two verdicts must have in common to contradict each other; the head has its round.
    function _subjectOf(Verdict calldata verdict) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(verdict.runId, verdict.head, verdict.validator, verdict.kind, verdict.worker, verdict.index)
            );
    }

    /// @dev What two attestations must have in common to contradict each other: all else.
    function _subjectOf(Attestation memory attestation) private pure returns (bytes32) {
        (attestation.root, attestation.total, attestation.epochDigest) = (0, 0, Digest.wrap(0));
        return ProtocolHashes.hashAttestation(attestation);
    }

    /// @dev What holders decided about: another block, head or deadline makes no other root.
    function _contentOf(Attestation calldata a) private pure returns (bytes32) {
        return keccak256(abi.encode(a.kind, a.modelId, a.index, a.fromEpoch, a.toEpoch, a.root, a.total));
    }

    function _requireSigned(
        address account,
        bytes32 separator,
        bytes32 structHash,
        bytes calldata signature
    ) private pure {
        address signer = _signerOf(separator, structHash, signature);
        if (signer != account) revert StakeManagerNotSigned(account, signer);
    }

    function _signerOf(bytes32 separator, bytes32 structHash, bytes calldata signature) private pure returns (address) {
        return ECDSA.recoverCalldata(MessageHashUtils.toTypedDataHash(separator, structHash), signature);
    }

    function _requireWithin(bytes32 term, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert StakeManagerTermOutOfBounds(term, value, min, max);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IDisputes} from "../../../contracts/interfaces/IDisputes.sol";
import {Digest, HeadHash} from "../../../contracts/interfaces/Ids.sol";
import {IStakeManager, Offence, Role, Stake} from "../../../contracts/interfaces/IStakeManager.sol";
import {Attestation, Receipt, Ruling, Verdict} from "../../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../../contracts/libraries/ProtocolHashes.sol";
import {StakeManager} from "../../../contracts/staking/StakeManager.sol";
import {DisputeBook} from "./DisputeBook.sol";
import {Holders} from "./Holders.sol";

/// @notice A model whose roots can be disputed, with workers and validators that put up stake.
abstract contract Stakes is Holders {
    Role internal constant WORKER = Role.Worker;
    Role internal constant VALIDATOR = Role.Validator;
    uint256 internal constant WORKER_KEY = 77;
    address internal constant REPORTER = address(0x4e9);
    address internal constant PAYEE = address(0xbea);
    /// @dev Delay, period and extension of a vote.
    uint256 internal constant VOTE = 1 + 6 + 2;
    /// @dev Window, vote and two epochs.
    uint256 internal constant LEAVE = WINDOW + VOTE + 2 * EPOCH;
    /// @dev A validator's, with the timelock's delay.
    uint256 internal constant RETIRE = LEAVE + 3;
    /// @dev Window, vote and timelock.
    uint256 internal constant VETO = WINDOW + VOTE + 3;

    DisputeBook internal book;
    address internal worker;
    address internal validator;

    function setUp() public virtual override {
        super.setUp();
        book = new DisputeBook();
        stakes = new StakeManager(registry, runs, rewards, validators, IDisputes(address(book)));
        (worker, validator) = (vm.addr(WORKER_KEY), vm.addr(keys[0]));
        vm.deal(address(this), 2 ** 128);
    }

    // --- stake ----------------------------------------------------------------------------------------------------------

    function put(Role role, address account, uint256 amount) internal {
        stakes.deposit{value: amount}(modelId, role, account);
    }

    function request(Role role, address account, uint96 amount) internal {
        vm.prank(account);
        stakes.requestWithdrawal(modelId, role, amount);
    }

    function take(Role role, address account) internal returns (uint256) {
        vm.prank(account);
        return stakes.withdraw(modelId, role, payable(PAYEE));
    }

    function refuseTake(Role role, address account, bytes memory reason) internal {
        vm.expectRevert(reason);
        vm.prank(account);
        stakes.withdraw(modelId, role, payable(PAYEE));
    }

    function holds(Role role, address account, uint256 active, uint256 leaving) internal view {
        Stake memory stake = stakes.stakeOf(modelId, role, account);
        eq(stake.active, active, "active");
        eq(stake.leaving, leaving, "leaving");
        eq(stakes.activeOf(modelId, role, account), active, "what admits it");
    }

    function setTerms(uint16 conflictBps, uint16 voidedBps, uint16 rulingBps) internal {
        uint32 latest = stakes.termsOf(modelId).version;
        vm.prank(address(timelock));
        stakes.setTerms(modelId, latest, conflictBps, voidedBps, rulingBps);
    }

    function expectSlash(
        Role role,
        address account,
        Offence offence,
        bytes32 subject,
        uint256 amount,
        address reporter
    ) internal {
        vm.expectEmit(address(stakes));
        emit IStakeManager.StakeSlashed(
            modelId,
            role,
            account,
            offence,
            subject,
            amount,
            reporter,
            (amount * 500) / 10_000
        );
    }

    // --- statements -----------------------------------------------------------------------------------------------------

    function verdictOf(uint64 value) internal view returns (Verdict memory v) {
        v.runId = runId;
        v.round = 3;
        v.head = HeadHash.wrap("head");
        v.validator = validator;
        v.kind = 3;
        v.index = 8;
        v.value = value;
        v.evidence = Digest.wrap("evidence");
        v.issuedAt = 1;
    }

    function signVerdict(uint256 key, Verdict memory v) internal view returns (bytes memory) {
        return signature(key, digestIn(runs.domainSeparator(), ProtocolHashes.hashVerdict(v)));
    }

    function subjectOf(Verdict memory v) internal pure returns (bytes32) {
        return keccak256(abi.encode(v.runId, v.head, v.validator, v.kind, v.worker, v.index));
    }

    function attestation() internal view returns (Attestation memory a) {
        a = attest(1, "root", 5);
    }

    function subjectOf(Attestation memory a) internal pure returns (bytes32) {
        Attestation memory b = abi.decode(abi.encode(a), (Attestation));
        (b.root, b.total, b.epochDigest) = (0, 0, Digest.wrap(0));
        return ProtocolHashes.hashAttestation(b);
    }

    /// @dev What a vote about an attestation decides on.
    function contentOf(Attestation memory a) internal pure returns (bytes32) {
        return keccak256(abi.encode(a.kind, a.modelId, a.index, a.fromEpoch, a.toEpoch, a.root, a.total));
    }

    function receiptOf(uint64 round) internal view returns (Receipt memory r) {
        r.runId = runId;
        r.round = round;
        r.worker = worker;
        r.beneficiary = ALICE;
        r.steps = 64;
    }

    function rulingOn(Receipt memory r) internal view returns (Ruling memory ruling) {
        ruling.modelId = modelId;
        ruling.kind = 3;
        ruling.subject = ProtocolHashes.hashReceipt(r);
        ruling.accused = r.worker;
        ruling.outcome = 1;
        ruling.evidence = Digest.wrap("evidence");
        ruling.setVersion = validators.currentVersion(modelId);
        ruling.deadline = uint64(block.timestamp + 60);
    }

    function signReceipt(uint256 key, Receipt memory r) internal view returns (bytes memory) {
        return signature(key, digestIn(runs.domainSeparator(), ProtocolHashes.hashReceipt(r)));
    }

    function signRuling(Ruling memory ruling) internal view returns (bytes memory) {
        return signedBy(quorum(), digestOf(ruling));
    }

    function digestOf(Ruling memory ruling) internal view returns (bytes32) {
        return digestIn(validators.domainSeparator(), ProtocolHashes.hashRuling(ruling));
    }

    /// @dev Proposes a ruling on the worker's receipt of a round.
    function accuse(uint64 round) internal returns (bytes32) {
        Receipt memory r = receiptOf(round);
        Ruling memory ruling = rulingOn(r);
        bytes memory signed = signReceipt(WORKER_KEY, r);
        bytes memory signatures = signRuling(ruling);
        vm.prank(REPORTER);
        stakes.proposeRuling(ruling, r, signed, signatures);
        return ruling.subject;
    }

    function digestIn(bytes32 separator, bytes32 structHash) internal pure returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(separator, structHash);
    }
}

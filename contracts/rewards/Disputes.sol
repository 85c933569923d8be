// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {ModelGovernor} from "../governance/ModelGovernor.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {ActiveRoot} from "../interfaces/IComputeRewards.sol";
import {Backing, BondTerms, Dispute, IDisputes, Outcome} from "../interfaces/IDisputes.sol";
import {Digest, ModelId} from "../interfaces/Ids.sol";
import {Votes} from "../libraries/Votes.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title Disputes
/// @notice See IDisputes. Base of what pays by roots: the coins that lie here are open bonds, credits, and what was burned.
abstract contract Disputes is IDisputes, ModelAuthority {
    /// @dev The root that was posted last. It is left in place when it becomes active or fails: overwriting is cheaper than
    /// clearing, and the next posting needs `asOf` of one that failed.
    struct Posted {
        bytes32 digest;
        uint32 toEpoch;
        /// FROZEN while it is disputed.
        uint48 activatableAt;
        uint48 asOf;
        /// Of the roots before it, too: when a dispute ended last, or the level fell, and when a vote voided one.
        uint48 restsSince;
        uint48 voidedAt;
    }

    /// @dev What is paid for one kind in one model. A root is pending while `posted` reaches beyond `toEpoch`; there can
    /// never be two.
    struct Pool {
        Posted posted;
        /// @dev What compute is paid in; known from the first activation on, which spares every claim a call to the registry.
        IERC20 token;
        uint32 index;
        uint32 toEpoch;
        /// @dev How often the bond is doubled.
        uint8 level;
        /// @dev Of the two below: since the last activation a root has failed, and one was disputed.
        bool failed;
        bool contested;
        mapping(uint256 index => ActiveRoot) roots;
        /// @dev By account, not by root: who claims from many roots at once writes one word for up to 256 of them.
        mapping(address account => mapping(uint256 word => uint256)) paid;
    }

    /// @dev Later than any time.
    uint48 internal constant FROZEN = type(uint48).max;

    uint8 private constant MAX_LEVEL = 10;

    /// @dev How far the holders may move the bond at once, and how long they wait then: whoever sees it move has time to leave.
    uint256 private constant BOND_FACTOR = 16;
    uint256 private constant BOND_REST = 30 days;

    /// @dev So that a bond fits its bits, doubled as often as may be.
    uint256 private constant MAX_BOND = 2 ** 80;

    /// @dev What either side loses of its bond where nothing was decided is one part of so many.
    uint256 private constant UNDECIDED_PARTS = 5;

    IBootstrap private immutable BOOTSTRAP;

    mapping(ModelId modelId => mapping(uint8 kind => Pool)) internal _pools;

    /// @dev By attestation, which says model and kind. The open one of a pool is about what was posted last.
    mapping(bytes32 digest => Dispute) private _disputes;
    mapping(ModelId modelId => mapping(uint8 kind => Backing)) private _backings;
    mapping(ModelId modelId => BondTerms) private _bonds;

    /// @inheritdoc IDisputes
    mapping(address account => uint256) public credit;

    /// @notice Knows who rules while there are no holders.
    /// @param bootstrap_ Says whether a model is in bootstrap.
    constructor(IBootstrap bootstrap_) {
        BOOTSTRAP = bootstrap_;
    }

    /// @inheritdoc IDisputes
    function open(ModelId modelId, uint96 bond) external onlyRegistry(modelId) {
        _bonds[modelId] = BondTerms({base: bond, setAt: 0, version: 1});
        emit BondSet(modelId, 1, bond);
    }

    /// @inheritdoc IDisputes
    function dispute(
        ModelId modelId,
        uint8 kind,
        bytes32 digest,
        Digest evidence
    ) external payable returns (uint256 proposalId) {
        Pool storage pool = _pools[modelId][kind];
        Posted memory posted = pool.posted;
        if (posted.toEpoch <= pool.toEpoch) revert DisputesNothingPending(modelId, kind);
        if (digest != posted.digest) revert DisputesOtherAttestation(digest, posted.digest);
        if (posted.activatableAt == FROZEN) revert DisputesOpen(digest);
        if (block.timestamp >= posted.activatableAt) revert DisputesWindowOver(posted.activatableAt);
        if (_disputes[digest].endedAt != 0) revert DisputesRuledBefore(digest);
        uint256 bond = _takeBond(modelId, pool);

        pool.posted.activatableAt = FROZEN;
        pool.contested = true;
        if (pool.level < MAX_LEVEL) ++pool.level;
        ModelGovernor governor = _governorOf(modelId);
        uint64 index = pool.index + 1;
        proposalId = governor.openDispute(
            abi.encodeCall(this.settleDispute, (modelId, kind, digest)),
            _text(index, kind, digest, evidence)
        );
        // Fixed now: what is opened in bootstrap is ruled as in bootstrap, and nothing else is.
        uint48 rulableUntil = BOOTSTRAP.endIfDue(modelId) ? 0 : uint48(governor.proposalDeadline(proposalId));
        _disputes[digest] = Dispute({
            disputer: msg.sender,
            bond: uint96(bond),
            proposalId: proposalId,
            openedAt: uint48(block.timestamp),
            rulableUntil: rulableUntil,
            endedAt: 0,
            activatableAt: posted.activatableAt,
            outcome: Outcome.Open,
            voted: false
        });
        emit RootDisputed(modelId, kind, digest, index, msg.sender, bond, evidence, proposalId, rulableUntil);
    }

    /// @inheritdoc IDisputes
    function settleDispute(ModelId modelId, uint8 kind, bytes32 digest) external {
        Dispute storage current = _disputes[digest];
        if (current.endedAt != 0) return;
        if (!_isOpen(modelId, kind, digest)) revert DisputesUnknown(modelId, kind, digest);
        ModelGovernor governor = _governorOf(modelId);
        uint256 proposalId = current.proposalId;
        uint256 until = governor.proposalDeadline(proposalId);
        if (block.timestamp <= until) revert DisputesNotDecided(until);
        Outcome outcome = _tallyOf(governor, proposalId);
        _settle(modelId, kind, digest, outcome, outcome != Outcome.Undecided);
    }

    /// @inheritdoc IDisputes
    function rule(ModelId modelId, uint8 kind, bytes32 digest, bool stands) external {
        if (msg.sender != REGISTRY.organiserOf(modelId)) revert DisputesNotCourt(msg.sender);
        Dispute memory current = _disputes[digest];
        if (!_isOpen(modelId, kind, digest) || block.timestamp > current.rulableUntil) {
            revert DisputesNotRulable(digest, current.rulableUntil);
        }
        if (!stands) {
            _settle(modelId, kind, digest, Outcome.Undecided, false);
            return;
        }
        // Where a window is longer than a vote the vote is over before it: its last quarter must do.
        uint256 lastQuarter = current.rulableUntil - (current.rulableUntil - current.openedAt) / 4;
        uint256 from = Math.min(current.activatableAt, lastQuarter);
        if (block.timestamp < from) revert DisputesRuledTooEarly(from);
        if (_tallyOf(_governorOf(modelId), current.proposalId) != Outcome.Undecided) {
            revert DisputesHoldersDecide(current.proposalId);
        }
        _settle(modelId, kind, digest, Outcome.Stands, false);
    }

    /// @inheritdoc IDisputes
    function withdraw(address account) external returns (uint256 amount) {
        amount = credit[account];
        if (amount == 0) return 0;
        credit[account] = 0;
        emit Withdrawn(account, amount);
        Address.sendValue(payable(account), amount);
    }

    /// @inheritdoc IDisputes
    function setBond(ModelId modelId, uint32 replaces, uint96 base) external onlyTimelock(modelId) {
        BondTerms memory terms = _bonds[modelId];
        if (replaces != terms.version) revert DisputesBondReplaced(modelId, replaces, terms.version);
        uint256 from = terms.setAt == 0 ? 0 : terms.setAt + BOND_REST;
        if (block.timestamp < from) revert DisputesBondTooSoon(from);
        uint256 minimum = Math.ceilDiv(terms.base, BOND_FACTOR);
        uint256 maximum = Math.min(terms.base * BOND_FACTOR, MAX_BOND);
        if (base < minimum || base > maximum) revert DisputesBondOutOfBounds(base, minimum, maximum);
        _bonds[modelId] = BondTerms({base: base, setAt: uint48(block.timestamp), version: replaces + 1});
        emit BondSet(modelId, replaces + 1, base);
    }

    /// @inheritdoc IDisputes
    function disputeOf(bytes32 digest) external view returns (Dispute memory) {
        return _disputes[digest];
    }

    /// @inheritdoc IDisputes
    function disputedOf(ModelId modelId, uint8 kind) external view returns (bytes32 digest, uint48 voidedAt) {
        Posted memory posted = _pools[modelId][kind].posted;
        return (_isOpen(modelId, kind, posted.digest) ? posted.digest : bytes32(0), posted.voidedAt);
    }

    /// @inheritdoc IDisputes
    function bondTermsOf(ModelId modelId) external view returns (BondTerms memory) {
        return _bonds[modelId];
    }

    /// @inheritdoc IDisputes
    function bondOf(ModelId modelId, uint8 kind) external view returns (uint256 bond, uint8 level, bool isDue) {
        Pool storage pool = _pools[modelId][kind];
        return (_bond(modelId, pool), pool.level, pool.failed);
    }

    /// @inheritdoc IDisputes
    function backingOf(ModelId modelId, uint8 kind) external view returns (Backing memory) {
        return _backings[modelId][kind];
    }

    /// @inheritdoc IDisputes
    function ageJudgedAt(ModelId modelId, uint8 kind) external view returns (uint48) {
        Pool storage pool = _pools[modelId][kind];
        return pool.failed ? pool.posted.asOf : 0;
    }

    /// @inheritdoc IDisputes
    function bootstrap() external view returns (address) {
        return address(BOOTSTRAP);
    }

    /// @dev Takes the bond of a root that follows one that failed, and answers when the age of its epochs is judged. The signers
    /// of one that failed may have named a deadline so late that nothing is left: the earlier one counts.
    function _back(
        ModelId modelId,
        uint8 kind,
        Pool storage pool,
        bytes32 digest,
        uint48 deadline
    ) internal returns (uint48 asOf) {
        if (!pool.failed) {
            _credit(msg.sender, msg.value);
            return deadline;
        }
        if (_disputes[digest].endedAt != 0) revert DisputesRuledBefore(digest);
        uint256 bond = _takeBond(modelId, pool);
        _backings[modelId][kind] = Backing({backer: msg.sender, amount: uint96(bond)});
        emit RootBacked(modelId, kind, digest, msg.sender, bond);
        return uint48(Math.min(deadline, pool.posted.asOf));
    }

    /// @dev A root becomes active: what it was posted with goes back, and a row of disputes is at its end. Who disputes again as soon
    /// as the bond has fallen would hold pay up at the first price for ever, so it falls no faster than a dispute may take.
    function _calm(ModelId modelId, uint8 kind, Pool storage pool) internal {
        if (pool.failed) {
            Backing memory backing = _backings[modelId][kind];
            delete _backings[modelId][kind];
            pool.failed = false;
            _credit(backing.backer, backing.amount);
        }
        if (pool.contested) {
            pool.contested = false;
            return;
        }
        if (pool.level == 0) return;
        uint256 rest = REGISTRY.scheduleOf(modelId).window + Votes.length(REGISTRY, modelId);
        if (block.timestamp < pool.posted.restsSince + rest) return;
        --pool.level;
        pool.posted.restsSince = uint48(block.timestamp);
    }

    /// @dev Refuses what is done in vain while the pending root is disputed.
    function _requireUndisputed(bytes32 digest, uint48 activatableAt) internal pure {
        if (activatableAt == FROZEN) revert DisputesOpen(digest);
    }

    function _settle(ModelId modelId, uint8 kind, bytes32 digest, Outcome outcome, bool voted) private {
        Pool storage pool = _pools[modelId][kind];
        Dispute memory current = _disputes[digest];
        Backing memory backing = _backings[modelId][kind];
        _end(digest, outcome, voted);
        pool.posted.restsSince = uint48(block.timestamp);

        uint256 won = 0;
        uint256 burned = 0;
        if (outcome == Outcome.Stands) {
            pool.posted.activatableAt = current.activatableAt;
            won = current.bond / 2;
            burned = current.bond - won;
            _credit(backing.backer == address(0) ? REGISTRY.timelockOf(modelId) : backing.backer, won);
        } else {
            pool.posted.toEpoch = 0;
            pool.failed = true;
            delete _backings[modelId][kind];
            if (outcome == Outcome.Void) {
                pool.posted.voidedAt = uint48(block.timestamp);
                won = backing.amount / 2;
                burned = backing.amount - won;
                _credit(current.disputer, current.bond + won);
            } else {
                uint256 lost = Math.ceilDiv(current.bond, UNDECIDED_PARTS);
                uint256 lostBacking = Math.ceilDiv(backing.amount, UNDECIDED_PARTS);
                burned = lost + lostBacking;
                _credit(current.disputer, current.bond - lost);
                _credit(backing.backer, backing.amount - lostBacking);
            }
        }
        emit DisputeSettled(modelId, kind, digest, outcome, voted, won, burned);
    }

    function _end(bytes32 digest, Outcome outcome, bool voted) private {
        Dispute storage current = _disputes[digest];
        (current.endedAt, current.outcome, current.voted) = (uint48(block.timestamp), outcome, voted);
    }

    /// @dev Takes the bond that is due. What came beyond it is the sender's.
    function _takeBond(ModelId modelId, Pool storage pool) private returns (uint256 due) {
        due = _bond(modelId, pool);
        if (msg.value < due) revert DisputesBondTooLow(msg.value, due);
        _credit(msg.sender, msg.value - due);
    }

    function _credit(address account, uint256 amount) private {
        if (amount == 0) return;
        credit[account] += amount;
        emit Credited(account, amount);
    }

    /// @dev Whether a dispute about an attestation is open, and of this model and kind.
    function _isOpen(ModelId modelId, uint8 kind, bytes32 digest) private view returns (bool) {
        Dispute storage current = _disputes[digest];
        if (current.disputer == address(0) || current.endedAt != 0) return false;
        return _pools[modelId][kind].posted.digest == digest;
    }

    /// @dev What the votes say so far. Where nobody voted nothing is decided, however few a quorum asks for; and before the vote has
    /// begun nobody can ask what its quorum is.
    function _tallyOf(ModelGovernor governor, uint256 proposalId) private view returns (Outcome) {
        (uint256 against, uint256 inFavour, ) = governor.proposalVotes(proposalId);
        uint256 most = Math.max(against, inFavour);
        if (most == 0 || most < governor.quorum(governor.proposalSnapshot(proposalId))) return Outcome.Undecided;
        return inFavour > against ? Outcome.Stands : Outcome.Void;
    }

    function _governorOf(ModelId modelId) private view returns (ModelGovernor) {
        return ModelGovernor(payable(REGISTRY.governorOf(modelId)));
    }

    function _bond(ModelId modelId, Pool storage pool) private view returns (uint256) {
        return uint256(_bonds[modelId].base) << pool.level;
    }

    /// @dev What holders read where they vote. Its end keeps everybody else from proposing the same first.
    function _text(uint64 index, uint8 kind, bytes32 digest, Digest evidence) private view returns (string memory) {
        return
            string.concat(
                "Does root ",
                Strings.toString(index),
                " of kind ",
                Strings.toString(kind),
                " stand? Attestation ",
                Strings.toHexString(uint256(digest), 32),
                ", evidence ",
                Strings.toHexString(uint256(Digest.unwrap(evidence)), 32),
                "#proposer=",
                Strings.toHexString(address(this))
            );
    }
}

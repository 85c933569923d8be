// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {ModelGovernor} from "../governance/ModelGovernor.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {ActiveRoot} from "../interfaces/IComputeRewards.sol";
import {Backing, Dispute, IDisputes, Outcome, Ruled} from "../interfaces/IDisputes.sol";
import {Digest, ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
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
    }

    /// @dev What is paid for one kind in one model. A root is pending while `posted` reaches beyond `toEpoch`; there can
    /// never be two.
    struct Pool {
        Posted posted;
        /// @dev What is paid in; known from the first activation on, which spares every claim a call to the registry.
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

    struct Bond {
        uint96 base;
        uint96 created;
    }

    /// @dev Later than any time.
    uint48 internal constant FROZEN = type(uint48).max;

    uint8 private constant MAX_LEVEL = 10;

    /// @dev How far the holders may move the bond from the first one.
    uint256 private constant BOND_FACTOR = 16;

    /// @dev What either side loses of its bond where nothing was decided is one part of so many.
    uint256 private constant UNDECIDED_PARTS = 5;

    IBootstrap private immutable BOOTSTRAP;

    mapping(ModelId modelId => mapping(uint8 kind => Pool)) internal _pools;

    mapping(ModelId modelId => mapping(uint8 kind => Dispute)) private _disputes;
    mapping(ModelId modelId => mapping(uint8 kind => Backing)) private _backings;
    mapping(ModelId modelId => Bond) private _bonds;
    mapping(bytes32 digest => Ruled) private _ruled;

    /// @inheritdoc IDisputes
    mapping(address account => uint256) public credit;

    /// @notice Knows who rules while there are no holders.
    /// @param bootstrap_ Says whether a model is in bootstrap.
    constructor(IBootstrap bootstrap_) {
        BOOTSTRAP = bootstrap_;
    }

    /// @inheritdoc IDisputes
    function open(ModelId modelId, uint96 bond) external onlyRegistry(modelId) {
        _bonds[modelId] = Bond({base: bond, created: bond});
        emit BondSet(modelId, bond);
    }

    /// @inheritdoc IDisputes
    function dispute(
        ModelId modelId,
        uint8 kind,
        bytes32 digest,
        Digest evidence
    ) external payable returns (uint32 number) {
        Pool storage pool = _pools[modelId][kind];
        Posted memory posted = pool.posted;
        number = _disputes[modelId][kind].number;
        if (posted.toEpoch <= pool.toEpoch) revert DisputesNothingPending(modelId, kind);
        if (digest != posted.digest) revert DisputesOtherAttestation(digest, posted.digest);
        if (posted.activatableAt == FROZEN) revert DisputesOpen(number);
        if (block.timestamp >= posted.activatableAt) revert DisputesWindowOver(posted.activatableAt);
        if (_ruled[digest].endedAt != 0) revert DisputesRuledBefore(digest);
        _requireValue(_bond(modelId, pool));

        ++number;
        pool.posted.activatableAt = FROZEN;
        pool.contested = true;
        if (pool.level < MAX_LEVEL) ++pool.level;
        ModelGovernor governor = ModelGovernor(payable(REGISTRY.governorOf(modelId)));
        uint64 index = pool.index + 1;
        uint256 proposalId = governor.openDispute(
            abi.encodeCall(this.settleDispute, (modelId, kind, number)),
            _text(index, kind, number, digest, evidence)
        );
        // Fixed now: what is opened in bootstrap is ruled as in bootstrap, and nothing else is.
        uint48 rulableUntil = BOOTSTRAP.isOver(modelId) ? 0 : uint48(governor.proposalDeadline(proposalId));
        _disputes[modelId][kind] = Dispute({
            disputer: msg.sender,
            bond: uint96(msg.value),
            proposalId: proposalId,
            digest: digest,
            openedAt: uint48(block.timestamp),
            rulableUntil: rulableUntil,
            endedAt: 0,
            activatableAt: posted.activatableAt,
            number: number,
            outcome: Outcome.Open
        });
        emit RootDisputed(
            modelId,
            kind,
            index,
            number,
            msg.sender,
            msg.value,
            digest,
            evidence,
            proposalId,
            rulableUntil
        );
    }

    /// @inheritdoc IDisputes
    function settleDispute(ModelId modelId, uint8 kind, uint32 number) external {
        Dispute storage current = _disputes[modelId][kind];
        uint32 newest_ = current.number;
        if (number == 0 || number > newest_) revert DisputesUnknown(number, newest_);
        if (number < newest_ || current.endedAt != 0) return;
        _settle(modelId, kind, current, _decisionOf(modelId, current.proposalId));
        _ruled[current.digest].voted = true;
    }

    /// @inheritdoc IDisputes
    function rule(ModelId modelId, uint8 kind, uint32 number, bool stands) external {
        if (msg.sender != REGISTRY.organiserOf(modelId)) revert DisputesNotCourt(msg.sender);
        Dispute storage current = _disputes[modelId][kind];
        bool isOpen = number == current.number && current.endedAt == 0;
        if (!isOpen || block.timestamp > current.rulableUntil) revert DisputesNotRulable(number, current.rulableUntil);
        _settle(modelId, kind, current, stands ? Outcome.Stands : Outcome.Void);
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
    function setBond(ModelId modelId, uint96 base) external onlyTimelock(modelId) {
        uint256 created = _bonds[modelId].created;
        (uint256 minimum, uint256 maximum) = (Math.ceilDiv(created, BOND_FACTOR), created * BOND_FACTOR);
        if (base < minimum || base > maximum) revert DisputesBondOutOfBounds(base, minimum, maximum);
        _bonds[modelId].base = base;
        emit BondSet(modelId, base);
    }

    /// @inheritdoc IDisputes
    function disputeOf(ModelId modelId, uint8 kind) external view returns (Dispute memory) {
        return _disputes[modelId][kind];
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
    function ruledOf(bytes32 digest) external view returns (Ruled memory) {
        return _ruled[digest];
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
            _requireValue(0);
            return deadline;
        }
        if (_ruled[digest].endedAt != 0) revert DisputesRuledBefore(digest);
        _requireValue(_bond(modelId, pool));
        _backings[modelId][kind] = Backing({backer: msg.sender, amount: uint96(msg.value)});
        emit RootBacked(modelId, kind, digest, msg.sender, msg.value);
        return uint48(Math.min(deadline, pool.posted.asOf));
    }

    /// @dev A root becomes active: what it was posted with goes back, and a row of disputes is at its end.
    function _calm(ModelId modelId, uint8 kind, Pool storage pool) internal {
        if (pool.failed) {
            Backing memory backing = _backings[modelId][kind];
            delete _backings[modelId][kind];
            pool.failed = false;
            _credit(backing.backer, backing.amount);
        }
        if (pool.contested) pool.contested = false;
        else if (pool.level != 0) --pool.level;
    }

    /// @dev Refuses what is done in vain while the pending root is disputed.
    function _requireUndisputed(ModelId modelId, uint8 kind, uint48 activatableAt) internal view {
        if (activatableAt == FROZEN) revert DisputesOpen(_disputes[modelId][kind].number);
    }

    function _settle(ModelId modelId, uint8 kind, Dispute storage current, Outcome outcome) private {
        Pool storage pool = _pools[modelId][kind];
        Backing memory backing = _backings[modelId][kind];
        (bytes32 digest, address disputer, uint256 bond) = (current.digest, current.disputer, current.bond);
        (current.endedAt, current.outcome) = (uint48(block.timestamp), outcome);
        _ruled[digest] = Ruled({endedAt: uint48(block.timestamp), outcome: outcome, disputer: disputer, voted: false});

        uint256 won = 0;
        uint256 burned = 0;
        if (outcome == Outcome.Stands) {
            pool.posted.activatableAt = current.activatableAt;
            won = bond / 2;
            burned = bond - won;
            _credit(backing.backer == address(0) ? REGISTRY.timelockOf(modelId) : backing.backer, won);
        } else {
            pool.posted.toEpoch = 0;
            pool.failed = true;
            delete _backings[modelId][kind];
            if (outcome == Outcome.Void) {
                won = backing.amount / 2;
                burned = backing.amount - won;
                _credit(disputer, bond + won);
            } else {
                uint256 lost = Math.ceilDiv(bond, UNDECIDED_PARTS);
                uint256 lostBacking = Math.ceilDiv(backing.amount, UNDECIDED_PARTS);
                burned = lost + lostBacking;
                _credit(disputer, bond - lost);
                _credit(backing.backer, backing.amount - lostBacking);
            }
        }
        emit DisputeSettled(modelId, kind, current.number, digest, outcome, won, burned);
    }

    function _credit(address account, uint256 amount) private {
        if (amount == 0) return;
        credit[account] += amount;
        emit Credited(account, amount);
    }

    /// @dev What the holders decided, once they have.
    function _decisionOf(ModelId modelId, uint256 proposalId) private view returns (Outcome) {
        ModelGovernor governor = ModelGovernor(payable(REGISTRY.governorOf(modelId)));
        uint256 until = governor.proposalDeadline(proposalId);
        if (block.timestamp <= until) revert DisputesNotDecided(until);
        (uint256 against, uint256 inFavour, ) = governor.proposalVotes(proposalId);
        if (Math.max(against, inFavour) < governor.quorum(governor.proposalSnapshot(proposalId))) {
            return Outcome.Undecided;
        }
        return inFavour > against ? Outcome.Stands : Outcome.Void;
    }

    function _bond(ModelId modelId, Pool storage pool) private view returns (uint256) {
        return uint256(_bonds[modelId].base) << pool.level;
    }

    function _requireValue(uint256 due) private view {
        if (msg.value != due) revert DisputesWrongBond(msg.value, due);
    }

    /// @dev What holders read where they vote. Its end keeps everybody else from proposing the same first.
    function _text(
        uint64 index,
        uint8 kind,
        uint32 number,
        bytes32 digest,
        Digest evidence
    ) private view returns (string memory) {
        return
            string.concat(
                "Does root ",
                Strings.toString(index),
                " of kind ",
                Strings.toString(kind),
                " stand? Dispute ",
                Strings.toString(number),
                " of attestation ",
                Strings.toHexString(uint256(digest), 32),
                ", evidence ",
                Strings.toHexString(uint256(Digest.unwrap(evidence)), 32),
                "#proposer=",
                Strings.toHexString(address(this))
            );
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Founder, FoundersConfig, GrantCaps, GrantState, ICodeGrants} from "../interfaces/ICodeGrants.sol";
import {Digest, ModelId} from "../interfaces/Ids.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {CODE} from "../interfaces/Kinds.sol";
import {Grant} from "../interfaces/Statements.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";
import {Votes} from "../libraries/Votes.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title CodeGrants
/// @notice See ICodeGrants. A model's shares that lie here are what its grants have not paid, due or not. Nothing here delegates
/// them, so they have no vote.
contract CodeGrants is ICodeGrants, ModelAuthority, EIP712 {
    using SafeERC20 for IERC20;

    uint256 private constant MAX_REPOSITORY = 256;
    uint256 private constant MAX_WAIT = 365 days;
    uint256 private constant MAX_DURATION = 3_650 days;
    /// @dev What founders hold votes from the day it is paid: by then workers must have earned theirs.
    uint256 private constant FOUNDERS_CLIFF = 365 days / 4;
    uint256 private constant FOUNDERS_DURATION = 365 days;

    /// @dev What maintainers have approved in one epoch.
    struct Approved {
        uint256 inAll;
        mapping(address author => uint256) byAuthor;
    }

    IEmission private immutable EMISSION;
    IValidatorSet private immutable VALIDATORS;

    mapping(ModelId modelId => mapping(bytes32 id => GrantState)) private _grants;
    mapping(ModelId modelId => GrantCaps) private _caps;
    mapping(ModelId modelId => mapping(uint256 epoch => Approved)) private _approved;
    /// @dev 0 for sets that are not voided, and for set 0, which stands for the holders.
    mapping(ModelId modelId => mapping(uint32 setVersion => uint48)) private _voidedAt;

    /// @notice Knows three contracts, for ever.
    /// @param registry_ Knows every model's shares, clock and timelock.
    /// @param emission_ Mints what a grant pays.
    /// @param validators_ Knows the maintainers and verifies their signatures.
    constructor(
        IModelRegistry registry_,
        IEmission emission_,
        IValidatorSet validators_
    ) ModelAuthority(registry_) EIP712(Protocol.NAME, Protocol.VERSION) {
        EMISSION = emission_;
        VALIDATORS = validators_;
    }

    /// @inheritdoc ICodeGrants
    function open(ModelId modelId, FoundersConfig calldata config) external onlyRegistry(modelId) {
        _requireWithin("duration", config.duration, FOUNDERS_DURATION, MAX_DURATION);
        _requireWithin("cliff", config.cliff, FOUNDERS_CLIFF, config.duration);
        for (uint256 i = 0; i < config.list.length; ++i) {
            Founder calldata founder = config.list[i];
            _requireWithin("author", uint160(founder.account), 1, type(uint160).max);
            _requireWithin("amount", founder.amount, 1, type(uint128).max);
            Grant memory grant;
            (grant.modelId, grant.author, grant.amount) = (modelId, founder.account, founder.amount);
            (grant.start, grant.cliff, grant.duration) = (uint64(block.timestamp), config.cliff, config.duration);
            grant.deadline = grant.start;
            _record(grant, "", block.timestamp);
        }
    }

    /// @inheritdoc ICodeGrants
    function approve(
        Grant calldata grant,
        string calldata repository,
        bytes calldata signatures
    ) external returns (bytes32 id) {
        ModelId modelId = grant.modelId;
        uint32 version = VALIDATORS.currentMaintainers(modelId);
        if (grant.setVersion != version) revert CodeGrantsStaleSet(grant.setVersion, version);
        // Else it would go on drawing budgets, all to be burned.
        if (_voidedAt[modelId][version] != 0) revert CodeGrantsVoidedSet(version, _voidedAt[modelId][version]);
        bytes32 digest = _hashTypedDataV4(ProtocolHashes.hashGrant(grant));
        VALIDATORS.requireMaintainers(modelId, version, digest, signatures);
        _count(modelId, grant.author, grant.amount);
        return _approve(grant, repository, block.timestamp + Votes.veto(REGISTRY, modelId));
    }

    /// @inheritdoc ICodeGrants
    function approveByVote(
        Grant calldata grant,
        string calldata repository
    ) external onlyTimelock(grant.modelId) returns (bytes32 id) {
        if (grant.setVersion != 0) revert CodeGrantsStaleSet(grant.setVersion, 0);
        return _approve(grant, repository, block.timestamp);
    }

    /// @inheritdoc ICodeGrants
    function claim(ModelId modelId, bytes32 id) external returns (uint256 amount) {
        GrantState storage grant = _existing(modelId, id);
        uint256 due = _due(modelId, grant, block.timestamp);
        amount = due - grant.claimed;
        if (amount == 0) return 0;
        grant.claimed = uint128(due);
        emit GrantClaimed(modelId, id, grant.author, amount);
        IERC20(REGISTRY.sharesOf(modelId)).safeTransfer(grant.author, amount);
    }

    /// @inheritdoc ICodeGrants
    function revoke(ModelId modelId, bytes32 id) external onlyTimelock(modelId) {
        _burn(modelId, _end(modelId, id, _existing(modelId, id)));
    }

    /// @inheritdoc ICodeGrants
    function voidSet(ModelId modelId, uint32 setVersion) external onlyTimelock(modelId) {
        // Refuses a set that there is not.
        VALIDATORS.maintainersOf(modelId, setVersion);
        // No revert: it would undo the rest of a proposal that voids several sets.
        if (_voidedAt[modelId][setVersion] != 0) return;
        _voidedAt[modelId][setVersion] = uint48(block.timestamp);
        emit GrantSetVoided(modelId, setVersion);
    }

    /// @inheritdoc ICodeGrants
    function burnVoided(ModelId modelId, bytes32[] calldata ids) external returns (uint256 burned) {
        for (uint256 i = 0; i < ids.length; ++i) {
            GrantState storage grant = _existing(modelId, ids[i]);
            if (_voidedAt[modelId][grant.setVersion] != 0) burned += _end(modelId, ids[i], grant);
        }
        _burn(modelId, burned);
    }

    /// @inheritdoc ICodeGrants
    function setCaps(
        ModelId modelId,
        uint32 replaces,
        uint128 perAuthor,
        uint128 perEpoch
    ) external onlyTimelock(modelId) {
        uint32 latest = _caps[modelId].version;
        if (replaces != latest) revert CodeGrantsCapsReplaced(modelId, replaces, latest);
        _caps[modelId] = GrantCaps(perAuthor, perEpoch, latest + 1);
        emit GrantCapsSet(modelId, perAuthor, perEpoch);
    }

    /// @inheritdoc ICodeGrants
    function grantOf(ModelId modelId, bytes32 id) external view returns (GrantState memory grant) {
        grant = _grants[modelId][id];
        uint256 voidedAt_ = _voidedAt[modelId][grant.setVersion];
        if (voidedAt_ == 0) return grant;
        uint256 due = _due(modelId, grant, voidedAt_);
        // As it will be once the rest is burned.
        if (due < grant.amount) (grant.amount, grant.revoked) = (uint128(due), true);
    }

    /// @inheritdoc ICodeGrants
    function dueAt(ModelId modelId, bytes32 id, uint48 time) external view returns (uint256) {
        return _due(modelId, _existing(modelId, id), time);
    }

    /// @inheritdoc ICodeGrants
    function voidedAt(ModelId modelId, uint32 setVersion) external view returns (uint48) {
        return _voidedAt[modelId][setVersion];
    }

    /// @inheritdoc ICodeGrants
    function unburned(ModelId modelId, bytes32 id) external view returns (uint256) {
        GrantState storage grant = _existing(modelId, id);
        if (_voidedAt[modelId][grant.setVersion] == 0) return 0;
        return grant.amount - _due(modelId, grant, block.timestamp);
    }

    /// @inheritdoc ICodeGrants
    function capsOf(ModelId modelId) external view returns (GrantCaps memory) {
        return _caps[modelId];
    }

    /// @inheritdoc ICodeGrants
    function approvedIn(
        ModelId modelId,
        uint64 epoch,
        address author
    ) external view returns (uint256 byAuthor, uint256 inAll) {
        Approved storage approved = _approved[modelId][epoch];
        return (approved.byAuthor[author], approved.inAll);
    }

    /// @inheritdoc ICodeGrants
    function grantIdOf(Grant calldata grant) external pure returns (bytes32) {
        return ProtocolHashes.grantId(grant);
    }

    /// @inheritdoc ICodeGrants
    function emission() external view returns (address) {
        return address(EMISSION);
    }

    /// @inheritdoc ICodeGrants
    function validators() external view returns (address) {
        return address(VALIDATORS);
    }

    /// @inheritdoc ICodeGrants
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _approve(Grant calldata grant, string calldata repository, uint256 vetoEnds) private returns (bytes32 id) {
        _requireTerms(grant, repository);
        id = _record(grant, repository, vetoEnds);
        EMISSION.draw(grant.modelId, CODE, grant.amount);
    }

    function _record(Grant memory grant, string memory repository, uint256 vetoEnds) private returns (bytes32 id) {
        ModelId modelId = grant.modelId;
        id = ProtocolHashes.grantId(grant);
        if (_grants[modelId][id].author != address(0)) revert CodeGrantsApproved(modelId, id);
        _grants[modelId][id] = GrantState({
            author: grant.author,
            start: uint48(grant.start),
            vetoEnds: uint48(vetoEnds),
            amount: grant.amount,
            claimed: 0,
            cliff: grant.cliff,
            duration: grant.duration,
            setVersion: grant.setVersion,
            revoked: false
        });
        emit GrantApproved(modelId, id, grant.author, grant, repository, uint48(vetoEnds));
    }

    /// @dev Counts what maintainers approve against the caps of the epoch.
    function _count(ModelId modelId, address author, uint256 amount) private {
        GrantCaps storage caps = _caps[modelId];
        Approved storage approved = _approved[modelId][Epochs.at(REGISTRY.scheduleOf(modelId), block.timestamp)];
        (uint256 byAuthor, uint256 inAll) = (approved.byAuthor[author], approved.inAll);
        // Caps may have been lowered below what was approved before.
        uint256 left = Math.saturatingSub(caps.perAuthor, byAuthor);
        if (amount > left) revert CodeGrantsAboveAuthorCap(author, amount, left);
        left = Math.saturatingSub(caps.perEpoch, inAll);
        if (amount > left) revert CodeGrantsAboveEpochCap(amount, left);
        (approved.byAuthor[author], approved.inAll) = (byAuthor + amount, inAll + amount);
    }

    function _requireTerms(Grant calldata grant, string calldata repository) private view {
        if (block.timestamp > grant.deadline) revert CodeGrantsExpired(grant.deadline);
        _requireWithin("author", uint160(grant.author), 1, type(uint160).max);
        _requireWithin("repository", bytes(repository).length, 1, MAX_REPOSITORY);
        Digest digest = Digest.wrap(sha256(bytes(repository)));
        if (Digest.unwrap(digest) != Digest.unwrap(grant.repository)) {
            revert CodeGrantsOtherRepository(digest, grant.repository);
        }
        _requireWithin("commit", uint256(grant.commit), 1, type(uint256).max);
        _requireWithin("amount", grant.amount, 1, type(uint128).max);
        // Shares that nobody ever gets would count in every quorum.
        _requireWithin("start", grant.start, 0, block.timestamp + MAX_WAIT);
        _requireWithin("duration", grant.duration, 0, MAX_DURATION);
        _requireWithin("cliff", grant.cliff, 0, grant.duration);
    }

    function _existing(ModelId modelId, bytes32 id) private view returns (GrantState storage grant) {
        grant = _grants[modelId][id];
        if (grant.author == address(0)) revert CodeGrantsUnknown(modelId, id);
    }

    /// @dev Leaves of a grant what is due, and answers what is to be burned: nothing where all is due or it was ended before. No
    /// revert then: it would undo the rest of a proposal or a call that ends several grants.
    function _end(ModelId modelId, bytes32 id, GrantState storage grant) private returns (uint256 burned) {
        uint256 due = _due(modelId, grant, block.timestamp);
        burned = grant.amount - due;
        if (burned == 0) return 0;
        (grant.amount, grant.revoked) = (uint128(due), true);
        emit GrantRevoked(modelId, id, grant.author, due, burned);
    }

    function _burn(ModelId modelId, uint256 amount) private {
        if (amount != 0) EMISSION.burn(modelId, CODE, amount);
    }

    /// @dev Rounds down: the last wei is due with the end. What a voided set approved stays as it was then.
    function _due(ModelId modelId, GrantState memory grant, uint256 time) private view returns (uint256) {
        if (grant.revoked) return grant.amount;
        uint256 voidedAt_ = _voidedAt[modelId][grant.setVersion];
        if (voidedAt_ != 0) time = Math.min(time, voidedAt_);
        if (time < grant.vetoEnds) return 0;
        uint256 passed = Math.saturatingSub(time, grant.start);
        if (time < grant.start || passed < grant.cliff) return 0;
        if (passed >= grant.duration) return grant.amount;
        return (uint256(grant.amount) * passed) / grant.duration;
    }

    function _requireWithin(bytes32 term, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert CodeGrantsTermOutOfBounds(term, value, min, max);
    }
}

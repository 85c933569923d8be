// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BootstrapTerms, IBootstrap} from "../interfaces/IBootstrap.sol";
import {Digest, ModelId, RunId} from "../interfaces/Ids.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IRunRegistry, RunConfig, Status} from "../interfaces/IRunRegistry.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {COMPUTE} from "../interfaces/Kinds.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";
import {ModelShares} from "../models/ModelShares.sol";
import {ModelGovernor} from "./ModelGovernor.sol";

/// @title Bootstrap
/// @notice See IBootstrap.
contract Bootstrap is IBootstrap, ModelAuthority {
    /// @dev How many quorums of the supply must be claimed: not all who claim vote.
    uint256 private constant QUORUMS = 2;

    IEmission private immutable EMISSION;
    address private immutable REWARDS;
    IRunRegistry private immutable RUNS;

    mapping(ModelId modelId => BootstrapTerms) private _terms;
    /// @dev From when on an organiser may do what it announced; 0 where it announced nothing.
    mapping(bytes32 act => uint48) private _readyAt;
    /// @dev What it announced of each kind: one act at a time.
    mapping(bytes32 place => bytes32 act) private _standing;

    /// @notice Knows four contracts, for ever.
    /// @param registry_ Knows every model's shares and clock.
    /// @param emission_ Says what was minted.
    /// @param rewards_ Where workers claim.
    /// @param runs_ Where runs are.
    constructor(
        IModelRegistry registry_,
        IEmission emission_,
        address rewards_,
        IRunRegistry runs_
    ) ModelAuthority(registry_) {
        EMISSION = emission_;
        REWARDS = rewards_;
        RUNS = runs_;
    }

    modifier onlyOrganiser(ModelId modelId) {
        if (msg.sender != REGISTRY.organiserOf(modelId)) revert BootstrapNotOrganiser(modelId, msg.sender);
        _;
    }

    /// @inheritdoc IBootstrap
    function open(ModelId modelId, uint128 shares, uint32 epochs, uint32 maxEpochs) external onlyRegistry(modelId) {
        _terms[modelId] = BootstrapTerms({shares: shares, epochs: epochs, maxEpochs: maxEpochs, endedAt: 0});
        emit BootstrapOpened(modelId, shares, epochs, maxEpochs);
    }

    /// @inheritdoc IBootstrap
    function end(ModelId modelId) external {
        if (endIfDue(modelId)) return;
        BootstrapTerms memory terms = _terms[modelId];
        revert BootstrapNotOver(
            claimedOf(modelId),
            neededOf(modelId),
            _epochsOver(modelId),
            terms.epochs,
            terms.maxEpochs
        );
    }

    /// @inheritdoc IBootstrap
    function requireVotable(address[] calldata targets, uint256[] calldata values, bytes[] calldata calls) external {
        // Whoever else calls learns what a model's votes may do, and ends at most what is due.
        ModelId modelId = ModelShares(address(ModelGovernor(payable(msg.sender)).token())).modelId();
        if (endIfDue(modelId)) return;
        for (uint256 i = 0; i < targets.length; ++i) {
            if (values[i] != 0 || !_isVotable(modelId, targets[i], calls[i])) {
                revert BootstrapVoteRefused(i, targets[i], _selectorOf(calls[i]));
            }
        }
    }

    /// @inheritdoc IBootstrap
    function announce(
        ModelId modelId,
        address target,
        bytes calldata call
    ) external onlyOrganiser(modelId) returns (uint48 readyAt) {
        if (endIfDue(modelId)) revert BootstrapOver(modelId);
        if (!_isAnnounceable(modelId, target, call)) revert BootstrapActRefused(target, _selectorOf(call));
        _clear(_placeOf(modelId, target, call));
        bytes32 act = actOf(modelId, target, call);
        readyAt = uint48(block.timestamp + REGISTRY.scheduleOf(modelId).window);
        _readyAt[act] = readyAt;
        _standing[_placeOf(modelId, target, call)] = act;
        emit ActAnnounced(modelId, target, call, readyAt);
    }

    /// @inheritdoc IBootstrap
    function withdraw(ModelId modelId, address target, bytes calldata call) external onlyOrganiser(modelId) {
        _take(modelId, target, call);
        emit ActWithdrawn(modelId, target, call);
    }

    /// @inheritdoc IBootstrap
    function carryOut(ModelId modelId, address target, bytes calldata call) external onlyOrganiser(modelId) {
        if (endIfDue(modelId)) revert BootstrapOver(modelId);
        uint256 readyAt = _take(modelId, target, call);
        if (block.timestamp < readyAt) revert BootstrapTooEarly(readyAt);
        uint256 expiry = readyAt + Protocol.GRACE_PERIOD;
        if (block.timestamp > expiry) revert BootstrapExpired(expiry);
        emit ActCarriedOut(modelId, target, call);
        Address.functionCall(target, call);
    }

    /// @inheritdoc IBootstrap
    function readyAtOf(bytes32 act) external view returns (uint48) {
        return _readyAt[act];
    }

    /// @inheritdoc IBootstrap
    function standingOf(ModelId modelId, address target, bytes calldata call) external view returns (bytes32) {
        return _standing[_placeOf(modelId, target, call)];
    }

    /// @inheritdoc IBootstrap
    function isOver(ModelId modelId) external view returns (bool) {
        return _terms[modelId].endedAt != 0;
    }

    /// @inheritdoc IBootstrap
    function termsOf(ModelId modelId) external view returns (BootstrapTerms memory) {
        return _terms[modelId];
    }

    /// @inheritdoc IBootstrap
    function emission() external view returns (address) {
        return address(EMISSION);
    }

    /// @inheritdoc IBootstrap
    function rewards() external view returns (address) {
        return REWARDS;
    }

    /// @inheritdoc IBootstrap
    function runs() external view returns (address) {
        return address(RUNS);
    }

    /// @inheritdoc IBootstrap
    function endIfDue(ModelId modelId) public returns (bool) {
        BootstrapTerms memory terms = _terms[modelId];
        if (terms.endedAt != 0) return true;
        uint256 epochsOver = _epochsOver(modelId);
        if (epochsOver < terms.epochs) return false;
        uint256 claimed = claimedOf(modelId);
        if (epochsOver < terms.maxEpochs && claimed < neededOf(modelId)) return false;
        _terms[modelId].endedAt = uint48(block.timestamp);
        emit BootstrapEnded(modelId, claimed);
        return true;
    }

    /// @inheritdoc IBootstrap
    function neededOf(ModelId modelId) public view returns (uint256) {
        uint256 quorum = ModelGovernor(payable(REGISTRY.governorOf(modelId))).quorum(block.timestamp - 1);
        return Math.max(_terms[modelId].shares, QUORUMS * quorum);
    }

    /// @inheritdoc IBootstrap
    function claimedOf(ModelId modelId) public view returns (uint256) {
        uint256 unclaimed = IERC20(REGISTRY.sharesOf(modelId)).balanceOf(REWARDS);
        return Math.saturatingSub(EMISSION.mintedOf(modelId, COMPUTE), unclaimed);
    }

    /// @inheritdoc IBootstrap
    function actOf(ModelId modelId, address target, bytes calldata call) public pure returns (bytes32) {
        return keccak256(abi.encode(modelId, target, call));
    }

    function _take(ModelId modelId, address target, bytes calldata call) private returns (uint48 readyAt) {
        bytes32 act = actOf(modelId, target, call);
        readyAt = _readyAt[act];
        if (readyAt == 0) revert BootstrapNotAnnounced(act);
        delete _readyAt[act];
        delete _standing[_placeOf(modelId, target, call)];
    }

    /// @dev What stands is not overwritten, so that whoever read it knows what comes. What expired makes room.
    function _clear(bytes32 place) private {
        bytes32 act = _standing[place];
        if (act == 0) return;
        uint256 expiry = _readyAt[act] + Protocol.GRACE_PERIOD;
        if (block.timestamp <= expiry) revert BootstrapActStands(act, expiry);
        delete _readyAt[act];
    }

    /// @dev Whether holders may have the timelock do this: it sets parameters of one of their runs, pauses or resumes it.
    function _isVotable(ModelId modelId, address target, bytes calldata call) private view returns (bool) {
        bytes4 selector = _selectorOf(call);
        if (target != address(RUNS)) return false;
        if (selector == IRunRegistry.setParams.selector) return _isOfRun(modelId, call);
        if (selector != IRunRegistry.setStatus.selector) return false;
        return !_finishes(call) && _isOfRun(modelId, call);
    }

    /// @dev Whether the organiser may have this done: other validators or maintainers; a run's poster or builds, its end, that it goes on, or
    /// another run. RunRegistry and ValidatorSet do what comes from here, so that each of these names the model, or a run of it.
    function _isAnnounceable(ModelId modelId, address target, bytes calldata call) private view returns (bool) {
        bytes4 selector = _selectorOf(call);
        if (target == REGISTRY.validators()) {
            bool chooses =
                selector == IValidatorSet.setValidators.selector || selector == IValidatorSet.setMaintainers.selector;
            return chooses && _isOfModel(modelId, call) && _isChoice(call);
        }
        if (target != address(RUNS)) return false;
        if (selector == IRunRegistry.registerRun.selector) return _isOfModel(modelId, call) && _isRegistration(call);
        if (selector == IRunRegistry.setPoster.selector) return _isOfRun(modelId, call) && _isPoster(call);
        if (selector == IRunRegistry.admitBuild.selector) return _isOfRun(modelId, call) && _isBuild(call);
        return selector == IRunRegistry.setStatus.selector && _isOfRun(modelId, call) && _endsOrResumes(call);
    }

    /// @dev Whether a call of setStatus ends a run, or has one go on that is paused now: else a pause could be undone before it is decided.
    function _endsOrResumes(bytes calldata call) private view returns (bool) {
        (RunId runId, Status status) = abi.decode(call[4:], (RunId, Status));
        if (!_isExact(call, abi.encode(runId, status))) return false;
        if (status == Status.Open) return RUNS.runOf(runId).status == Status.Paused;
        return status == Status.Finished;
    }

    /// @dev Whether a call on a run names one of this model.
    function _isOfRun(ModelId modelId, bytes calldata call) private view returns (bool) {
        return ModelId.unwrap(RUNS.runOf(RunId.wrap(_firstOf(call))).modelId) == ModelId.unwrap(modelId);
    }

    function _epochsOver(ModelId modelId) private view returns (uint256) {
        Schedule memory schedule = REGISTRY.scheduleOf(modelId);
        if (schedule.start == 0) revert BootstrapUnknownModel(modelId);
        return Epochs.at(schedule, block.timestamp) - 1;
    }

    /// @dev What an act is one of: the same function, of the same run or model.
    function _placeOf(ModelId modelId, address target, bytes calldata call) private pure returns (bytes32) {
        return keccak256(abi.encode(modelId, target, _selectorOf(call), _firstOf(call)));
    }

    function _isChoice(bytes calldata call) private pure returns (bool) {
        (ModelId modelId, uint32 replaces, address[] memory members, uint16 threshold) = abi.decode(
            call[4:],
            (ModelId, uint32, address[], uint16)
        );
        return _isExact(call, abi.encode(modelId, replaces, members, threshold));
    }

    function _isRegistration(bytes calldata call) private pure returns (bool) {
        (ModelId modelId, bytes32 salt, RunConfig memory config) = abi.decode(call[4:], (ModelId, bytes32, RunConfig));
        return _isExact(call, abi.encode(modelId, salt, config));
    }

    function _isPoster(bytes calldata call) private pure returns (bool) {
        (RunId runId, address poster) = abi.decode(call[4:], (RunId, address));
        return _isExact(call, abi.encode(runId, poster));
    }

    function _isBuild(bytes calldata call) private pure returns (bool) {
        (RunId runId, Digest build, bool admitted) = abi.decode(call[4:], (RunId, Digest, bool));
        return _isExact(call, abi.encode(runId, build, admitted));
    }

    /// @dev Whether a call holds its arguments and nothing else, so that what is done has one name, and nothing is announced unread.
    function _isExact(bytes calldata call, bytes memory arguments) private pure returns (bool) {
        return keccak256(call[4:]) == keccak256(arguments);
    }

    function _isOfModel(ModelId modelId, bytes calldata call) private pure returns (bool) {
        return _firstOf(call) == ModelId.unwrap(modelId);
    }

    /// @dev Whether a call of setStatus ends a run, which nothing resumes.
    function _finishes(bytes calldata call) private pure returns (bool) {
        (, Status status) = abi.decode(call[4:], (RunId, Status));
        return status == Status.Finished;
    }

    /// @dev The first argument of a call.
    function _firstOf(bytes calldata call) private pure returns (bytes32) {
        return abi.decode(call[4:], (bytes32));
    }

    /// @dev Zero for what is too short to name a function.
    function _selectorOf(bytes calldata call) private pure returns (bytes4) {
        return call.length < 4 ? bytes4(0) : bytes4(call);
    }
}

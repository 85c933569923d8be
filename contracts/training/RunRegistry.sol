// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {ICheckpointRegistry} from "../interfaces/ICheckpointRegistry.sol";
import {Digest, ModelId, RunId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRunRegistry, Run, RunConfig, Status} from "../interfaces/IRunRegistry.sol";
import {RunParams} from "../interfaces/RunParams.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {RunParamsRules} from "../libraries/RunParamsRules.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title RunRegistry
/// @notice See IRunRegistry.
contract RunRegistry is IRunRegistry, ModelAuthority, EIP712 {
    using Checkpoints for Checkpoints.Trace208;

    struct Runs {
        RunId open;
        uint32 count;
    }

    uint256 private constant MAX_BUILDS = 16;

    ICheckpointRegistry private immutable CHECKPOINTS;

    mapping(ModelId modelId => Runs) private _runsOf;
    mapping(RunId runId => Run) private _runs;
    mapping(RunId runId => RunParams) private _min;
    mapping(RunId runId => RunParams) private _max;
    mapping(RunId runId => mapping(uint32 version => RunParams)) private _params;
    mapping(RunId runId => Checkpoints.Trace208) private _versions;
    mapping(RunId runId => mapping(Digest build => bool)) private _admitted;

    /// @notice Keeps the runs of one registry's models, whose heads lie in one contract.
    /// @param registry_ Says which timelock commands a model.
    /// @param checkpoints_ Where heads are posted.
    constructor(
        IModelRegistry registry_,
        ICheckpointRegistry checkpoints_
    ) ModelAuthority(registry_) EIP712(Protocol.NAME, Protocol.VERSION) {
        CHECKPOINTS = checkpoints_;
    }

    modifier onlyTimelockOf(RunId runId) {
        ModelId modelId = _runs[runId].modelId;
        if (modelId.isZero()) revert RunRegistryUnknownRun(runId);
        if (msg.sender != REGISTRY.timelockOf(modelId)) revert ModelAuthorityUnauthorized(modelId, msg.sender);
        _;
    }

    modifier onlyTimelockOrBootstrapOf(RunId runId) {
        ModelId modelId = _runs[runId].modelId;
        if (modelId.isZero()) revert RunRegistryUnknownRun(runId);
        _requireTimelockOrBootstrap(modelId);
        _;
    }

    /// @inheritdoc IRunRegistry
    function registerRun(ModelId modelId, bytes32 salt, RunConfig calldata config) external returns (RunId runId) {
        _open(modelId, runId = runIdOf(modelId, salt));
        _requireConfig(config);

        Run storage run = _runs[runId];
        run.modelId = modelId;
        run.salt = salt;
        run.definition = config.definition;
        run.poster = config.poster;
        run.fragments = config.fragments;
        _min[runId] = config.min;
        _max[runId] = config.max;
        emit RunRegistered(modelId, runId, config.definition, config.fragments, config.poster, config.min, config.max);

        for (uint256 i = 0; i < config.builds.length; ++i) {
            _admit(runId, config.builds[i], true);
        }
        _setParams(runId, config.params);
        CHECKPOINTS.open(runId, config.initialCheckpoint);
    }

    /// @inheritdoc IRunRegistry
    function setParams(
        RunId runId,
        uint32 replaces,
        RunParams calldata params
    ) external onlyTimelockOf(runId) returns (uint32 version) {
        Run storage run = _runs[runId];
        if (run.status == Status.Finished) revert RunRegistryRunFinished(runId);
        if (replaces != run.version) revert RunRegistryParamsReplaced(runId, replaces, run.version);
        return _setParams(runId, params);
    }

    /// @inheritdoc IRunRegistry
    function admitBuild(RunId runId, Digest build, bool admitted) external onlyTimelockOrBootstrapOf(runId) {
        _admit(runId, build, admitted);
    }

    /// @inheritdoc IRunRegistry
    function setPoster(RunId runId, address poster) external onlyTimelockOrBootstrapOf(runId) {
        if (poster == address(0)) revert RunRegistryZero("poster");
        _runs[runId].poster = poster;
        _updateCheckpoints(runId);
        emit PosterSet(runId, poster);
    }

    /// @inheritdoc IRunRegistry
    function setStatus(RunId runId, Status status) external onlyTimelockOrBootstrapOf(runId) {
        Run storage run = _runs[runId];
        if (run.status == Status.Finished) revert RunRegistryRunFinished(runId);
        run.status = status;
        if (status == Status.Finished) _runsOf[run.modelId].open = RunId.wrap(0);
        _updateCheckpoints(runId);
        emit StatusSet(runId, status);
    }

    /// @inheritdoc IRunRegistry
    function runOf(RunId runId) external view returns (Run memory run) {
        run = _runs[runId];
        if (run.modelId.isZero()) revert RunRegistryUnknownRun(runId);
    }

    /// @inheritdoc IRunRegistry
    function openRunOf(ModelId modelId) external view returns (RunId) {
        return _runsOf[modelId].open;
    }

    /// @inheritdoc IRunRegistry
    function runCountOf(ModelId modelId) external view returns (uint32) {
        return _runsOf[modelId].count;
    }

    /// @inheritdoc IRunRegistry
    function paramsOf(RunId runId, uint32 version) external view returns (RunParams memory) {
        return _params[runId][version];
    }

    /// @inheritdoc IRunRegistry
    function boundsOf(RunId runId) external view returns (RunParams memory min, RunParams memory max) {
        return (_min[runId], _max[runId]);
    }

    /// @inheritdoc IRunRegistry
    function versionAt(RunId runId, uint48 timestamp) external view returns (uint32) {
        return uint32(_versions[runId].upperLookupRecent(timestamp));
    }

    /// @inheritdoc IRunRegistry
    function isAdmitted(RunId runId, Digest build) external view returns (bool) {
        return _admitted[runId][build];
    }

    /// @inheritdoc IRunRegistry
    function checkpoints() external view returns (address) {
        return address(CHECKPOINTS);
    }

    /// @inheritdoc IRunRegistry
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IRunRegistry
    function runIdOf(ModelId modelId, bytes32 salt) public view returns (RunId) {
        return RunId.wrap(keccak256(abi.encode(block.chainid, address(this), modelId, salt)));
    }

    /// @dev The organiser starts the model, from then on the holders decide what it trains, or in bootstrap the organiser as announced.
    function _open(ModelId modelId, RunId runId) private {
        Runs storage runs = _runsOf[modelId];
        if (runs.count != 0) _requireTimelockOrBootstrap(modelId);
        else if (msg.sender != REGISTRY.organiserOf(modelId)) revert ModelAuthorityUnauthorized(modelId, msg.sender);
        if (!runs.open.isZero()) revert RunRegistryRunOpen(modelId, runs.open);
        if (!_runs[runId].modelId.isZero()) revert RunRegistryRunExists(runId);
        runs.open = runId;
        ++runs.count;
    }

    function _requireConfig(RunConfig calldata config) private pure {
        if (config.definition.isZero()) revert RunRegistryZero("definition");
        if (config.fragments == 0) revert RunRegistryZero("fragments");
        if (config.poster == address(0)) revert RunRegistryZero("poster");
        uint256 count = config.builds.length;
        if (count == 0 || count > MAX_BUILDS) revert RunRegistryBuildCount(count);
    }

    function _admit(RunId runId, Digest build, bool admitted) private {
        if (build.isZero()) revert RunRegistryZero("build");
        _admitted[runId][build] = admitted;
        emit BuildAdmitted(runId, build, admitted);
    }

    function _setParams(RunId runId, RunParams calldata params) private returns (uint32 version) {
        Run storage run = _runs[runId];
        RunParamsRules.requireValid(params, _min[runId], _max[runId], run.fragments);
        version = ++run.version;
        _params[runId][version] = params;
        _versions[runId].push(uint48(block.timestamp), version);
        _updateCheckpoints(runId);
        emit RunParamsSet(runId, version, params);
    }

    function _updateCheckpoints(RunId runId) private {
        Run storage run = _runs[runId];
        CHECKPOINTS.update(runId, run.poster, run.status == Status.Open, run.version);
    }
}

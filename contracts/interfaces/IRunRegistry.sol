// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, ModelId, RunId} from "./Ids.sol";
import {RunParams} from "./RunParams.sol";

/// @notice All that a run is registered with.
/// @param definition Digest of the training program and its schedule.
/// @param initialCheckpoint Digest of checkpoint 0's manifest.
/// @param fragments Into how many parts the parameters are divided.
/// @param poster The coordinator's key for this run.
/// @param builds Digests of the programs that workers may run, 1 to 16 of them.
/// @param params The first parameters.
/// @param min Lower bound of each parameter, for ever.
/// @param max Upper bound of each parameter, for ever.
struct RunConfig {
    Digest definition;
    Digest initialCheckpoint;
    uint16 fragments;
    address poster;
    Digest[] builds;
    RunParams params;
    RunParams min;
    RunParams max;
}

/// @notice A run takes heads while it is open. `Finished` is for ever and makes room for the model's next run.
enum Status {
    Open,
    Paused,
    Finished
}

/// @notice A run as it stands.
/// @param modelId The model that it trains; 0 for a run that does not exist.
/// @param salt With which it was registered. Its id is the hash of this and of the model's, so that whoever knows the run's id needs
/// nobody's word for whose run it is.
/// @param definition Digest of the training program and its schedule.
/// @param poster The coordinator's key for this run.
/// @param status Whether it takes heads.
/// @param fragments Into how many parts the parameters are divided.
/// @param version Number of the latest parameters.
struct Run {
    ModelId modelId;
    bytes32 salt;
    Digest definition;
    address poster;
    Status status;
    uint16 fragments;
    uint32 version;
}

/// @title IRunRegistry
/// @notice Runs of all models: what is trained, by which programs, under which parameters and whose posting key.
/// It is also the verifying contract of what workers, posters and validators sign about a run.
interface IRunRegistry {
    /// @notice A run was registered. Its parameters and checkpoint 0 have events of their own.
    /// @param modelId The model.
    /// @param runId The run.
    /// @param definition Digest of the training program and its schedule.
    /// @param fragments Into how many parts the parameters are divided.
    /// @param poster The coordinator's key.
    /// @param min Lower bound of each parameter.
    /// @param max Upper bound of each parameter.
    event RunRegistered(
        ModelId indexed modelId,
        RunId indexed runId,
        Digest definition,
        uint16 fragments,
        address poster,
        RunParams min,
        RunParams max
    );

    /// @notice New parameters are in force.
    /// @param runId The run.
    /// @param version Their number, from 1.
    /// @param params All of them.
    event RunParamsSet(RunId indexed runId, uint32 indexed version, RunParams params);

    /// @notice A build may be used from now on, or no longer.
    /// @param runId The run.
    /// @param build Digest of the program.
    /// @param admitted Whether workers may run it.
    event BuildAdmitted(RunId indexed runId, Digest indexed build, bool admitted);

    /// @notice The run has a new posting key.
    /// @param runId The run.
    /// @param poster Who alone posts from now on.
    event PosterSet(RunId indexed runId, address indexed poster);

    /// @notice The run has a new status.
    /// @param runId The run.
    /// @param status The new one.
    event StatusSet(RunId indexed runId, Status status);

    /// @notice The model has a run that is not finished.
    /// @param modelId The model.
    /// @param runId Its run that is not finished.
    error RunRegistryRunOpen(ModelId modelId, RunId runId);
    /// @notice This model had a run with this salt.
    /// @param runId The run.
    error RunRegistryRunExists(RunId runId);
    /// @notice There is no such run.
    /// @param runId What was named as the run.
    error RunRegistryUnknownRun(RunId runId);
    /// @notice A finished run stays finished.
    /// @param runId The run.
    error RunRegistryRunFinished(RunId runId);
    /// @notice The parameters that were to be replaced are not in force: others came meanwhile.
    /// @param runId The run.
    /// @param replaces Number of the parameters that were named.
    /// @param latest Number of those in force.
    error RunRegistryParamsReplaced(RunId runId, uint32 replaces, uint32 latest);
    /// @notice A value that must not be zero is.
    /// @param field Name of the value.
    error RunRegistryZero(bytes32 field);
    /// @notice A run is registered with 1 to 16 builds.
    /// @param count How many there were.
    error RunRegistryBuildCount(uint256 count);
    /// @notice A parameter is outside its bounds.
    /// @param field The parameter's position in RunParams, from 0.
    /// @param value Its value, in its own unit.
    /// @param min Its lower bound.
    /// @param max Its upper bound.
    error RunRegistryParamOutOfBounds(uint256 field, uint256 value, uint256 min, uint256 max);
    /// @notice Parameters that do not fit together.
    /// @param rule Name of the parameter that breaks the rule.
    error RunRegistryParamsInconsistent(bytes32 rule);

    /// @notice Registers a run and records its checkpoint 0. The organiser registers the model's first run, its
    /// timelock every later one, in bootstrap Bootstrap too.
    /// @dev Reverts with ModelAuthorityUnauthorized, RunRegistryRunOpen, RunRegistryRunExists, RunRegistryZero,
    /// RunRegistryBuildCount, RunRegistryParamOutOfBounds, RunRegistryParamsInconsistent, and
    /// CheckpointRegistryDigestMissing where checkpoint 0 has none.
    /// @param modelId The model.
    /// @param salt Chosen by the caller; tells the runs of one model apart.
    /// @param config All that the run is made from.
    /// @return runId The run's id.
    function registerRun(ModelId modelId, bytes32 salt, RunConfig calldata config) external returns (RunId runId);

    /// @notice Puts new parameters in force; the model's timelock only. Versions count from 1. Of two decisions on one version
    /// the first that is executed holds, and an old one cannot undo what was decided after it.
    /// @dev Reverts with RunRegistryUnknownRun, ModelAuthorityUnauthorized, RunRegistryRunFinished,
    /// RunRegistryParamsReplaced, RunRegistryParamOutOfBounds, RunRegistryParamsInconsistent.
    /// @param runId The run.
    /// @param replaces Number of the parameters in force, which this decision was made on.
    /// @param params All of them, the unchanged included.
    /// @return version Their number.
    function setParams(RunId runId, uint32 replaces, RunParams calldata params) external returns (uint32 version);

    /// @notice Admits a build or refuses it from now on; the model's timelock, or Bootstrap for its organiser, only.
    /// @dev Reverts with RunRegistryUnknownRun, ModelAuthorityUnauthorized, RunRegistryZero.
    /// @param runId The run.
    /// @param build Digest of the program.
    /// @param admitted Whether workers may run it.
    function admitBuild(RunId runId, Digest build, bool admitted) external;

    /// @notice Changes the posting key; the model's timelock, or Bootstrap for its organiser, only.
    /// @dev Reverts with RunRegistryUnknownRun, ModelAuthorityUnauthorized, RunRegistryZero.
    /// @param runId The run.
    /// @param poster Who alone posts from now on.
    function setPoster(RunId runId, address poster) external;

    /// @notice Pauses, opens or finishes a run; the model's timelock, or Bootstrap for its organiser, only.
    /// @dev Reverts with RunRegistryUnknownRun, ModelAuthorityUnauthorized, RunRegistryRunFinished.
    /// @param runId The run.
    /// @param status The new one.
    function setStatus(RunId runId, Status status) external;

    /// @notice The id that `registerRun` gives to a model's salt.
    /// @param modelId The model.
    /// @param salt Chosen by the caller of `registerRun`.
    /// @return The run's id.
    function runIdOf(ModelId modelId, bytes32 salt) external view returns (RunId);

    /// @notice A run as it stands.
    /// @dev Reverts with RunRegistryUnknownRun.
    /// @param runId The run.
    /// @return run What is recorded of it.
    function runOf(RunId runId) external view returns (Run memory run);

    /// @notice The model's run that is not finished.
    /// @param modelId The model.
    /// @return Its id; 0 if there is none.
    function openRunOf(ModelId modelId) external view returns (RunId);

    /// @notice How many runs the model has registered.
    /// @param modelId The model.
    /// @return Their number.
    function runCountOf(ModelId modelId) external view returns (uint32);

    /// @notice Parameters of a version; all zero for a version that does not exist.
    /// @param runId The run.
    /// @param version Counted from 1.
    /// @return The parameters.
    function paramsOf(RunId runId, uint32 version) external view returns (RunParams memory);

    /// @notice The bounds with which the run was registered.
    /// @param runId The run.
    /// @return min Lower bound of each parameter.
    /// @return max Upper bound of each parameter.
    function boundsOf(RunId runId) external view returns (RunParams memory min, RunParams memory max);

    /// @notice The version in force at a time; 0 before the run's registration.
    /// @param runId The run.
    /// @param timestamp Seconds since 1970.
    /// @return The version.
    function versionAt(RunId runId, uint48 timestamp) external view returns (uint32);

    /// @notice Whether workers may run this build.
    /// @param runId The run.
    /// @param build Digest of the program.
    /// @return True for one that is admitted now.
    function isAdmitted(RunId runId, Digest build) external view returns (bool);

    /// @notice Where heads are posted.
    /// @return Address of CheckpointRegistry.
    function checkpoints() external view returns (address);

    /// @notice EIP-712 domain separator of Join, Fragment, Receipt, Ack and Verdict.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);
}

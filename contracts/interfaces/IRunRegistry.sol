// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {RunParams} from "./RunParams.sol";

/// @notice All that a run is registered with.
/// @param definition Digest of the training program and its schedule.
/// @param initialCheckpoint Digest of checkpoint 0's manifest.
/// @param fragments Into how many parts the parameters are divided.
/// @param poster The coordinator's key for this run.
/// @param builds Digests of the programs that workers may run.
/// @param min Lower bound of each parameter, for ever.
/// @param max Upper bound of each parameter, for ever.
struct RunConfig {
    bytes32 definition;
    bytes32 initialCheckpoint;
    uint16 fragments;
    address poster;
    bytes32[] builds;
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
/// @param version Number of the latest parameters.
struct Run {
    bytes32 modelId;
    bytes32 definition;
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
    event RunRegistered(
        bytes32 indexed modelId,
        bytes32 indexed runId,
        bytes32 definition,
        uint16 fragments,
        address poster,
        RunParams min,
        RunParams max
    );

    /// @notice New parameters are in force.
    event RunParamsSet(bytes32 indexed runId, uint32 indexed version, RunParams params);

    /// @notice A build may be used from now on, or no longer.
    event BuildAdmitted(bytes32 indexed runId, bytes32 indexed build, bool admitted);

    /// @notice The run has a new posting key.
    event PosterSet(bytes32 indexed runId, address indexed poster);

    /// @notice The run has a new status.
    event StatusSet(bytes32 indexed runId, Status status);

    /// @notice The model has a run that is not finished.
    error RunRegistryRunOpen(bytes32 modelId, bytes32 runId);
    /// @notice This model had a run with this salt.
    error RunRegistryRunExists(bytes32 runId);
    /// @notice There is no such run.
    error RunRegistryUnknownRun(bytes32 runId);
    /// @notice A finished run stays finished.
    error RunRegistryRunFinished(bytes32 runId);
    /// @notice A value that must not be zero is.
    error RunRegistryZero(bytes32 field);
    /// @notice A run is registered with 1 to 16 builds.
    error RunRegistryBuildCount(uint256 count);
    /// @notice A parameter is outside its bounds; `field` is its position, from 0.
    error RunRegistryParamOutOfBounds(uint256 field, uint256 value, uint256 min, uint256 max);
    /// @notice Parameters that do not fit together; `rule` names them.
    error RunRegistryParamsInconsistent(bytes32 rule);

    /// @notice Registers a run and records its checkpoint 0. The organiser registers the model's first run, its
    /// timelock every later one.
    function registerRun(bytes32 modelId, bytes32 salt, RunConfig calldata config) external returns (bytes32 runId);

    /// @notice Puts new parameters in force; the model's timelock only. Versions count from 1.
    function setParams(bytes32 runId, RunParams calldata params) external returns (uint32 version);

    /// @notice Admits a build or refuses it from now on; the model's timelock only.
    function admitBuild(bytes32 runId, bytes32 build, bool admitted) external;

    /// @notice Changes the posting key; the model's timelock only.
    function setPoster(bytes32 runId, address poster) external;

    /// @notice Pauses, opens or finishes a run; the model's timelock only.
    function setStatus(bytes32 runId, Status status) external;

    /// @notice The id that `registerRun` gives to a model's salt.
    function runIdOf(bytes32 modelId, bytes32 salt) external view returns (bytes32);

    /// @notice A run as it stands; reverts for a run that does not exist.
    function runOf(bytes32 runId) external view returns (Run memory);

    /// @notice The model's run that is not finished, 0 if there is none.
    function openRunOf(bytes32 modelId) external view returns (bytes32);

    /// @notice How many runs the model has registered.
    function runCountOf(bytes32 modelId) external view returns (uint32);

    /// @notice Parameters of a version; all zero for a version that does not exist.
    function paramsOf(bytes32 runId, uint32 version) external view returns (RunParams memory);

    /// @notice The bounds with which the run was registered.
    function boundsOf(bytes32 runId) external view returns (RunParams memory min, RunParams memory max);

    /// @notice The version in force at a time; 0 before the run's registration.
    function versionAt(bytes32 runId, uint48 timestamp) external view returns (uint32);

    /// @notice Whether workers may run this build.
    function isAdmitted(bytes32 runId, bytes32 build) external view returns (bool);

    /// @notice EIP-712 domain separator of Join, Fragment, Receipt, Ack and Verdict.
    function domainSeparator() external view returns (bytes32);
}

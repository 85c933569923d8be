// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice How the holders of a model decide. Times are in seconds.
/// @param proposalThreshold Votes needed to propose.
/// @param quorumBps Votes needed for a quorum, in basis points of the past supply.
/// @param quorumFloor Votes needed for a quorum at the least.
struct GovernorConfig {
    uint32 votingDelay;
    uint32 votingPeriod;
    uint32 lateQuorumExtension;
    uint32 timelockDelay;
    uint256 proposalThreshold;
    uint16 quorumBps;
    uint256 quorumFloor;
}

/// @notice All that a model is created from.
/// @param uri ERC-7572 contract URI: licence of the weights, licences of the data, terms.
/// @param organiser Who registers the model's first run.
/// @param epochLength Seconds of one epoch.
/// @param yearlyCap Shares that one year's epochs may mint at most, for ever.
/// @param epochBudget Shares that one epoch may mint at first.
/// @param bps Split of the budget among compute, code, capital and treasury; sums to 10,000.
/// @param window Seconds between posting a root and activating it, and before a new validator set counts.
/// @param postingDelay Seconds after an epoch's end within which its root is due.
/// @param validators Strictly ascending.
/// @param threshold Signatures needed, at least two thirds of the validators.
struct ModelConfig {
    string name;
    string symbol;
    string uri;
    address organiser;
    uint32 epochLength;
    uint128 yearlyCap;
    uint128 epochBudget;
    uint16[4] bps;
    uint32 window;
    uint32 postingDelay;
    GovernorConfig governor;
    address[] validators;
    uint16 threshold;
}

/// @notice A model's clock. `start` is the time of its creation, 0 for a model that does not exist.
struct Schedule {
    uint48 start;
    uint32 epochLength;
    uint32 postingDelay;
    uint32 window;
}

/// @notice A bound for each setting, in seconds except for the quorum.
struct Limits {
    uint32 epochLength;
    uint32 postingDelay;
    uint32 window;
    uint32 votingDelay;
    uint32 votingPeriod;
    uint32 lateQuorumExtension;
    uint32 timelockDelay;
    uint16 quorumBps;
}

/// @title IModelRegistry
/// @notice Creates models. A model is its shares, its governor and its timelock, cloned and wired in one transaction,
/// together with its budget and its validators. Names are not unique: a model is (chain, registry, modelId).
interface IModelRegistry {
    /// @notice A model was created.
    event ModelCreated(
        bytes32 indexed modelId,
        address indexed organiser,
        address indexed sender,
        address shares,
        address governor,
        address timelock,
        string name,
        string symbol,
        string uri
    );

    /// @notice The settings with which a model was created. Budget and validators have events of their own.
    event ModelConfigured(bytes32 indexed modelId, Schedule schedule, GovernorConfig governor);

    /// @notice A minimum lies below the public one, which only development chains may do, or at zero.
    error ModelRegistryLimitRefused(bytes32 setting, uint256 value, uint256 minimum);
    /// @notice This sender has created a model with this salt.
    error ModelRegistryModelExists(bytes32 modelId);
    /// @notice A setting is outside its bounds.
    error ModelRegistrySettingOutOfBounds(bytes32 setting, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice A model needs an organiser.
    error ModelRegistryOrganiserMissing();

    /// @notice Creates a model, its three contracts included.
    /// @param config Everything it is created from; each value is checked.
    /// @param salt Chosen by the caller; tells the models of one caller apart.
    function createModel(ModelConfig calldata config, bytes32 salt) external returns (bytes32 modelId);

    /// @notice The id that `createModel` gives to a sender's salt.
    function modelIdOf(address sender, bytes32 salt) external view returns (bytes32);

    /// @notice The timelock that commands a model; 0 for a model that does not exist. So with the next three.
    function timelockOf(bytes32 modelId) external view returns (address);

    /// @notice The model's governor.
    function governorOf(bytes32 modelId) external view returns (address);

    /// @notice The model's shares.
    function sharesOf(bytes32 modelId) external view returns (address);

    /// @notice Who registers the model's first run.
    function organiserOf(bytes32 modelId) external view returns (address);

    /// @notice The model's clock.
    function scheduleOf(bytes32 modelId) external view returns (Schedule memory);

    /// @notice Bounds of every setting, for ever. Only development chains have minima below the public ones.
    function limits() external view returns (Limits memory minimum, Limits memory maximum);
}

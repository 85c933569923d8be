// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {CapitalConfig} from "./ICapitalSale.sol";
import {FoundersConfig} from "./ICodeGrants.sol";
import {ModelId} from "./Ids.sol";
import {KINDS} from "./Kinds.sol";

/// @notice How the holders of a model decide. Times are in seconds, votes in wei of shares.
/// @param votingDelay Between a proposal and its vote.
/// @param votingPeriod How long a vote lasts.
/// @param lateQuorumExtension How long a vote lasts at the least after its quorum was reached.
/// @param timelockDelay Between queueing a proposal that passed and executing it.
/// @param proposalThreshold Votes needed to propose; at creation a tenth of a year's compute under the first budget at most.
/// @param quorumBps Votes needed for a quorum, in basis points of the past supply.
/// @param quorumFloor Votes needed for a quorum at the least: a share where the first budget pays compute, a tenth of a year's compute
/// under that budget at most.
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
/// @param name Name of its shares and its governor, up to 256 bytes; so with symbol and uri.
/// @param symbol Symbol of its shares.
/// @param uri ERC-7572 contract URI: licence of the weights, licences of the data, terms.
/// @param organiser Who registers the model's first run.
/// @param epochLength Seconds of one epoch.
/// @param yearlyCap What one year's epochs may mint at most, for ever, in wei of shares; 2^96 at most.
/// @param epochBudget What one epoch may mint at first, in wei of shares.
/// @param bps Split of the budget among compute, code, capital and treasury, in basis points; sums to 10,000.
/// @param window Seconds between posting a root and activating it, and before a new validator set counts.
/// @param postingDelay Seconds after an epoch's end within which its root is due; the deadlines of later attestations
/// lie whole numbers of these after it.
/// @param governor How the holders decide.
/// @param validators Strictly ascending.
/// @param threshold Signatures needed, at least two thirds of the validators.
/// @param capital How its shares are sold; all zero for a model that sells none.
/// @param founders What its founders are paid over years: in all a fifth of the yearly cap at most, which leaves as much less for the
/// first year's epochs, and half of a year's compute under the first budget.
/// @param disputeBond What a dispute costs at first, in wei of the chain's coin, 2^70 at most.
/// @param bootstrapShares What workers must have claimed before its organiser is the court of disputes no longer, in wei of
/// shares: the quorum's floor at least, a tenth of a year's compute under the first budget at most.
/// @param bootstrapEpochs How many epochs must be over before that; a year's at most.
/// @param bootstrapMaxEpochs After how many epochs the organiser is the court no longer, whatever was claimed: those of a quarter of a
/// year and bootstrapEpochs at least, a year's at most.
struct ModelConfig {
    string name;
    string symbol;
    string uri;
    address organiser;
    uint32 epochLength;
    uint128 yearlyCap;
    uint128 epochBudget;
    uint16[KINDS] bps;
    uint32 window;
    uint32 postingDelay;
    GovernorConfig governor;
    address[] validators;
    uint16 threshold;
    CapitalConfig capital;
    FoundersConfig founders;
    uint96 disputeBond;
    uint128 bootstrapShares;
    uint32 bootstrapEpochs;
    uint32 bootstrapMaxEpochs;
}

/// @notice A model's clock, in seconds.
/// @param start The time of its creation, 0 for a model that does not exist.
/// @param epochLength How long an epoch is.
/// @param postingDelay After an epoch's end, within which its root is due; deadlines lie whole numbers of these after it.
/// @param window Between posting a root and activating it, and before a new validator set counts.
struct Schedule {
    uint48 start;
    uint32 epochLength;
    uint32 postingDelay;
    uint32 window;
}

/// @notice A bound for each setting of the same name.
/// @param epochLength In seconds.
/// @param postingDelay In seconds.
/// @param window In seconds.
/// @param votingDelay In seconds.
/// @param votingPeriod In seconds.
/// @param lateQuorumExtension In seconds.
/// @param timelockDelay In seconds.
/// @param quorumBps In basis points.
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
/// together with its budget, its validators and its sale. Names are not unique: a model is (chain, registry, modelId).
interface IModelRegistry {
    /// @notice A model was created.
    /// @param modelId The model.
    /// @param organiser Who registers its first run.
    /// @param sender Who created it.
    /// @param shares Its shares.
    /// @param governor Its governor.
    /// @param timelock What commands it.
    /// @param name Name of its shares.
    /// @param symbol Symbol of its shares.
    /// @param uri Where licence and terms are found.
    event ModelCreated(
        ModelId indexed modelId,
        address indexed organiser,
        address indexed sender,
        address shares,
        address governor,
        address timelock,
        string name,
        string symbol,
        string uri
    );

    /// @notice The settings with which a model was created. Budget, validators and sale have events of their own.
    /// @param modelId The model.
    /// @param schedule Its clock.
    /// @param governor How the holders decide.
    event ModelConfigured(ModelId indexed modelId, Schedule schedule, GovernorConfig governor);

    /// @notice A minimum lies below the public one, which only development chains may do, at zero, or above the maximum.
    /// @param setting Name of the field of Limits.
    /// @param value The minimum that was given, in the setting's unit.
    /// @param minimum What it must at least be.
    /// @param maximum The setting's maximum.
    error ModelRegistryLimitRefused(bytes32 setting, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice An epoch's budget could never be authorised: the epoch, its posting delay, the window and the longest vote take
    /// longer together than the budget lasts.
    /// @param length What they take together, in seconds.
    /// @param maximum What they may take, in seconds.
    error ModelRegistryTooSlow(uint256 length, uint256 maximum);
    /// @notice This sender has created this model, with this salt.
    /// @param modelId The model.
    error ModelRegistryModelExists(ModelId modelId);
    /// @notice A setting is outside its bounds.
    /// @param setting Name of the field of ModelConfig or GovernorConfig.
    /// @param value Its value, in its own unit; of a text, its bytes.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error ModelRegistrySettingOutOfBounds(bytes32 setting, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice A model needs an organiser.
    error ModelRegistryOrganiserMissing();

    /// @notice Creates a model, its three contracts included.
    /// @dev Reverts with ModelRegistryModelExists, ModelRegistryOrganiserMissing, ModelRegistrySettingOutOfBounds,
    /// ModelRegistryTooSlow, and as IEmission.open, IValidatorSet.open, ICapitalSale.open and ICodeGrants.open.
    /// @param config Everything it is created from; each value is checked.
    /// @param salt Chosen by the caller; tells the models of one caller apart that are created from the same.
    /// @return modelId The model's id.
    function createModel(ModelConfig calldata config, bytes32 salt) external returns (ModelId modelId);

    /// @notice The id that `createModel` gives to what a sender creates. From it alone follow the addresses of shares, governor
    /// and timelock: it is the salt with which ERC-1167 clones of the implementations are made, by CREATE2.
    /// @param sender Who calls `createModel`.
    /// @param salt Chosen by the sender.
    /// @param terms keccak256(abi.encode(config)) of the ModelConfig.
    /// @return The model's id.
    function modelIdOf(address sender, bytes32 salt, bytes32 terms) external view returns (ModelId);

    /// @notice The timelock that commands a model.
    /// @param modelId The model.
    /// @return Its address; 0 for a model that does not exist.
    function timelockOf(ModelId modelId) external view returns (address);

    /// @notice The model's governor.
    /// @param modelId The model.
    /// @return Its address; 0 for a model that does not exist.
    function governorOf(ModelId modelId) external view returns (address);

    /// @notice The model's shares.
    /// @param modelId The model.
    /// @return Their address; 0 for a model that does not exist.
    function sharesOf(ModelId modelId) external view returns (address);

    /// @notice Who registers the model's first run.
    /// @param modelId The model.
    /// @return The organiser; 0 for a model that does not exist.
    function organiserOf(ModelId modelId) external view returns (address);

    /// @notice The model's clock.
    /// @param modelId The model.
    /// @return All zero for a model that does not exist.
    function scheduleOf(ModelId modelId) external view returns (Schedule memory);

    /// @notice Implementation behind every model's shares.
    /// @return Its address.
    function sharesImplementation() external view returns (address);

    /// @notice Implementation behind every model's governor.
    /// @return Its address.
    function governorImplementation() external view returns (address);

    /// @notice Implementation behind every model's timelock.
    /// @return Its address.
    function timelockImplementation() external view returns (address);

    /// @notice The only minter.
    /// @return Its address.
    function emission() external view returns (address);

    /// @notice Where every model's signers are kept.
    /// @return Its address.
    function validators() external view returns (address);

    /// @notice Where every model's shares are sold.
    /// @return Its address.
    function capitalSale() external view returns (address);

    /// @notice Where every model's workers and validators put up stake.
    /// @return Address of StakeManager.
    function stakeManager() external view returns (address);

    /// @notice Where every model's roots are posted, disputed and paid.
    /// @return Its address.
    function rewards() external view returns (address);

    /// @notice Where it stands whether a model is in bootstrap.
    /// @return Its address.
    function bootstrap() external view returns (address);

    /// @notice Where every model's holders let others spend from its treasury.
    /// @return Its address.
    function computeBudget() external view returns (address);

    /// @notice Bounds of every setting, for ever. Only development chains have minima below the public ones.
    /// @return minimum What each setting must at least be.
    /// @return maximum What each setting may at most be.
    function limits() external view returns (Limits memory minimum, Limits memory maximum);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ModelGovernor} from "../governance/ModelGovernor.sol";
import {ModelTimelock} from "../governance/ModelTimelock.sol";
import {ICapitalSale} from "../interfaces/ICapitalSale.sol";
import {ICodeGrants} from "../interfaces/ICodeGrants.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {IDisputes} from "../interfaces/IDisputes.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {GovernorConfig, IModelRegistry, Limits, ModelConfig, Schedule} from "../interfaces/IModelRegistry.sol";
import {CODE} from "../interfaces/Kinds.sol";
import {IStakeManager} from "../interfaces/IStakeManager.sol";
import {IValidatorSet} from "../interfaces/IValidatorSet.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {ModelLimits} from "../libraries/ModelLimits.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ModelShares} from "./ModelShares.sol";

/// @title ModelRegistry
/// @notice Creates models and says whom each of them obeys. What it records of a model never changes.
contract ModelRegistry is IModelRegistry {
    struct Model {
        address shares;
        address governor;
        address timelock;
        address organiser;
        Schedule schedule;
    }

    uint256 private constant MAX_STRING = 256;

    /// @dev So that neither a sum of shares nor anything that counts them can overflow.
    uint256 private constant MAX_YEARLY_CAP = 2 ** 96;

    /// @dev A thousand coins: a model whose roots nobody can afford to dispute has no court.
    uint256 private constant MAX_BOND = 2 ** 70;

    /// @dev Where compute is paid a quorum asks for a share at the least, so that somebody must have earned one to decide.
    uint256 private constant MIN_QUORUM_FLOOR = 1e18;

    /// @dev Part of a year that must pass at the least before a bootstrap ends by time.
    uint256 private constant BOOTSTRAP_PART = 4;

    /// @dev Part of a year's compute that proposal threshold and quorum floor may be: what workers earn in a few months.
    uint256 private constant VOTES_PART = 10;

    /// @dev Part of the first year's cap that the founders' shares may be.
    uint256 private constant FOUNDERS_PART = 5;

    ModelShares private immutable SHARES;
    ModelGovernor private immutable GOVERNOR;
    ModelTimelock private immutable TIMELOCK;
    IEmission private immutable EMISSION;
    IValidatorSet private immutable VALIDATORS;
    ICapitalSale private immutable CAPITAL_SALE;
    IStakeManager private immutable STAKE_MANAGER;
    IDisputes private immutable REWARDS;
    IBootstrap private immutable BOOTSTRAP;
    address private immutable COMPUTE_BUDGET;

    uint32 private immutable MIN_EPOCH_LENGTH;
    uint32 private immutable MIN_POSTING_DELAY;
    uint32 private immutable MIN_WINDOW;
    uint32 private immutable MIN_VOTING_DELAY;
    uint32 private immutable MIN_VOTING_PERIOD;
    uint32 private immutable MIN_LATE_QUORUM_EXTENSION;
    uint32 private immutable MIN_TIMELOCK_DELAY;
    uint16 private immutable MIN_QUORUM_BPS;

    mapping(ModelId modelId => Model) private _models;

    /// @notice Fixes what every model is made of; reverts with ModelRegistryLimitRefused.
    /// @param shares Implementation behind every model's shares.
    /// @param governor Implementation behind every model's governor.
    /// @param timelock Implementation behind every model's timelock.
    /// @param emission_ The only minter.
    /// @param validators_ Where every model's signers are kept.
    /// @param capitalSale_ Where every model's shares are sold.
    /// @param stakeManager_ Where every model's workers and validators put up stake.
    /// @param rewards_ Where every model's roots are posted, disputed and paid.
    /// @param bootstrap_ Where it stands whether a model is in bootstrap.
    /// @param computeBudget_ Where every model's holders let others spend from its treasury.
    /// @param minimum Lower bound of every setting; below the public ones on development chains only.
    constructor(
        ModelShares shares,
        ModelGovernor governor,
        ModelTimelock timelock,
        IEmission emission_,
        IValidatorSet validators_,
        ICapitalSale capitalSale_,
        IStakeManager stakeManager_,
        IDisputes rewards_,
        IBootstrap bootstrap_,
        address computeBudget_,
        Limits memory minimum
    ) {
        _requireLimits(minimum);
        SHARES = shares;
        GOVERNOR = governor;
        TIMELOCK = timelock;
        EMISSION = emission_;
        VALIDATORS = validators_;
        CAPITAL_SALE = capitalSale_;
        STAKE_MANAGER = stakeManager_;
        REWARDS = rewards_;
        BOOTSTRAP = bootstrap_;
        COMPUTE_BUDGET = computeBudget_;
        MIN_EPOCH_LENGTH = minimum.epochLength;
        MIN_POSTING_DELAY = minimum.postingDelay;
        MIN_WINDOW = minimum.window;
        MIN_VOTING_DELAY = minimum.votingDelay;
        MIN_VOTING_PERIOD = minimum.votingPeriod;
        MIN_LATE_QUORUM_EXTENSION = minimum.lateQuorumExtension;
        MIN_TIMELOCK_DELAY = minimum.timelockDelay;
        MIN_QUORUM_BPS = minimum.quorumBps;
    }

    /// @inheritdoc IModelRegistry
    function createModel(ModelConfig calldata config, bytes32 salt) external returns (ModelId modelId) {
        modelId = modelIdOf(msg.sender, salt, keccak256(abi.encode(config)));
        if (_models[modelId].schedule.start != 0) revert ModelRegistryModelExists(modelId);
        _requireConfig(config);

        Model memory model = _clone(modelId, config);
        _models[modelId] = model;
        emit ModelConfigured(modelId, model.schedule, config.governor);

        ModelShares(model.shares).initialize(modelId, config.name, config.symbol, config.uri);
        ModelTimelock(payable(model.timelock)).initialize(
            config.governor.timelockDelay,
            _single(model.governor),
            _single(address(0)),
            address(0)
        );
        ModelGovernor(payable(model.governor)).initialize(
            config.name,
            model.shares,
            model.timelock,
            config.governor,
            uint96(_reachableVotes(config)),
            uint32(Protocol.BUDGET_AGE - config.epochLength - config.postingDelay - config.window)
        );
        EMISSION.open(modelId, config.yearlyCap, uint128(_founders(config)), config.epochBudget, config.bps);
        if (config.founders.list.length != 0) {
            ICodeGrants(EMISSION.distributorOf(CODE)).open(modelId, config.founders);
        }
        VALIDATORS.open(modelId, config.validators, config.threshold);
        CAPITAL_SALE.open(modelId, config.capital);
        REWARDS.open(modelId, config.disputeBond);
        BOOTSTRAP.open(modelId, config.bootstrapShares, config.bootstrapEpochs, config.bootstrapMaxEpochs);
    }

    /// @inheritdoc IModelRegistry
    function timelockOf(ModelId modelId) external view returns (address) {
        return _models[modelId].timelock;
    }

    /// @inheritdoc IModelRegistry
    function governorOf(ModelId modelId) external view returns (address) {
        return _models[modelId].governor;
    }

    /// @inheritdoc IModelRegistry
    function sharesOf(ModelId modelId) external view returns (address) {
        return _models[modelId].shares;
    }

    /// @inheritdoc IModelRegistry
    function organiserOf(ModelId modelId) external view returns (address) {
        return _models[modelId].organiser;
    }

    /// @inheritdoc IModelRegistry
    function scheduleOf(ModelId modelId) external view returns (Schedule memory) {
        return _models[modelId].schedule;
    }

    /// @inheritdoc IModelRegistry
    function sharesImplementation() external view returns (address) {
        return address(SHARES);
    }

    /// @inheritdoc IModelRegistry
    function governorImplementation() external view returns (address) {
        return address(GOVERNOR);
    }

    /// @inheritdoc IModelRegistry
    function timelockImplementation() external view returns (address) {
        return address(TIMELOCK);
    }

    /// @inheritdoc IModelRegistry
    function emission() external view returns (address) {
        return address(EMISSION);
    }

    /// @inheritdoc IModelRegistry
    function validators() external view returns (address) {
        return address(VALIDATORS);
    }

    /// @inheritdoc IModelRegistry
    function capitalSale() external view returns (address) {
        return address(CAPITAL_SALE);
    }

    /// @inheritdoc IModelRegistry
    function stakeManager() external view returns (address) {
        return address(STAKE_MANAGER);
    }

    /// @inheritdoc IModelRegistry
    function rewards() external view returns (address) {
        return address(REWARDS);
    }

    /// @inheritdoc IModelRegistry
    function bootstrap() external view returns (address) {
        return address(BOOTSTRAP);
    }

    /// @inheritdoc IModelRegistry
    function computeBudget() external view returns (address) {
        return COMPUTE_BUDGET;
    }

    /// @inheritdoc IModelRegistry
    function modelIdOf(address sender, bytes32 salt, bytes32 terms) public view returns (ModelId) {
        return ModelId.wrap(keccak256(abi.encode(block.chainid, address(this), sender, salt, terms)));
    }

    /// @inheritdoc IModelRegistry
    function limits() public view returns (Limits memory minimum, Limits memory maximum) {
        minimum = Limits({
            epochLength: MIN_EPOCH_LENGTH,
            postingDelay: MIN_POSTING_DELAY,
            window: MIN_WINDOW,
            votingDelay: MIN_VOTING_DELAY,
            votingPeriod: MIN_VOTING_PERIOD,
            lateQuorumExtension: MIN_LATE_QUORUM_EXTENSION,
            timelockDelay: MIN_TIMELOCK_DELAY,
            quorumBps: MIN_QUORUM_BPS
        });
        maximum = _maximum();
    }

    /// @dev A clone's address follows from modelId alone, so that whoever knows that asks nobody for it. The id is bound to the
    /// sender and to everything the model is made from, and the clone is initialised before the transaction ends: nobody can
    /// put another model where this one is expected.
    function _clone(ModelId modelId, ModelConfig calldata config) private returns (Model memory model) {
        bytes32 salt = ModelId.unwrap(modelId);
        model = Model({
            shares: Clones.cloneDeterministic(address(SHARES), salt),
            governor: Clones.cloneDeterministic(address(GOVERNOR), salt),
            timelock: Clones.cloneDeterministic(address(TIMELOCK), salt),
            organiser: config.organiser,
            schedule: Schedule({
                start: uint48(block.timestamp),
                epochLength: config.epochLength,
                postingDelay: config.postingDelay,
                window: config.window
            })
        });
        emit ModelCreated(
            modelId,
            config.organiser,
            msg.sender,
            model.shares,
            model.governor,
            model.timelock,
            config.name,
            config.symbol,
            config.uri
        );
    }

    function _requireConfig(ModelConfig calldata config) private view {
        if (config.organiser == address(0)) revert ModelRegistryOrganiserMissing();
        _requireWithin("name", bytes(config.name).length, 1, MAX_STRING);
        _requireWithin("symbol", bytes(config.symbol).length, 1, MAX_STRING);
        _requireWithin("uri", bytes(config.uri).length, 0, MAX_STRING);

        (Limits memory min, Limits memory max) = limits();
        _requireWithin("epochLength", config.epochLength, min.epochLength, max.epochLength);
        _requireWithin("postingDelay", config.postingDelay, min.postingDelay, max.postingDelay);
        _requireWithin("window", config.window, min.window, max.window);

        GovernorConfig calldata governor = config.governor;
        _requireWithin("votingDelay", governor.votingDelay, min.votingDelay, max.votingDelay);
        _requireWithin("votingPeriod", governor.votingPeriod, min.votingPeriod, max.votingPeriod);
        _requireWithin(
            "lateQuorumExtension",
            governor.lateQuorumExtension,
            min.lateQuorumExtension,
            max.lateQuorumExtension
        );
        _requireWithin("timelockDelay", governor.timelockDelay, min.timelockDelay, max.timelockDelay);
        _requireWithin("quorumBps", governor.quorumBps, min.quorumBps, max.quorumBps);
        _requireWithin("yearlyCap", config.yearlyCap, 0, MAX_YEARLY_CAP);
        // Votes that nobody can muster would leave the model without anyone to decide.
        uint256 votes = _reachableVotes(config);
        bool paysCompute = config.bps[0] != 0 && config.epochBudget != 0;
        _requireWithin("quorumFloor", governor.quorumFloor, paysCompute ? MIN_QUORUM_FLOOR : 0, votes);
        _requireWithin("proposalThreshold", governor.proposalThreshold, 0, votes);
        // Founders' shares count in every quorum before they vote. So the highest quorum of them is votes that workers earn.
        uint256 most = Math.min(config.yearlyCap / FOUNDERS_PART, (votes * Protocol.BPS) / max.quorumBps);
        _requireWithin("founders", _founders(config), 0, most);
        _requireWithin("disputeBond", config.disputeBond, 1, MAX_BOND);
        // Holders who cannot make a quorum would be no court.
        _requireWithin("bootstrapShares", config.bootstrapShares, governor.quorumFloor, votes);
        uint256 perYear = Epochs.perYear(config.epochLength);
        _requireWithin("bootstrapEpochs", config.bootstrapEpochs, 0, perYear);
        // And an organiser who lets nothing be paid would be one for ever.
        uint256 least = Math.max(config.bootstrapEpochs, perYear / BOOTSTRAP_PART);
        _requireWithin("bootstrapMaxEpochs", config.bootstrapMaxEpochs, least, perYear);
        _requireTime(
            uint256(config.epochLength) + config.postingDelay + config.window,
            uint256(governor.votingDelay) + governor.votingPeriod + governor.lateQuorumExtension
        );
    }

    /// @dev A root that covers two epochs, is posted as late as it is due, disputed at its window's end and upheld by the
    /// longest vote must find the budget of both still there.
    function _requireTime(uint256 posting, uint256 vote) private pure {
        uint256 length = posting + vote;
        if (length > Protocol.BUDGET_AGE) revert ModelRegistryTooSlow(length, Protocol.BUDGET_AGE);
    }

    /// @dev The cap bounds it where the budget is one that Emission will refuse.
    function _reachableVotes(ModelConfig calldata config) private pure returns (uint256) {
        uint256 perYear = config.epochBudget * Epochs.perYear(config.epochLength);
        return Math.min((perYear * config.bps[0]) / Protocol.BPS, config.yearlyCap) / VOTES_PART;
    }

    /// @dev What is minted for the founders.
    function _founders(ModelConfig calldata config) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < config.founders.list.length; ++i) sum += config.founders.list[i].amount;
    }

    function _maximum() private pure returns (Limits memory) {
        return
            Limits({
                epochLength: 30 days,
                postingDelay: 7 days,
                window: 30 days,
                votingDelay: 30 days,
                votingPeriod: 30 days,
                lateQuorumExtension: 30 days,
                timelockDelay: 30 days,
                quorumBps: 2_000
            });
    }

    function _requireWithin(bytes32 setting, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert ModelRegistrySettingOutOfBounds(setting, value, min, max);
    }

    /// @dev Minima that no model can meet would make a registry without models.
    function _requireLimits(Limits memory minimum) private view {
        Limits memory least = ModelLimits.least(block.chainid);
        Limits memory most = _maximum();
        _requireLimit("epochLength", minimum.epochLength, least.epochLength, most.epochLength);
        _requireLimit("postingDelay", minimum.postingDelay, least.postingDelay, most.postingDelay);
        _requireLimit("window", minimum.window, least.window, most.window);
        _requireLimit("votingDelay", minimum.votingDelay, least.votingDelay, most.votingDelay);
        _requireLimit("votingPeriod", minimum.votingPeriod, least.votingPeriod, most.votingPeriod);
        _requireLimit(
            "lateQuorumExtension",
            minimum.lateQuorumExtension,
            least.lateQuorumExtension,
            most.lateQuorumExtension
        );
        _requireLimit("timelockDelay", minimum.timelockDelay, least.timelockDelay, most.timelockDelay);
        _requireLimit("quorumBps", minimum.quorumBps, least.quorumBps, most.quorumBps);
        _requireTime(
            uint256(minimum.epochLength) + minimum.postingDelay + minimum.window,
            uint256(minimum.votingDelay) + minimum.votingPeriod + minimum.lateQuorumExtension
        );
    }

    function _requireLimit(bytes32 setting, uint256 value, uint256 minimum, uint256 maximum) private pure {
        if (value < minimum || value > maximum) revert ModelRegistryLimitRefused(setting, value, minimum, maximum);
    }

    function _single(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {GovernorUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/GovernorUpgradeable.sol";
import {TimelockControllerUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";
import {GovernorCountingSimpleUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorCountingSimpleUpgradeable.sol";
import {GovernorPreventLateQuorumUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorPreventLateQuorumUpgradeable.sol";
import {GovernorSettingsUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorSettingsUpgradeable.sol";
import {GovernorTimelockControlUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorTimelockControlUpgradeable.sol";
import {GovernorVotesUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorVotesUpgradeable.sol";
import {GovernorVotesQuorumFractionUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorVotesQuorumFractionUpgradeable.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SlotDerivation} from "@openzeppelin/contracts/utils/SlotDerivation.sol";
import {StorageSlot} from "@openzeppelin/contracts/utils/StorageSlot.sol";
import {IBootstrap} from "../interfaces/IBootstrap.sol";
import {IModelGovernor} from "../interfaces/IModelGovernor.sol";
import {GovernorConfig, IModelRegistry, Limits} from "../interfaces/IModelRegistry.sol";
import {Protocol} from "../libraries/Protocol.sol";

/// @title ModelGovernor
/// @notice Implementation behind every model's governor.
contract ModelGovernor is
    IModelGovernor,
    GovernorUpgradeable,
    GovernorSettingsUpgradeable,
    GovernorCountingSimpleUpgradeable,
    GovernorVotesUpgradeable,
    GovernorVotesQuorumFractionUpgradeable,
    GovernorTimelockControlUpgradeable,
    GovernorPreventLateQuorumUpgradeable
{
    using SlotDerivation for bytes32;
    using StorageSlot for bytes32;

    /// @dev Fixed at creation, in one slot.
    struct Bounds {
        uint96 quorumFloor;
        uint96 thresholdCeiling;
        uint32 longestVote;
    }

    /// @dev What is kept of a proposal.
    struct Note {
        /// Its description names no proposer.
        bool unnamed;
        /// Of a dispute that has a quorum: whether more votes are for the root, and how often a change of that prolonged its vote.
        bool stands;
        uint8 swings;
    }

    /// @dev The proposal threshold may be this part of the shares that there are.
    uint256 private constant THRESHOLD_PART = 10;

    /// @dev How often a change of the lead prolongs the vote on a dispute, so that it ends.
    uint8 private constant MAX_SWINGS = 2;

    /// @dev Where GovernorPreventLateQuorumUpgradeable keeps the deadlines that it extends: the second slot of ERC-7201's
    /// openzeppelin.storage.GovernorPreventLateQuorum. Deadlines of our own beside them would cost every vote a read more.
    bytes32 private constant EXTENDED_DEADLINES = 0x042f525fd47e44d02e065dd7bb464f47b4f926fbd05b5e087891ebd756adf101;

    IModelRegistry private immutable REGISTRY;
    address private immutable REWARDS;
    IBootstrap private immutable BOOTSTRAP;

    Bounds private _bounds;

    mapping(uint256 proposalId => Note) private _notes;

    /// @notice The implementation itself can never be initialised.
    /// @param registry_ The registry that makes the clones and holds the limits.
    /// @param rewards_ Opens the votes on disputed roots.
    /// @param bootstrap_ Says what holders may decide while a model is young.
    constructor(IModelRegistry registry_, address rewards_, IBootstrap bootstrap_) {
        REGISTRY = registry_;
        REWARDS = rewards_;
        BOOTSTRAP = bootstrap_;
        _disableInitializers();
    }

    /// @inheritdoc IModelGovernor
    function initialize(
        string calldata name_,
        address shares,
        address timelock_,
        GovernorConfig calldata config,
        uint96 thresholdCeiling,
        uint32 longestVote
    ) external initializer {
        if (msg.sender != address(REGISTRY)) revert ModelGovernorOnlyRegistry(msg.sender);
        _bounds = Bounds(SafeCast.toUint96(config.quorumFloor), thresholdCeiling, longestVote);
        __Governor_init(name_);
        __GovernorSettings_init(config.votingDelay, config.votingPeriod, config.proposalThreshold);
        __GovernorCountingSimple_init();
        __GovernorVotes_init(IVotes(shares));
        __GovernorVotesQuorumFraction_init(config.quorumBps);
        __GovernorTimelockControl_init(TimelockControllerUpgradeable(payable(timelock_)));
        __GovernorPreventLateQuorum_init(config.lateQuorumExtension);
    }

    /// @inheritdoc IModelGovernor
    function openDispute(bytes calldata action, string calldata text) external returns (uint256) {
        if (msg.sender != REWARDS) revert ModelGovernorOnlyRewards(msg.sender);
        address[] memory targets = new address[](1);
        bytes[] memory calls = new bytes[](1);
        (targets[0], calls[0]) = (msg.sender, action);
        return _propose(targets, new uint256[](1), calls, text, msg.sender);
    }

    /// @inheritdoc IModelGovernor
    function rewards() external view returns (address) {
        return REWARDS;
    }

    /// @inheritdoc IModelGovernor
    function bootstrap() external view returns (address) {
        return address(BOOTSTRAP);
    }

    /// @inheritdoc IModelGovernor
    function quorumFloor() external view returns (uint256) {
        return _bounds.quorumFloor;
    }

    /// @inheritdoc IModelGovernor
    function maxVoteLength() external view returns (uint256) {
        return _bounds.longestVote;
    }

    /// @inheritdoc IModelGovernor
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @inheritdoc IModelGovernor
    function maxProposalThreshold() public view returns (uint256) {
        uint256 supply = IERC20(address(token())).totalSupply();
        return Math.min(supply / THRESHOLD_PART, _bounds.thresholdCeiling);
    }

    /// @inheritdoc IModelGovernor
    function proposalExpiry(uint256 proposalId) public view returns (uint256) {
        uint256 eta = proposalEta(proposalId);
        uint256 since = eta == 0 ? proposalDeadline(proposalId) : eta;
        return since == 0 ? 0 : since + Protocol.GRACE_PERIOD;
    }

    /// @notice Refused with ModelGovernorTimelockFixed: the registry knows the model by this timelock for ever.
    function updateTimelock(TimelockControllerUpgradeable) public pure override {
        revert ModelGovernorTimelockFixed();
    }

    /// @notice Votes needed at a time: the fraction of the supply, or the floor where that is more.
    /// @param timepoint In the past, in seconds since 1970.
    /// @return Votes, in wei of shares.
    function quorum(
        uint256 timepoint
    ) public view override(GovernorUpgradeable, GovernorVotesQuorumFractionUpgradeable) returns (uint256) {
        return Math.max(super.quorum(timepoint), _bounds.quorumFloor);
    }

    /// @notice The quorum's fraction is in basis points.
    /// @return Basis points of the whole supply.
    function quorumDenominator() public pure override returns (uint256) {
        return Protocol.BPS;
    }

    /// @notice How long after a proposal its vote begins.
    /// @return Seconds.
    function votingDelay() public view override(GovernorUpgradeable, GovernorSettingsUpgradeable) returns (uint256) {
        return super.votingDelay();
    }

    /// @notice How long a vote lasts.
    /// @return Seconds.
    function votingPeriod() public view override(GovernorUpgradeable, GovernorSettingsUpgradeable) returns (uint256) {
        return super.votingPeriod();
    }

    /// @notice Votes needed to propose.
    /// @return Votes, in wei of shares.
    function proposalThreshold()
        public
        view
        override(GovernorUpgradeable, GovernorSettingsUpgradeable)
        returns (uint256)
    {
        return super.proposalThreshold();
    }

    /// @notice State of a proposal, the timelock's part included: Expired where it was accepted and `proposalExpiry` is over
    /// before its next step.
    /// @dev Reverts with GovernorNonexistentProposal.
    /// @param proposalId The proposal.
    /// @return Its state.
    function state(
        uint256 proposalId
    ) public view override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (ProposalState) {
        ProposalState current = super.state(proposalId);
        if (current != ProposalState.Succeeded && current != ProposalState.Queued) return current;
        return block.timestamp > proposalExpiry(proposalId) ? ProposalState.Expired : current;
    }

    /// @notice Every proposal waits in the timelock.
    /// @param proposalId The proposal.
    /// @return True.
    function proposalNeedsQueuing(
        uint256 proposalId
    ) public view override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (bool) {
        return super.proposalNeedsQueuing(proposalId);
    }

    /// @notice End of a vote, later than planned where the quorum came late, or the lead of a dispute changed late.
    /// @param proposalId The proposal.
    /// @return Seconds since 1970; 0 for a proposal that does not exist.
    function proposalDeadline(
        uint256 proposalId
    ) public view override(GovernorUpgradeable, GovernorPreventLateQuorumUpgradeable) returns (uint256) {
        return super.proposalDeadline(proposalId);
    }

    function _setVotingDelay(uint48 newVotingDelay) internal override {
        (Limits memory minimum, Limits memory maximum) = _limits();
        _requireWithin(newVotingDelay, minimum.votingDelay, maximum.votingDelay);
        _requireVoteFits(newVotingDelay, votingPeriod(), lateQuorumVoteExtension());
        super._setVotingDelay(newVotingDelay);
    }

    function _setVotingPeriod(uint32 newVotingPeriod) internal override {
        (Limits memory minimum, Limits memory maximum) = _limits();
        _requireWithin(newVotingPeriod, minimum.votingPeriod, maximum.votingPeriod);
        _requireVoteFits(votingDelay(), newVotingPeriod, lateQuorumVoteExtension());
        super._setVotingPeriod(newVotingPeriod);
    }

    function _setLateQuorumVoteExtension(uint48 newVoteExtension) internal override {
        (Limits memory minimum, Limits memory maximum) = _limits();
        _requireWithin(newVoteExtension, minimum.lateQuorumExtension, maximum.lateQuorumExtension);
        _requireVoteFits(votingDelay(), votingPeriod(), newVoteExtension);
        super._setLateQuorumVoteExtension(newVoteExtension);
    }

    function _setProposalThreshold(uint256 newProposalThreshold) internal override {
        // No share is minted before the model is made: the registry has held this one to the ceiling alone.
        if (!_isInitializing()) _requireWithin(newProposalThreshold, 0, maxProposalThreshold());
        super._setProposalThreshold(newProposalThreshold);
    }

    function _updateQuorumNumerator(uint256 newQuorumNumerator) internal override {
        (Limits memory minimum, Limits memory maximum) = _limits();
        _requireWithin(newQuorumNumerator, minimum.quorumBps, maximum.quorumBps);
        super._updateQuorumNumerator(newQuorumNumerator);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256 proposalId) {
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        // A description that names somebody is refused to everybody else, the zero address included.
        if (_isValidDescriptionForProposer(address(0), description)) _notes[proposalId].unnamed = true;
        // Last: what comes there is one value and one call for each target.
        if (proposer != REWARDS) BOOTSTRAP.requireVotable(targets, values, calldatas);
    }

    /// @dev Either side of a dispute can reach its quorum early, and so use up what a late one prolongs. A change of the lead that
    /// leaves nobody the time to answer prolongs the vote as well.
    function _tallyUpdated(
        uint256 proposalId
    ) internal override(GovernorUpgradeable, GovernorPreventLateQuorumUpgradeable) {
        super._tallyUpdated(proposalId);
        if (proposalProposer(proposalId) != REWARDS) return;
        StorageSlot.Uint256Slot storage extended = EXTENDED_DEADLINES.deriveMapping(proposalId).getUint256Slot();
        // Recorded with the quorum, late or not.
        if (extended.value == 0) return;
        (uint256 against, uint256 inFavour, ) = proposalVotes(proposalId);
        bool stands = inFavour > against;
        Note storage note = _notes[proposalId];
        if (stands == note.stands) return;
        note.stands = stands;
        // A vote that reaches the quorum has left that time already.
        uint48 deadline = clock() + lateQuorumVoteExtension();
        if (note.swings == MAX_SWINGS || deadline <= proposalDeadline(proposalId)) return;
        ++note.swings;
        extended.value = deadline;
        emit ProposalExtended(proposalId, deadline);
    }

    /// @dev Either side of a dispute can reach its quorum, who abstains decides nothing, and no vote is no quorum. Nobody but the
    /// rewards opens one, and they open nothing else.
    function _quorumReached(
        uint256 proposalId
    ) internal view override(GovernorUpgradeable, GovernorCountingSimpleUpgradeable) returns (bool) {
        if (proposalProposer(proposalId) != REWARDS) return super._quorumReached(proposalId);
        (uint256 against, uint256 inFavour, ) = proposalVotes(proposalId);
        uint256 most = Math.max(against, inFavour);
        return most != 0 && most >= quorum(proposalSnapshot(proposalId));
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _validateCancel(uint256 proposalId, address caller) internal view override returns (bool) {
        return !_notes[proposalId].unnamed && super._validateCancel(proposalId, caller);
    }

    function _executor()
        internal
        view
        override(GovernorUpgradeable, GovernorTimelockControlUpgradeable)
        returns (address)
    {
        return super._executor();
    }

    function _requireVoteFits(uint256 delay, uint256 period, uint256 extension) private view {
        uint256 length = delay + period + extension;
        uint256 maximum = _bounds.longestVote;
        if (length > maximum) revert ModelGovernorVoteTooLong(length, maximum);
    }

    function _limits() private view returns (Limits memory minimum, Limits memory maximum) {
        return REGISTRY.limits();
    }

    function _requireWithin(uint256 value, uint256 minimum, uint256 maximum) private pure {
        if (value < minimum || value > maximum) revert ModelGovernorSettingOutOfBounds(value, minimum, maximum);
    }
}

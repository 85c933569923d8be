// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @notice When a model's bootstrap is over.
/// @param shares What workers must have claimed at the least, in wei of shares.
/// @param epochs How many epochs must be over.
/// @param maxEpochs After how many epochs it is over, whatever was claimed.
/// @param endedAt When it was over, in seconds since 1970; 0 while it is not.
struct BootstrapTerms {
    uint128 shares;
    uint32 epochs;
    uint32 maxEpochs;
    uint48 endedAt;
}

/// @title IBootstrap
/// @notice A young model has too few holders to decide. Until workers have claimed enough shares, twice a quorum at the least, and
/// enough epochs are over, its organiser is the court of disputes; but no longer than a number of epochs that stands from the
/// beginning, since who rules on what is paid could keep workers from claiming. The terms are fixed at the model's creation; the end
/// comes once, for ever, by anybody's call, by the next dispute or by the next proposal.
/// Until then votes set a run's parameters within its bounds, pause and resume it, and nothing else, which is checked when they
/// are proposed: nothing that few votes decide outlives the bootstrap. The organiser chooses validators (a third of the set an
/// epoch) and maintainers, and a run's poster and builds, has a paused run go on, ends a run and registers the next one. It announces
/// each of these acts, with every argument and nothing else, one window ahead, and one at a time of each kind: of a function, and of
/// the run or model that it concerns. Nothing that it announced can be done once bootstrap is over.
interface IBootstrap {
    /// @notice A model is in bootstrap.
    /// @param modelId The model.
    /// @param shares What workers must have claimed at the least for its end, in wei of shares.
    /// @param epochs How many epochs must be over.
    /// @param maxEpochs After how many epochs it is over, whatever was claimed.
    event BootstrapOpened(ModelId indexed modelId, uint128 shares, uint32 epochs, uint32 maxEpochs);

    /// @notice A model's bootstrap is over, for ever.
    /// @param modelId The model.
    /// @param claimed What workers had claimed, in wei of shares.
    event BootstrapEnded(ModelId indexed modelId, uint256 claimed);

    /// @notice A model's organiser will do this, unless it withdraws it.
    /// @param modelId The model.
    /// @param target The contract that it calls.
    /// @param call What it calls there, with all arguments.
    /// @param readyAt From when on it may, in seconds since 1970.
    event ActAnnounced(ModelId indexed modelId, address indexed target, bytes call, uint48 readyAt);

    /// @notice A model's organiser will not do what it had announced.
    /// @param modelId The model.
    /// @param target The contract that it would have called.
    /// @param call What it would have called there.
    event ActWithdrawn(ModelId indexed modelId, address indexed target, bytes call);

    /// @notice A model's organiser does what it had announced.
    /// @param modelId The model.
    /// @param target The contract that it calls.
    /// @param call What it calls there.
    event ActCarriedOut(ModelId indexed modelId, address indexed target, bytes call);

    /// @notice Holders may not decide this in bootstrap.
    /// @param index Which call of the proposal, from 0.
    /// @param target What it calls.
    /// @param selector What it calls there; 0 for what names no function.
    error BootstrapVoteRefused(uint256 index, address target, bytes4 selector);
    /// @notice The organiser may not do this, announced or not.
    /// @param target What it would call.
    /// @param selector What it would call there; 0 for what names no function.
    error BootstrapActRefused(address target, bytes4 selector);
    /// @notice Only the model's organiser announces, withdraws and carries out.
    /// @param modelId The model.
    /// @param caller Who called.
    error BootstrapNotOrganiser(ModelId modelId, address caller);
    /// @notice The model's bootstrap is over, and what the organiser could do in it.
    /// @param modelId The model.
    error BootstrapOver(ModelId modelId);
    /// @notice This was not announced, or it was withdrawn or done.
    /// @param act What names it: `actOf`.
    error BootstrapNotAnnounced(bytes32 act);
    /// @notice An act of this kind is announced already: the organiser withdraws it, does it, or waits until it has expired.
    /// @param act What names the one that stands.
    /// @param expiry Until when that can be done, in seconds since 1970.
    error BootstrapActStands(bytes32 act, uint256 expiry);
    /// @notice It was announced less than a window ago.
    /// @param readyAt From when on it may be done, in seconds since 1970.
    error BootstrapTooEarly(uint256 readyAt);
    /// @notice It was announced too long ago.
    /// @param expiry Until when it could be done, in seconds since 1970.
    error BootstrapExpired(uint256 expiry);
    /// @notice The terms are not met.
    /// @param claimed What workers have claimed, in wei of shares.
    /// @param needed What they must have claimed.
    /// @param epochsOver How many epochs are over.
    /// @param epochs How many must be.
    /// @param maxEpochs After how many it is over, whatever was claimed.
    error BootstrapNotOver(uint256 claimed, uint256 needed, uint256 epochsOver, uint32 epochs, uint32 maxEpochs);
    /// @notice There is no such model.
    /// @param modelId What was named as the model.
    error BootstrapUnknownModel(ModelId modelId);

    /// @notice Records a new model's terms; the registry only.
    /// @dev Reverts with ModelAuthorityUnauthorized.
    /// @param modelId The new model.
    /// @param shares What workers must have claimed at the least, in wei of shares.
    /// @param epochs How many epochs must be over.
    /// @param maxEpochs After how many epochs it is over, whatever was claimed.
    function open(ModelId modelId, uint128 shares, uint32 epochs, uint32 maxEpochs) external;

    /// @notice Ends a model's bootstrap once its terms are met; anyone may. Does nothing where it has ended.
    /// @dev Reverts with BootstrapUnknownModel, BootstrapNotOver.
    /// @param modelId The model.
    function end(ModelId modelId) external;

    /// @notice The same, for whoever goes on where the terms are not met.
    /// @dev Reverts with BootstrapUnknownModel.
    /// @param modelId The model.
    /// @return Whether the model's bootstrap has ended, be it now.
    function endIfDue(ModelId modelId) external returns (bool);

    /// @notice Holds what a governor's holders are to decide to what bootstrap allows. Ends a bootstrap that is due, and lets everything
    /// pass once it is over. Each governor calls it with each proposal, but for the disputes that the rewards open.
    /// @dev Reverts with BootstrapVoteRefused, RunRegistryUnknownRun.
    /// @param targets What the proposal calls.
    /// @param values What it sends along, in wei; nothing in bootstrap.
    /// @param calls What it calls there.
    function requireVotable(address[] calldata targets, uint256[] calldata values, bytes[] calldata calls) external;

    /// @notice Says what the organiser will do; the organiser only, in bootstrap. One act of each kind stands at a time: of a function,
    /// and of the run or model that is its first argument.
    /// @dev Reverts with BootstrapNotOrganiser, BootstrapOver, BootstrapActRefused, BootstrapActStands, RunRegistryUnknownRun, and
    /// without a reason where the arguments cannot be decoded.
    /// @param modelId The model.
    /// @param target ValidatorSet or RunRegistry.
    /// @param call There: setValidators, setMaintainers; registerRun, setPoster, admitBuild, or setStatus that finishes, or opens a run that
    /// is paused. As the ABI encodes it, without a byte more.
    /// @return readyAt From when on it may be carried out, in seconds since 1970: in one window.
    function announce(ModelId modelId, address target, bytes calldata call) external returns (uint48 readyAt);

    /// @notice Takes an announcement back; the organiser only.
    /// @dev Reverts with BootstrapNotOrganiser, BootstrapNotAnnounced.
    /// @param modelId The model.
    /// @param target As announced.
    /// @param call As announced.
    function withdraw(ModelId modelId, address target, bytes calldata call) external;

    /// @notice Does what was announced, once; the organiser only, in bootstrap, one window after the announcement and within the grace
    /// period of 21 days after that.
    /// @dev Reverts with BootstrapNotOrganiser, BootstrapOver, BootstrapNotAnnounced, BootstrapTooEarly, BootstrapExpired, and as
    /// the target does.
    /// @param modelId The model.
    /// @param target As announced.
    /// @param call As announced.
    function carryOut(ModelId modelId, address target, bytes calldata call) external;

    /// @notice From when on an announced act may be carried out.
    /// @param act What names it: `actOf`.
    /// @return In seconds since 1970; 0 for what is not announced, was withdrawn or is done.
    function readyAtOf(bytes32 act) external view returns (uint48);

    /// @notice What stands where an act would be announced, or stood there until it expired.
    /// @dev Reverts without a reason where the call has no first argument.
    /// @param modelId The model.
    /// @param target The contract that it calls.
    /// @param call What it calls there; all but the function and its first argument does not matter.
    /// @return What names it: `actOf`; 0 for none.
    function standingOf(ModelId modelId, address target, bytes calldata call) external view returns (bytes32);

    /// @notice What an act is kept by.
    /// @param modelId The model.
    /// @param target The contract that it calls.
    /// @param call What it calls there, with all arguments.
    /// @return Its name.
    function actOf(ModelId modelId, address target, bytes calldata call) external pure returns (bytes32);

    /// @notice Whether a model's bootstrap has ended.
    /// @param modelId The model.
    /// @return True from its end on; being due is not enough.
    function isOver(ModelId modelId) external view returns (bool);

    /// @notice What workers have claimed: what was minted for compute less what still lies where they claim it. Shares that
    /// somebody sends there count as not claimed.
    /// @param modelId The model.
    /// @return In wei of shares.
    function claimedOf(ModelId modelId) external view returns (uint256);

    /// @notice What workers must have claimed by now: the terms' shares, or two quorums of the shares that there are, where that is
    /// more. Holders who cannot make a quorum would be no court.
    /// @param modelId The model.
    /// @return In wei of shares.
    function neededOf(ModelId modelId) external view returns (uint256);

    /// @notice When a model's bootstrap is over.
    /// @param modelId The model.
    /// @return The terms; all zero for a model that does not exist.
    function termsOf(ModelId modelId) external view returns (BootstrapTerms memory);

    /// @notice Says what was minted.
    /// @return Address of Emission.
    function emission() external view returns (address);

    /// @notice Where workers claim.
    /// @return Address of ComputeRewards.
    function rewards() external view returns (address);

    /// @notice Where runs are.
    /// @return Address of RunRegistry.
    function runs() external view returns (address);
}

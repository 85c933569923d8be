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
/// comes once, for ever, by anybody's call or by the next dispute.
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
}

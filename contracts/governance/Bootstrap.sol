// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BootstrapTerms, IBootstrap} from "../interfaces/IBootstrap.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IEmission} from "../interfaces/IEmission.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {COMPUTE} from "../interfaces/Kinds.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";
import {ModelGovernor} from "./ModelGovernor.sol";

/// @title Bootstrap
/// @notice See IBootstrap.
contract Bootstrap is IBootstrap, ModelAuthority {
    /// @dev How many quorums of the supply must be claimed: not all who claim vote.
    uint256 private constant QUORUMS = 2;

    IEmission private immutable EMISSION;
    address private immutable REWARDS;

    mapping(ModelId modelId => BootstrapTerms) private _terms;

    /// @notice Knows three contracts, for ever.
    /// @param registry_ Knows every model's shares and clock.
    /// @param emission_ Says what was minted.
    /// @param rewards_ Where workers claim.
    constructor(IModelRegistry registry_, IEmission emission_, address rewards_) ModelAuthority(registry_) {
        EMISSION = emission_;
        REWARDS = rewards_;
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

    function _epochsOver(ModelId modelId) private view returns (uint256) {
        Schedule memory schedule = REGISTRY.scheduleOf(modelId);
        if (schedule.start == 0) revert BootstrapUnknownModel(modelId);
        return Epochs.at(schedule, block.timestamp) - 1;
    }
}

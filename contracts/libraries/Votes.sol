// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelGovernor} from "../governance/ModelGovernor.sol";
import {ModelTimelock} from "../governance/ModelTimelock.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";

/// @title Votes
/// @notice How long a model's holders take to decide, by the settings in force.
library Votes {
    /// @notice The longest vote: from the proposal to the end, a late quorum included.
    /// @param registry Knows the model's governor.
    /// @param modelId The model.
    /// @return In seconds.
    function length(IModelRegistry registry, ModelId modelId) internal view returns (uint256) {
        ModelGovernor governor = ModelGovernor(payable(registry.governorOf(modelId)));
        return governor.votingDelay() + governor.votingPeriod() + governor.lateQuorumVoteExtension();
    }

    /// @notice Time to notice something, to vote against it and to carry the vote out.
    /// @param registry Knows the model's window, governor and timelock.
    /// @param modelId The model.
    /// @return In seconds.
    function veto(IModelRegistry registry, ModelId modelId) internal view returns (uint256) {
        uint256 delay = ModelTimelock(payable(registry.timelockOf(modelId))).getMinDelay();
        return registry.scheduleOf(modelId).window + length(registry, modelId) + delay;
    }
}

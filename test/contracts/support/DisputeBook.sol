// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Dispute, Outcome, Ruled} from "../../../contracts/interfaces/IDisputes.sol";
import {ModelId} from "../../../contracts/interfaces/Ids.sol";

/// @notice What stake asks of disputes, as a test wants it.
contract DisputeBook {
    mapping(ModelId modelId => mapping(uint8 kind => Dispute)) private _disputes;
    mapping(bytes32 digest => Ruled) private _ruled;
    bool private _inBootstrap;

    function set(ModelId modelId, uint8 kind, uint32 number, Outcome outcome) external {
        Dispute storage dispute = _disputes[modelId][kind];
        (dispute.number, dispute.outcome) = (number, outcome);
        dispute.endedAt = outcome == Outcome.Open ? 0 : uint48(block.timestamp);
    }

    function rule(bytes32 digest, Outcome outcome, address disputer) external {
        _ruled[digest] = Ruled(uint48(block.timestamp), outcome, disputer, true);
    }

    /// @dev Void, and no vote was held.
    function ruleAlone(bytes32 digest, address disputer) external {
        _ruled[digest] = Ruled(uint48(block.timestamp), Outcome.Void, disputer, false);
    }

    function begin() external {
        _inBootstrap = true;
    }

    /// @dev Says itself whether a model is in bootstrap.
    function bootstrap() external view returns (address) {
        return address(this);
    }

    function isOver(ModelId) external view returns (bool) {
        return !_inBootstrap;
    }

    function disputeOf(ModelId modelId, uint8 kind) external view returns (Dispute memory) {
        return _disputes[modelId][kind];
    }

    function ruledOf(bytes32 digest) external view returns (Ruled memory) {
        return _ruled[digest];
    }
}

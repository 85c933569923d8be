// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Dispute, Outcome} from "../../../contracts/interfaces/IDisputes.sol";
import {ModelId} from "../../../contracts/interfaces/Ids.sol";

/// @notice What stake asks of disputes, as a test wants it.
contract DisputeBook {
    struct Last {
        bytes32 digest;
        uint48 voidedAt;
    }

    mapping(ModelId modelId => mapping(uint8 kind => Last)) private _last;
    mapping(bytes32 digest => Dispute) private _disputes;
    bool private _inBootstrap;

    /// @dev What is disputed is called by its number.
    function set(ModelId modelId, uint8 kind, uint32 number, Outcome outcome) external {
        Last storage last = _last[modelId][kind];
        last.digest = outcome == Outcome.Open ? bytes32(uint256(number)) : bytes32(0);
        if (outcome == Outcome.Void) last.voidedAt = uint48(block.timestamp);
    }

    function rule(bytes32 digest, Outcome outcome, address disputer) external {
        Dispute storage dispute = _disputes[digest];
        (dispute.endedAt, dispute.outcome, dispute.disputer) = (uint48(block.timestamp), outcome, disputer);
        dispute.voted = outcome == Outcome.Stands || outcome == Outcome.Void;
    }

    /// @dev Void, and no vote was held.
    function ruleAlone(bytes32 digest, address disputer) external {
        Dispute storage dispute = _disputes[digest];
        (dispute.endedAt, dispute.outcome, dispute.disputer) = (uint48(block.timestamp), Outcome.Void, disputer);
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

    function disputedOf(ModelId modelId, uint8 kind) external view returns (bytes32 digest, uint48 voidedAt) {
        Last memory last = _last[modelId][kind];
        return (last.digest, last.voidedAt);
    }

    function disputeOf(bytes32 digest) external view returns (Dispute memory) {
        return _disputes[digest];
    }
}

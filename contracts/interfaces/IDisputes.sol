// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @notice How a dispute ended: not yet, for the root, against it, or without a decision, which is against it too.
enum Outcome {
    Open,
    Stands,
    Void,
    Undecided
}

/// @notice A dispute about a pending root.
/// @param disputer Who put up the bond.
/// @param bond What was put up, in wei of the chain's coin.
/// @param proposalId The vote, in the model's governor.
/// @param digest Struct hash of the attestation that is disputed.
/// @param openedAt In seconds since 1970.
/// @param rulableUntil Until when the organiser may rule, in seconds since 1970; 0 where it was opened after bootstrap.
/// @param endedAt In seconds since 1970; 0 while it is open.
/// @param activatableAt From when on the root may be activated if it stands, in seconds since 1970.
/// @param number Of the disputes of this model and kind, from 1; 0 for none.
/// @param outcome How it ended.
struct Dispute {
    address disputer;
    uint96 bond;
    uint256 proposalId;
    bytes32 digest;
    uint48 openedAt;
    uint48 rulableUntil;
    uint48 endedAt;
    uint48 activatableAt;
    uint32 number;
    Outcome outcome;
}

/// @notice What became of an attestation that was disputed. It is never accepted again.
/// @param endedAt When, in seconds since 1970; 0 for one that no dispute has ended about.
/// @param outcome How the dispute ended.
/// @param disputer Who disputed it.
struct Ruled {
    uint48 endedAt;
    Outcome outcome;
    address disputer;
}

/// @title IDisputes
/// @notice What stake must know of disputes: whether one is open, and which attestations were void.
interface IDisputes {
    /// @notice The newest dispute of a model and kind; all zero where there was none.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return The dispute.
    function disputeOf(ModelId modelId, uint8 kind) external view returns (Dispute memory);

    /// @notice What became of an attestation that was disputed; all zero where no dispute has ended about it.
    /// @param digest Struct hash of the attestation.
    /// @return What.
    function ruledOf(bytes32 digest) external view returns (Ruled memory);
}

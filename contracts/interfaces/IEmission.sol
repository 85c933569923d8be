// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice A budget, in force from an epoch until the next one's begins.
struct Budget {
    uint32 fromEpoch;
    uint128 perEpoch;
    uint16 computeBps;
    uint16 codeBps;
    uint16 capitalBps;
    uint16 treasuryBps;
}

/// @title IEmission
/// @notice The only minter of every model's shares. Each epoch has a budget, split by kind: 1 compute, 2 code,
/// 3 capital, 4 treasury. What a kind's distributor does not authorise within 30 days after an epoch's end is never
/// minted.
interface IEmission {
    /// @notice A budget is in force from an epoch on.
    event BudgetSet(bytes32 indexed modelId, uint64 indexed fromEpoch, uint128 perEpoch, uint16[4] bps);

    /// @notice Shares were minted to a kind's distributor, on account of the epochs `from` to `to`.
    event EmissionAuthorised(
        bytes32 indexed modelId,
        uint8 indexed kind,
        uint64 from,
        uint64 to,
        uint48 asOf,
        uint256 amount
    );

    /// @notice There is no such model.
    error EmissionUnknownModel(bytes32 modelId);
    /// @notice The split must sum to 10,000 basis points.
    error EmissionSplit(uint256 sum);
    /// @notice The budget of a year's epochs is above the yearly cap.
    error EmissionAboveYearlyCap(uint256 perYear, uint256 yearlyCap);
    /// @notice The caller does not distribute this kind.
    error EmissionNotDistributor(uint8 kind, address caller);
    /// @notice The range is empty, begins at 0 or reaches beyond the current epoch.
    error EmissionBadRange(uint64 from, uint64 to, uint64 current);
    /// @notice More than the epochs' budget that is left.
    error EmissionOverBudget(uint256 amount, uint256 authorisable);

    /// @notice Records a new model's cap and first budget; the registry only.
    function open(bytes32 modelId, uint128 yearlyCap, uint128 perEpoch, uint16[4] calldata bps) external;

    /// @notice Sets the budget from the next epoch on; the model's timelock only.
    function setBudget(bytes32 modelId, uint128 perEpoch, uint16[4] calldata bps) external;

    /// @notice Mints to the kind's distributor, which alone may call. No epoch up to `to` can be authorised again for
    /// that kind.
    /// @param asOf The time at which the age of the epochs is judged: an attestation's deadline, so that all signers see
    /// one budget and activation cannot fail for age.
    function authorise(bytes32 modelId, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) external;

    /// @notice What may still be authorised for a kind on account of the epochs `from` to `to`.
    function authorisable(
        bytes32 modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256);

    /// @notice The epoch of a time, counted from 1; 0 before the model's creation.
    function epochOf(bytes32 modelId, uint48 timestamp) external view returns (uint64);

    /// @notice The time at which an epoch is over.
    function epochEnd(bytes32 modelId, uint64 epoch) external view returns (uint48);

    /// @notice The budget in force in an epoch; all zero for epoch 0.
    function budgetOf(bytes32 modelId, uint64 epoch) external view returns (Budget memory);

    /// @notice The yearly cap, fixed at creation.
    function yearlyCapOf(bytes32 modelId) external view returns (uint128);

    /// @notice The last epoch on whose account a kind was authorised.
    function authorisedThrough(bytes32 modelId, uint8 kind) external view returns (uint64);

    /// @notice The contract that distributes a kind; 0 where there is none.
    function distributorOf(uint8 kind) external view returns (address);
}

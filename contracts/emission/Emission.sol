// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Budget, IEmission} from "../interfaces/IEmission.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IModelShares} from "../interfaces/IModelShares.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title Emission
/// @notice See IEmission. An epoch's budget cannot change once the epoch has begun; the yearly cap is kept by refusing
/// budgets that would break it, so that authorising meets no second limit.
contract Emission is IEmission, ModelAuthority {
    uint8 private constant COMPUTE = 1;
    uint8 private constant KINDS = 4;
    uint256 private constant BPS = 10_000;
    uint256 private constant YEAR = 365 days;
    uint256 private constant MAX_AGE = 30 days;

    address private immutable COMPUTE_REWARDS;

    struct Books {
        uint128 yearlyCap;
        uint32[KINDS] through;
        Budget[] budgets;
    }

    mapping(bytes32 modelId => Books) private _books;

    /// @param registry_ Says which timelock commands a model, its shares and its clock.
    /// @param computeRewards Distributor of compute.
    constructor(IModelRegistry registry_, address computeRewards) ModelAuthority(registry_) {
        COMPUTE_REWARDS = computeRewards;
    }

    /// @inheritdoc IEmission
    function open(
        bytes32 modelId,
        uint128 yearlyCap,
        uint128 perEpoch,
        uint16[4] calldata bps
    ) external onlyRegistry(modelId) {
        _books[modelId].yearlyCap = yearlyCap;
        _setBudget(modelId, _schedule(modelId), 1, perEpoch, bps);
    }

    /// @inheritdoc IEmission
    function setBudget(bytes32 modelId, uint128 perEpoch, uint16[4] calldata bps) external onlyTimelock(modelId) {
        Schedule memory schedule = _schedule(modelId);
        _setBudget(modelId, schedule, _epochOf(schedule, block.timestamp) + 1, perEpoch, bps);
    }

    /// @inheritdoc IEmission
    function authorise(bytes32 modelId, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) external {
        if (msg.sender != distributorOf(kind)) revert EmissionNotDistributor(kind, msg.sender);
        Schedule memory schedule = _schedule(modelId);
        uint256 current = _epochOf(schedule, block.timestamp);
        if (from == 0 || from > to || to > current) revert EmissionBadRange(from, to, uint64(current));

        uint256 limit = _authorisable(modelId, schedule, kind, from, to, asOf);
        if (amount > limit) revert EmissionOverBudget(amount, limit);

        Books storage books = _books[modelId];
        if (to > books.through[kind - 1]) books.through[kind - 1] = uint32(to);
        emit EmissionAuthorised(modelId, kind, from, to, asOf, amount);
        if (amount != 0) IModelShares(REGISTRY.sharesOf(modelId)).mint(msg.sender, amount);
    }

    /// @inheritdoc IEmission
    function authorisable(
        bytes32 modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256) {
        return _authorisable(modelId, _schedule(modelId), kind, from, to, asOf);
    }

    /// @inheritdoc IEmission
    function epochOf(bytes32 modelId, uint48 timestamp) external view returns (uint64) {
        return uint64(_epochOf(_schedule(modelId), timestamp));
    }

    /// @inheritdoc IEmission
    function epochEnd(bytes32 modelId, uint64 epoch) external view returns (uint48) {
        Schedule memory schedule = _schedule(modelId);
        return uint48(schedule.start + uint256(epoch) * schedule.epochLength);
    }

    /// @inheritdoc IEmission
    function budgetOf(bytes32 modelId, uint64 epoch) external view returns (Budget memory budget) {
        Budget[] storage budgets = _books[modelId].budgets;
        uint256 next = _after(budgets, epoch);
        if (next != 0) budget = budgets[next - 1];
    }

    /// @inheritdoc IEmission
    function yearlyCapOf(bytes32 modelId) external view returns (uint128) {
        return _books[modelId].yearlyCap;
    }

    /// @inheritdoc IEmission
    function authorisedThrough(bytes32 modelId, uint8 kind) external view returns (uint64) {
        return _books[modelId].through[kind - 1];
    }

    /// @inheritdoc IEmission
    function distributorOf(uint8 kind) public view returns (address) {
        return kind == COMPUTE ? COMPUTE_REWARDS : address(0);
    }

    function _setBudget(
        bytes32 modelId,
        Schedule memory schedule,
        uint256 fromEpoch,
        uint128 perEpoch,
        uint16[4] calldata bps
    ) private {
        uint256 sum = uint256(bps[0]) + bps[1] + bps[2] + bps[3];
        if (sum != BPS) revert EmissionSplit(sum);
        Books storage books = _books[modelId];
        uint256 perYear = perEpoch * Math.ceilDiv(YEAR, schedule.epochLength);
        if (perYear > books.yearlyCap) revert EmissionAboveYearlyCap(perYear, books.yearlyCap);

        Budget[] storage budgets = books.budgets;
        uint256 length = budgets.length;
        // A second change within one epoch replaces the first, which was not in force yet.
        if (length != 0 && budgets[length - 1].fromEpoch == fromEpoch) budgets.pop();
        budgets.push(Budget(uint32(fromEpoch), perEpoch, bps[0], bps[1], bps[2], bps[3]));
        emit BudgetSet(modelId, uint64(fromEpoch), perEpoch, bps);
    }

    /// @dev Walks back over the changes of the budget, never over epochs. The walk ends at `first`, which the age limit
    /// keeps within 30 days, so only changes that holders made in that time are met.
    function _authorisable(
        bytes32 modelId,
        Schedule memory schedule,
        uint8 kind,
        uint256 from,
        uint256 to,
        uint256 asOf
    ) private view returns (uint256 total) {
        Books storage books = _books[modelId];
        uint256 first = Math.max(Math.max(from, 1), uint256(books.through[kind - 1]) + 1);
        first = Math.max(first, _firstYoung(schedule, asOf));
        uint256 last = Math.min(to, _epochOf(schedule, block.timestamp));
        if (first > last) return 0;

        Budget[] storage budgets = books.budgets;
        uint256 i = _after(budgets, last);
        while (last >= first) {
            Budget memory budget = budgets[--i];
            uint256 start = Math.max(first, budget.fromEpoch);
            total += (last - start + 1) * ((uint256(budget.perEpoch) * _bps(budget, kind)) / BPS);
            last = start - 1;
        }
    }

    /// @dev How many budgets begin at or before an epoch.
    function _after(Budget[] storage budgets, uint256 epoch) private view returns (uint256 high) {
        high = budgets.length;
        // Nearly always the newest budget is the one.
        if (high != 0 && budgets[high - 1].fromEpoch <= epoch) return high;
        uint256 low = 0;
        while (low < high) {
            uint256 mid = (low + high) / 2;
            if (budgets[mid].fromEpoch <= epoch) low = mid + 1;
            else high = mid;
        }
    }

    function _schedule(bytes32 modelId) private view returns (Schedule memory schedule) {
        schedule = REGISTRY.scheduleOf(modelId);
        if (schedule.start == 0) revert EmissionUnknownModel(modelId);
    }

    /// @dev The first epoch whose end lies at most 30 days before `asOf`.
    function _firstYoung(Schedule memory schedule, uint256 asOf) private pure returns (uint256) {
        uint256 horizon = schedule.start + MAX_AGE;
        return asOf <= horizon ? 1 : Math.ceilDiv(asOf - horizon, schedule.epochLength);
    }

    function _epochOf(Schedule memory schedule, uint256 timestamp) private pure returns (uint256) {
        return timestamp < schedule.start ? 0 : 1 + (timestamp - schedule.start) / schedule.epochLength;
    }

    function _bps(Budget memory budget, uint8 kind) private pure returns (uint256) {
        if (kind == 1) return budget.computeBps;
        if (kind == 2) return budget.codeBps;
        if (kind == 3) return budget.capitalBps;
        return budget.treasuryBps;
    }
}

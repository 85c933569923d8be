// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Budget, IEmission} from "../interfaces/IEmission.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IModelShares} from "../interfaces/IModelShares.sol";
import {CAPITAL, CODE, COMPUTE, KINDS} from "../interfaces/Kinds.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title Emission
/// @notice See IEmission. An epoch's budget cannot change once the epoch has begun; the yearly cap is kept by refusing
/// budgets that would break it, so that authorising meets no second limit.
contract Emission is IEmission, ModelAuthority {
    address private immutable COMPUTE_REWARDS;

    struct Books {
        uint128 yearlyCap;
        uint32[KINDS] through;
        Budget[] budgets;
    }

    mapping(ModelId modelId => Books) private _books;

    /// @notice Mints for one registry's models and pays compute to one contract, for ever.
    /// @param registry_ Says which timelock commands a model, its shares and its clock.
    /// @param computeRewards Distributor of compute.
    constructor(IModelRegistry registry_, address computeRewards) ModelAuthority(registry_) {
        COMPUTE_REWARDS = computeRewards;
    }

    /// @inheritdoc IEmission
    function open(
        ModelId modelId,
        uint128 yearlyCap,
        uint128 perEpoch,
        uint16[KINDS] calldata bps
    ) external onlyRegistry(modelId) {
        _books[modelId].yearlyCap = yearlyCap;
        _setBudget(modelId, _schedule(modelId), 1, perEpoch, bps);
    }

    /// @inheritdoc IEmission
    function setBudget(ModelId modelId, uint128 perEpoch, uint16[KINDS] calldata bps) external onlyTimelock(modelId) {
        Schedule memory schedule = _schedule(modelId);
        _setBudget(modelId, schedule, Epochs.at(schedule, block.timestamp) + 1, perEpoch, bps);
    }

    /// @inheritdoc IEmission
    function authorise(ModelId modelId, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) external {
        if (msg.sender != distributorOf(kind)) revert EmissionNotDistributor(kind, msg.sender);
        Schedule memory schedule = _schedule(modelId);
        uint256 current = Epochs.at(schedule, block.timestamp);
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
        ModelId modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256) {
        return _authorisable(modelId, _schedule(modelId), kind, from, to, asOf);
    }

    /// @inheritdoc IEmission
    function epochOf(ModelId modelId, uint48 timestamp) external view returns (uint64) {
        return uint64(Epochs.at(_schedule(modelId), timestamp));
    }

    /// @inheritdoc IEmission
    function epochEnd(ModelId modelId, uint64 epoch) external view returns (uint48) {
        uint256 end = Epochs.end(_schedule(modelId), epoch);
        if (end > type(uint48).max) revert EmissionEpochTooFar(epoch, end);
        return uint48(end);
    }

    /// @inheritdoc IEmission
    function budgetOf(ModelId modelId, uint64 epoch) external view returns (Budget memory budget) {
        Budget[] storage budgets = _books[modelId].budgets;
        uint256 next = _after(budgets, epoch);
        if (next != 0) budget = budgets[next - 1];
    }

    /// @inheritdoc IEmission
    function yearlyCapOf(ModelId modelId) external view returns (uint128) {
        return _books[modelId].yearlyCap;
    }

    /// @inheritdoc IEmission
    function authorisedThrough(ModelId modelId, uint8 kind) external view returns (uint64) {
        return _books[modelId].through[kind - 1];
    }

    /// @inheritdoc IEmission
    function distributorOf(uint8 kind) public view returns (address) {
        return kind == COMPUTE ? COMPUTE_REWARDS : address(0);
    }

    function _setBudget(
        ModelId modelId,
        Schedule memory schedule,
        uint256 fromEpoch,
        uint128 perEpoch,
        uint16[KINDS] calldata bps
    ) private {
        uint256 sum = uint256(bps[0]) + bps[1] + bps[2] + bps[3];
        if (sum != Protocol.BPS) revert EmissionSplit(sum);
        Books storage books = _books[modelId];
        uint256 perYear = perEpoch * Epochs.perYear(schedule.epochLength);
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
        ModelId modelId,
        Schedule memory schedule,
        uint8 kind,
        uint256 from,
        uint256 to,
        uint256 asOf
    ) private view returns (uint256 total) {
        Books storage books = _books[modelId];
        uint256 first = Math.max(Math.max(from, 1), uint256(books.through[kind - 1]) + 1);
        first = Math.max(first, Epochs.firstEndingFrom(schedule, Math.saturatingSub(asOf, Protocol.BUDGET_AGE)));
        uint256 last = Math.min(to, Epochs.at(schedule, block.timestamp));
        if (first > last) return 0;

        Budget[] storage budgets = books.budgets;
        uint256 i = _after(budgets, last);
        while (last >= first) {
            Budget memory budget = budgets[--i];
            uint256 start = Math.max(first, budget.fromEpoch);
            total += (last - start + 1) * ((uint256(budget.perEpoch) * _bps(budget, kind)) / Protocol.BPS);
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

    function _schedule(ModelId modelId) private view returns (Schedule memory schedule) {
        schedule = REGISTRY.scheduleOf(modelId);
        if (schedule.start == 0) revert EmissionUnknownModel(modelId);
    }

    function _bps(Budget memory budget, uint8 kind) private pure returns (uint256) {
        if (kind == COMPUTE) return budget.computeBps;
        if (kind == CODE) return budget.codeBps;
        if (kind == CAPITAL) return budget.capitalBps;
        return budget.treasuryBps;
    }
}

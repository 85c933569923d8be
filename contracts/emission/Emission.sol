// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Budget, IEmission} from "../interfaces/IEmission.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelAuthority} from "../interfaces/IModelAuthority.sol";
import {IModelRegistry, Schedule} from "../interfaces/IModelRegistry.sol";
import {IModelShares} from "../interfaces/IModelShares.sol";
import {CAPITAL, CODE, COMPUTE, KINDS, TREASURY} from "../interfaces/Kinds.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ModelAuthority} from "../models/ModelAuthority.sol";

/// @title Emission
/// @notice See IEmission. An epoch's budget cannot change once the epoch has begun; the yearly cap is kept by refusing
/// budgets that would break it, so that authorising meets no second limit.
contract Emission is IEmission, ModelAuthority {
    address private immutable COMPUTE_REWARDS;
    address private immutable CODE_GRANTS;
    address private immutable CAPITAL_SALE;

    /// @dev What was authorised of a kind: all epochs up to one, and part of the next; and all that was ever minted of it. A part
    /// of an epoch is less than the yearly cap, which is 2^96 at most.
    struct Authorised {
        uint32 through;
        uint96 drawn;
        uint128 minted;
    }

    /// @dev Who distributes a kind of one model where its holders have named a successor: the present one until a time, then the next.
    struct Succession {
        address next;
        uint48 from;
        address present;
    }

    struct Books {
        uint128 yearlyCap;
        uint128 founders;
        Authorised[KINDS] authorised;
        Budget[] budgets;
    }

    mapping(ModelId modelId => Books) private _books;
    mapping(ModelId modelId => mapping(uint8 kind => Succession)) private _successions;
    /// @dev Whoever had a successor named: it burns what it holds for ever, and is never named again.
    mapping(ModelId modelId => mapping(uint8 kind => mapping(address distributor => bool))) private _succeeded;
    /// @dev From when on each that was named distributes; 0 for those that models begin with.
    mapping(ModelId modelId => mapping(uint8 kind => mapping(address distributor => uint48))) private _since;

    /// @notice Mints for one registry's models, and to one contract for each kind, for ever.
    /// @param registry_ Says which timelock commands a model, its shares and its clock.
    /// @param computeRewards Distributor of compute.
    /// @param codeGrants Distributor of code.
    /// @param capitalSale Distributor of capital.
    constructor(
        IModelRegistry registry_,
        address computeRewards,
        address codeGrants,
        address capitalSale
    ) ModelAuthority(registry_) {
        COMPUTE_REWARDS = computeRewards;
        CODE_GRANTS = codeGrants;
        CAPITAL_SALE = capitalSale;
    }

    /// @inheritdoc IEmission
    function open(
        ModelId modelId,
        uint128 yearlyCap,
        uint128 founders,
        uint128 perEpoch,
        uint16[KINDS] calldata bps
    ) external onlyRegistry(modelId) {
        Books storage books = _books[modelId];
        (books.yearlyCap, books.founders) = (yearlyCap, founders);
        _setBudget(modelId, _schedule(modelId), 1, perEpoch, bps);
        if (founders == 0) return;
        emit FoundersMinted(modelId, CODE_GRANTS, founders);
        IModelShares(REGISTRY.sharesOf(modelId)).mint(CODE_GRANTS, founders);
    }

    /// @inheritdoc IEmission
    function setBudget(
        ModelId modelId,
        uint32 replaces,
        uint128 perEpoch,
        uint16[KINDS] calldata bps
    ) external onlyTimelock(modelId) {
        uint32 latest = _latest(_books[modelId].budgets);
        if (replaces != latest) revert EmissionBudgetReplaced(modelId, replaces, latest);
        Schedule memory schedule = _schedule(modelId);
        _setBudget(modelId, schedule, Epochs.at(schedule, block.timestamp) + 1, perEpoch, bps);
    }

    /// @inheritdoc IEmission
    function authorise(ModelId modelId, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) external {
        _requireDistributor(modelId, kind);
        // The holders would say themselves how old an epoch is: they draw.
        if (kind == TREASURY) revert EmissionNotDistributor(kind, msg.sender);
        Schedule memory schedule = _schedule(modelId);
        uint256 current = Epochs.at(schedule, block.timestamp);
        if (from == 0 || from > to || to > current) revert EmissionBadRange(from, to, uint64(current));

        uint256 limit = _authorisable(modelId, schedule, kind, from, to, _judged(modelId, kind, msg.sender, asOf));
        if (amount > limit) revert EmissionOverBudget(amount, limit);

        Authorised storage authorised = _books[modelId].authorised[kind - 1];
        if (to > authorised.through) (authorised.through, authorised.drawn) = (uint32(to), 0);
        authorised.minted += uint128(amount);
        emit EmissionAuthorised(modelId, kind, from, to, asOf, amount);
        if (amount != 0) IModelShares(REGISTRY.sharesOf(modelId)).mint(msg.sender, amount);
    }

    /// @inheritdoc IEmission
    function draw(ModelId modelId, uint8 kind, uint256 amount) external {
        _requireDistributor(modelId, kind);
        Schedule memory schedule = _schedule(modelId);
        uint256 current = Epochs.at(schedule, block.timestamp);
        uint256 limit = _authorisable(modelId, schedule, kind, 1, current, block.timestamp);
        if (amount > limit) revert EmissionOverBudget(amount, limit);
        if (amount == 0) return;

        Books storage books = _books[modelId];
        uint256 first = _first(books, schedule, kind, 1, block.timestamp);
        uint256 last = _draw(books, kind, first, current, amount);
        emit EmissionAuthorised(modelId, kind, uint64(first), uint64(last), uint48(block.timestamp), amount);
        IModelShares(REGISTRY.sharesOf(modelId)).mint(msg.sender, amount);
    }

    /// @inheritdoc IEmission
    function nameSuccessor(ModelId modelId, uint8 kind, address successor) external onlyTimelock(modelId) {
        address present = distributorFor(modelId, kind);
        bool stays = successor == present;
        bool isFit = stays || (_serves(successor) && !_succeeded[modelId][kind][successor]);
        if (kind == TREASURY || present == address(0) || !isFit) revert EmissionBadSuccessor(kind, successor);
        uint48 from = uint48(block.timestamp);
        if (!stays) {
            from += uint48(Protocol.SUCCESSION_DELAY);
            _succeeded[modelId][kind][present] = true;
            _since[modelId][kind][successor] = from;
        }
        _successions[modelId][kind] = Succession({next: successor, from: from, present: present});
        emit SuccessorNamed(modelId, kind, present, successor, from);
    }

    /// @inheritdoc IEmission
    function burn(ModelId modelId, uint8 kind, uint256 amount) external {
        if (!_succeeded[modelId][kind][msg.sender]) _requireDistributor(modelId, kind);
        IModelShares(REGISTRY.sharesOf(modelId)).burn(msg.sender, amount);
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
    function authorisableBy(
        address distributor,
        ModelId modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256) {
        if (distributor != distributorFor(modelId, kind)) return 0;
        uint256 judged = _judged(modelId, kind, distributor, asOf);
        return _authorisable(modelId, _schedule(modelId), kind, from, to, judged);
    }

    /// @inheritdoc IEmission
    function successionOf(ModelId modelId, uint8 kind) external view returns (address successor, uint48 from) {
        Succession storage succession = _successions[modelId][kind];
        return (succession.next, succession.from);
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
    function foundersOf(ModelId modelId) external view returns (uint128) {
        return _books[modelId].founders;
    }

    /// @inheritdoc IEmission
    function authorisedThrough(ModelId modelId, uint8 kind) external view returns (uint64) {
        return _books[modelId].authorised[kind - 1].through;
    }

    /// @inheritdoc IEmission
    function mintedOf(ModelId modelId, uint8 kind) external view returns (uint128) {
        return _books[modelId].authorised[kind - 1].minted;
    }

    /// @inheritdoc IEmission
    function distributorOf(uint8 kind) public view returns (address) {
        if (kind == COMPUTE) return COMPUTE_REWARDS;
        if (kind == CODE) return CODE_GRANTS;
        return kind == CAPITAL ? CAPITAL_SALE : address(0);
    }

    /// @inheritdoc IEmission
    function distributorFor(ModelId modelId, uint8 kind) public view returns (address) {
        if (kind == TREASURY) return REGISTRY.timelockOf(modelId);
        Succession storage succession = _successions[modelId][kind];
        uint256 from = succession.from;
        if (from == 0) return distributorOf(kind);
        return block.timestamp < from ? succession.present : succession.next;
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
        uint256 epochs = Epochs.perYear(schedule.epochLength);
        // The founders' shares are part of what the first year may mint.
        uint256 cap = fromEpoch > epochs ? books.yearlyCap : books.yearlyCap - books.founders;
        if (perEpoch * epochs > cap) revert EmissionAboveYearlyCap(perEpoch * epochs, cap);

        Budget[] storage budgets = books.budgets;
        uint256 length = budgets.length;
        uint32 version = _latest(budgets) + 1;
        // A second change within one epoch replaces the first, which was not in force yet.
        if (length != 0 && budgets[length - 1].fromEpoch == fromEpoch) budgets.pop();
        budgets.push(Budget(uint32(fromEpoch), perEpoch, bps[0], bps[1], bps[2], bps[3], version));
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
        uint256 first = _first(books, schedule, kind, from, asOf);
        uint256 last = Math.min(to, Epochs.at(schedule, block.timestamp));
        if (first > last) return 0;

        uint256 drawn = _drawnOf(books.authorised[kind - 1], first);
        Budget[] storage budgets = books.budgets;
        uint256 i = _after(budgets, last);
        while (last >= first) {
            Budget memory budget = budgets[--i];
            uint256 start = Math.max(first, budget.fromEpoch);
            total += (last - start + 1) * _perEpoch(budget, kind);
            last = start - 1;
        }
        total -= drawn;
    }

    /// @dev Takes an amount from the epochs `first` to `current`, the oldest first, and answers the last one that it touched.
    /// Walks over the changes of the budget like `_authorisable`, which has said that there is enough.
    function _draw(
        Books storage books,
        uint8 kind,
        uint256 first,
        uint256 current,
        uint256 amount
    ) private returns (uint256) {
        Budget[] storage budgets = books.budgets;
        Authorised storage authorised = books.authorised[kind - 1];
        uint256 left = amount + _drawnOf(authorised, first);
        uint256 next = _after(budgets, first);
        while (first <= current) {
            uint256 perEpoch = _perEpoch(budgets[next - 1], kind);
            uint256 end = next < budgets.length ? Math.min(current, uint256(budgets[next].fromEpoch) - 1) : current;
            uint256 whole = (end - first + 1) * perEpoch;
            if (left < whole) {
                first += left / perEpoch;
                left %= perEpoch;
                break;
            }
            left -= whole;
            first = end + 1;
            ++next;
        }
        (authorised.through, authorised.drawn) = (uint32(first - 1), uint96(left));
        authorised.minted += uint128(amount);
        return left == 0 ? first - 1 : first;
    }

    /// @dev The first epoch from `from` on that is neither authorised nor too old.
    function _first(
        Books storage books,
        Schedule memory schedule,
        uint8 kind,
        uint256 from,
        uint256 asOf
    ) private view returns (uint256 first) {
        first = Math.max(Math.max(from, 1), uint256(books.authorised[kind - 1].through) + 1);
        first = Math.max(first, Epochs.firstEndingFrom(schedule, Math.saturatingSub(asOf, Protocol.BUDGET_AGE)));
    }

    /// @dev When the age of epochs is judged. Those that models begin with say so within bounds of their own; of what had lapsed before
    /// it took over, no successor mints anything.
    function _judged(ModelId modelId, uint8 kind, address distributor, uint256 asOf) private view returns (uint256) {
        if (distributor == distributorOf(kind)) return asOf;
        return Math.max(asOf, _since[modelId][kind][distributor]);
    }

    /// @dev What was drawn from an epoch that is not authorised as a whole: that from an older one is gone with it.
    function _drawnOf(Authorised storage authorised, uint256 epoch) private view returns (uint256) {
        return epoch == uint256(authorised.through) + 1 ? authorised.drawn : 0;
    }

    function _requireDistributor(ModelId modelId, uint8 kind) private view {
        if (msg.sender != distributorFor(modelId, kind)) revert EmissionNotDistributor(kind, msg.sender);
    }

    /// @dev Whether a contract says that it is one of this registry's. What distributes shares in no revenue, for ever: else holders could
    /// take a wallet's or a pool's part of it by naming that.
    function _serves(address successor) private view returns (bool) {
        (bool answers, bytes memory answer) = successor.staticcall(abi.encodeCall(IModelAuthority.registry, ()));
        return answers && answer.length == 32 && bytes32(answer) == bytes32(uint256(uint160(address(REGISTRY))));
    }

    /// @dev Number of the newest budget; 0 before the first.
    function _latest(Budget[] storage budgets) private view returns (uint32) {
        uint256 length = budgets.length;
        return length == 0 ? 0 : budgets[length - 1].version;
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

    function _perEpoch(Budget memory budget, uint8 kind) private pure returns (uint256) {
        return (uint256(budget.perEpoch) * _bps(budget, kind)) / Protocol.BPS;
    }

    function _bps(Budget memory budget, uint8 kind) private pure returns (uint256) {
        if (kind == COMPUTE) return budget.computeBps;
        if (kind == CODE) return budget.codeBps;
        if (kind == CAPITAL) return budget.capitalBps;
        return budget.treasuryBps;
    }
}

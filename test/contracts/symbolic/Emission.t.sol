// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Emission} from "../../../contracts/emission/Emission.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {COMPUTE, TREASURY} from "../../../contracts/interfaces/Kinds.sol";
import {Ground, MODEL} from "./Ground.sol";

contract EmissionProofs is Ground {
    address private constant REWARDS = address(0x4e3a);
    address private constant GRANTS = address(0x6ea4);
    address private constant SALE = address(0x5a1e);
    /// @dev Of seven days each, the last of which the year cuts.
    uint256 private constant EPOCHS_OF_A_YEAR = 53;
    uint128 private constant BUDGET = 1_000e18;
    /// @dev Basis points of compute; of each other kind 1,000.
    uint16 private constant COMPUTE_BPS = 7_000;

    Emission private emission;

    function setUp() public {
        emission = new Emission(IModelRegistry(address(this)), REWARDS, GRANTS, SALE);
        goTo(0);
    }

    /// @dev No budget, the first or a later one, allows more in a year than the cap, of which the founders' shares are a part.
    function check_aBudgetKeepsTheYearlyCap(
        uint96 cap,
        uint96 founders,
        uint128 first,
        uint128 second,
        uint16[4] memory bps,
        uint32 elapsed
    ) public {
        emission.open(MODEL, cap, founders, first, [COMPUTE_BPS, 1_000, 1_000, 1_000]);
        assert(uint256(first) * EPOCHS_OF_A_YEAR + founders <= cap);

        goTo(elapsed);
        vm.prank(TIMELOCK);
        emission.setBudget(MODEL, 1, second, bps);
        bool isFirstYear = epochAt(elapsed) + 1 <= EPOCHS_OF_A_YEAR;
        assert(uint256(second) * EPOCHS_OF_A_YEAR + (isFirstYear ? founders : 0) <= cap);
        assert(uint256(bps[0]) + bps[1] + bps[2] + bps[3] == 10_000);
    }

    /// @dev Budgets are the timelock's to set, and each replaces the newest: a decision about an older one reverts.
    function check_theTimelockAloneReplacesTheNewestBudget(
        address caller,
        uint32 replaces,
        uint128 budget,
        uint32 elapsed
    ) public {
        begin();
        goTo(elapsed);
        vm.prank(caller);
        emission.setBudget(MODEL, replaces, budget, [COMPUTE_BPS, 1_000, 1_000, 1_000]);

        assert(caller == TIMELOCK);
        assert(replaces == 1);
        assert(emission.budgetOf(MODEL, uint64(epochAt(elapsed))).perEpoch == BUDGET);
        assert(emission.budgetOf(MODEL, uint64(epochAt(elapsed) + 1)).perEpoch == budget);
    }

    /// @dev Two roots of compute mint what the epochs that have begun have for compute at the most: no epoch serves twice, and
    /// none before it begins. What is minted goes to who asked.
    function check_epochsAreAuthorisedOnce(
        uint96 budget,
        uint8 from,
        uint8 to,
        uint256 amount,
        uint8 laterFrom,
        uint8 laterTo,
        uint256 more
    ) public {
        emission.open(MODEL, type(uint128).max, 0, budget, [COMPUTE_BPS, 1_000, 1_000, 1_000]);
        // The second epoch has just begun.
        goTo(EPOCH);
        uint256 each = (uint256(budget) * COMPUTE_BPS) / 10_000;
        (uint64 first, uint64 last) = (oneToThree(from), oneToThree(to));
        authorise(REWARDS, COMPUTE, first, last, 0, amount);
        assert(last <= 2 && amount <= (last - first + 1) * each);
        (uint64 laterFirst, uint64 laterLast) = (oneToThree(laterFrom), oneToThree(laterTo));
        authorise(REWARDS, COMPUTE, laterFirst, laterLast, 0, more);

        assert(laterLast <= 2 && amount + more <= 2 * each);
        assert(more == 0 || laterLast > last);
        assert(paper.balanceOf(REWARDS) == amount + more);
    }

    /// @dev Nobody mints but the distributor of the kind; the treasury's part is drawn, never authorised.
    function check_aKindsDistributorAloneMints(
        address caller,
        uint8 kind,
        uint32 elapsed,
        uint64 from,
        uint64 to,
        uint48 asOf,
        uint256 amount
    ) public {
        // No call comes from there.
        vm.assume(caller != address(0));
        begin();
        goTo(elapsed);
        authorise(caller, kind, from, to, asOf, amount);

        assert(kind < TREASURY);
        assert(caller == emission.distributorOf(kind));
    }

    /// @dev The budget of an epoch that ended more than 30 days before the time of judgement is gone: nothing is minted of it.
    function check_anOldEpochMintsNothing(uint8 from, uint8 to, uint48 asOf, uint256 amount) public {
        begin();
        goTo(3 * uint256(EPOCH));
        (uint64 first, uint64 last) = (oneToThree(from), oneToThree(to));
        authorise(REWARDS, COMPUTE, first, last, asOf, amount);

        uint256 young = 0;
        for (uint256 epoch = first; epoch <= last; ++epoch) if (START + epoch * EPOCH + 30 days >= asOf) ++young;
        assert(amount <= (young * BUDGET * COMPUTE_BPS) / 10_000);
    }

    /// @dev A successor waits 14 days, and until then the present one distributes.
    function check_aSuccessorWaits(uint32 elapsed, uint32 later) public {
        begin();
        goTo(elapsed);
        vm.prank(TIMELOCK);
        emission.nameSuccessor(MODEL, COMPUTE, address(this));
        vm.assume(later >= elapsed);
        goTo(later);

        bool isOver = uint256(later) - elapsed >= 14 days;
        assert(emission.distributorFor(MODEL, COMPUTE) == (isOver ? address(this) : REWARDS));
    }

    /// @dev Of IModelAuthority: a successor is one of the registry's contracts.
    function registry() external view returns (address) {
        return address(this);
    }

    function begin() private {
        emission.open(MODEL, uint128(BUDGET * EPOCHS_OF_A_YEAR), 0, BUDGET, [COMPUTE_BPS, 1_000, 1_000, 1_000]);
    }

    function authorise(address caller, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) private {
        vm.prank(caller);
        emission.authorise(MODEL, kind, from, to, asOf, amount);
    }

    /// @dev Of every other number three: so each path has numbers, not unknowns.
    function oneToThree(uint8 number) private pure returns (uint64) {
        return
            number == 1
                ? 1
                : number == 2
                    ? 2
                    : 3;
    }
}

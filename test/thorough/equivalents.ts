/**
 * Mutations of the contracts that change nothing that anybody could see, and why. The sweep tries them too, and fails where a
 * test notices one after all; `thorough.test.ts` fails where one is no longer in the sources.
 */
const shortcut = "The search that follows finds the same budget.";
const all = "Where they are equal all of it is paid either way.";
const old = "No chain's time is near to 1970.";
const empty = "OpenZeppelin's function is empty.";

export const equivalents: Readonly<Record<string, string>> = {
  "contracts/attestation/ValidatorSet.sol _requireFewChanges: >= in gone > come":
    "The larger of two equal numbers is either.",
  "contracts/attestation/ValidatorSet.sol _requireFewChanges: <= in size < 3": "A third of three is one as well.",
  "contracts/emission/Emission.sol _after: < in budgets[high - 1].fromEpoch <= epoch": shortcut,
  "contracts/emission/Emission.sol _after: false for high != 0 && budgets[high - 1].fromEpoch <= epoch": shortcut,
  "contracts/emission/Emission.sol _judged: false for distributor == distributorOf(kind)":
    "Who distributes from the beginning is never named, so that no time stands for it: the guard only spares a read.",
  "contracts/governance/ModelGovernor.sol initialize: without __GovernorCountingSimple_init()": empty,
  "contracts/governance/Bootstrap.sol _clear: false for act == 0": old,
  "contracts/rewards/CapitalSale.sol _pay: <= in balance < held": all,
  "contracts/rewards/RevenueDeposits.sol pay: <= in balance < held": all,
  "contracts/rewards/Disputes.sol setBond: false for terms.setAt == 0": old,
  "contracts/staking/StakeManager.sol _requireUndisputed: false for voidedAt == 0": old,
  "contracts/rewards/ComputeRewards.sol postRoot: true for pool.index == 0":
    "Of who distributes it is what its own roots have authorised, and nobody distributes a kind twice.",
  "contracts/rewards/ComputeRewards.sol activate: true for index == 1": "A model's shares are one contract for ever.",
  "contracts/rewards/ComputeRewards.sol activate: true for kind == COMPUTE": "Revenue is paid by its own contract.",
  "contracts/models/ModelShares.sol initialize: without __ERC20Votes_init()": empty,
  "contracts/models/ModelShares.sol delegate: true for msg.sender.code.length != 0":
    "A timelock has code: who has none is only spared a call.",
  "contracts/market/ComputeEscrow.sol _pay: <= in left < PAY_GAS":
    "One unit of gas: what it takes to pay is far less than what is asked for.",
};

/**
 * What Slither finds in the contracts and what is none, each with the reason, by detector and place. The part `slither` fails
 * where it finds another, and where one of these is no longer found.
 */

/** Detectors that are not asked at all. */
export const unasked: Readonly<Record<string, string>> = {
  timestamp:
    "Epochs, windows and votes last days, of which whoever builds a block moves a few seconds; every time is compared by design.",
  "naming-convention": "solhint has the rule for names: immutables are written as constants are.",
  pragma: "What is deployed is pinned to one compiler, interfaces are for any recent one (contracts/README.md).",
};

const counted = "Compared is what the contracts count themselves, no balance that a stranger could add to.";
const wiring =
  "Addresses are fixed before anything is deployed, and `cotrain verify` and the check of a deployment read each.";
const own = "Called is a contract of the deployment, fixed for ever, which calls nobody back.";
const rest = "The rest of the answer is of no use here.";
const slither = "OpenZeppelin implements or calls it: Slither does not follow a diamond of bases.";

export const answered: Readonly<Record<string, string>> = {
  "arbitrary-send-erc20 ComputeBudget.spend":
    "The treasury alone is taken from, by an allowance that the holders voted, within the budget's cap.",
  "weak-prng Emission._draw": "The rest of a division, no random number.",
  "uninitialized-state ComputeBudget._budgets": "A mapping of arrays, which grow by push.",
  "uninitialized-state ComputeEscrow._channels": "A mapping, each entry of which is written when it is opened.",
  "incorrect-equality Disputes._tallyOf": counted,
  "incorrect-equality Disputes._credit": counted,
  "incorrect-equality Disputes.withdraw": counted,
  "incorrect-equality CapitalSale._deposit": counted,
  "incorrect-equality CapitalSale._stateOf": counted,
  "incorrect-equality CapitalSale.settle": counted,
  "incorrect-equality ValidatorSet._replace": counted,
  "incorrect-equality ValidatorSet.memberUntil": counted,
  "incorrect-equality Emission._draw": counted,
  "incorrect-equality Emission._setBudget": counted,
  "incorrect-equality Emission._drawnOf": counted,
  "incorrect-equality ComputeBudget._spentIn": counted,
  "incorrect-equality CodeGrants._end": counted,
  "incorrect-equality CodeGrants.claim": counted,
  "reentrancy-no-eth Disputes.dispute":
    "The governor and Bootstrap call nobody back, and the root is frozen before they are called.",
  "uninitialized-local CodeGrants.open": "A struct in memory, all zero, whose fields are set one by one.",
  "unused-return Disputes._tallyOf": rest,
  "unused-return RunRegistry.registerRun":
    "The answer is the first head, which CheckpointRegistry keeps and tells by its event.",
  "unused-return RunRegistry._setParams": rest,
  "unused-return RevenueDeposits._record": rest,
  "unused-return Bootstrap.carryOut":
    "What it calls answers with what its own event tells; what fails there fails here.",
  "unused-return CodeGrants.voidSet": "It is asked whether there is such a set: it reverts where there is none.",
  "missing-zero-check Bootstrap.constructor": wiring,
  "missing-zero-check Emission.constructor": wiring,
  "missing-zero-check ModelShares.constructor": wiring,
  "missing-zero-check ModelRegistry.constructor": wiring,
  "missing-zero-check ModelGovernor.constructor": wiring,
  "missing-zero-check RevenueDeposits.constructor": wiring,
  "missing-zero-check CheckpointRegistry.constructor": wiring,
  "calls-loop ComputeRewards._pay":
    "Whoever claims for many chooses whom, and pays for it; a claim that reverts can be left out.",
  "calls-loop Bootstrap._isOfRun":
    "Who proposes says how many actions a proposal has, and pays for each; RunRegistry alone is asked.",
  "reentrancy-benign CheckpointRegistry.suspendAsOrganiser": own,
  "reentrancy-events CheckpointRegistry.suspendAsOrganiser": own,
  "reentrancy-benign CheckpointRegistry.rollback": own,
  "reentrancy-benign CheckpointRegistry.announceRollback": own,
  "reentrancy-events CheckpointRegistry.rollback": own,
  "reentrancy-events CheckpointRegistry.announceRollback": own,
  "reentrancy-events RunRegistry.setPoster": own,
  "reentrancy-events RunRegistry.setStatus": own,
  "reentrancy-events RunRegistry._setParams": own,
  "reentrancy-events Disputes.dispute": own,
  "reentrancy-events ComputeEscrow._pay":
    "Whether it was paid is known after the call alone, and calls from within it are refused for all channels at once.",
  "dead-code ModelGovernor._quorumReached": slither,
  "low-level-calls Emission._serves":
    "Whoever does not answer is no distributor: a call that reverts would say so in no words.",
  "unimplemented-functions ModelGovernor": slither,
  "unimplemented-functions ModelShares": slither,
};

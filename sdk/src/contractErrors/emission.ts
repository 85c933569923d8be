/** Errors of Emission. */
import { define, kindOf, shares } from "./define.ts";

export const EmissionAboveYearlyCapError = define(
  "EmissionAboveYearlyCap",
  (perYear, cap) => `The budget comes to ${shares(perYear)} a year, above the yearly cap of ${shares(cap)}.`,
);
export const EmissionBadSuccessorError = define(
  "EmissionBadSuccessor",
  (kind, successor) =>
    `${successor} cannot take over emission of kind ${kindOf(kind)}: a successor is a contract that names the same registry as its own and did not distribute this kind before.`,
);
export const EmissionBadRangeError = define(
  "EmissionBadRange",
  (from, to, current) => `Epochs ${from} to ${to} are no range from 1 on that ends at the current epoch ${current}.`,
);
export const EmissionEpochTooFarError = define(
  "EmissionEpochTooFar",
  (epoch, end) => `Epoch ${epoch} would end ${end} seconds after 1970, later than a time can be.`,
);
export const EmissionNotDistributorError = define(
  "EmissionNotDistributor",
  (kind, caller) => `${caller} does not distribute emission of kind ${kindOf(kind)}.`,
);
export const EmissionOverBudgetError = define(
  "EmissionOverBudget",
  (amount, authorisable) => `${shares(amount)} are more than the ${shares(authorisable)} that the epochs still allow.`,
);
export const EmissionBudgetReplacedError = define(
  "EmissionBudgetReplaced",
  (modelId, replaces, latest) =>
    `Model ${modelId} has budget ${latest} by now, and this decision replaces budget ${replaces}; propose it anew.`,
);
export const EmissionSplitError = define(
  "EmissionSplit",
  (sum) => `The split sums to ${sum} basis points; it must sum to 10000.`,
);
export const EmissionUnknownModelError = define("EmissionUnknownModel", (modelId) => `There is no model ${modelId}.`);

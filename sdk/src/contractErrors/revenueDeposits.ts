/** Errors of RevenueDeposits. */
import { define } from "./define.ts";

export const RevenueDepositsLossError = define(
  "RevenueDepositsLoss",
  (account, amount, paid) =>
    `${account} would be paid ${paid} of ${amount}, since the token took the rest; it alone decides to take that, by a claim that it sends itself.`,
);
export const RevenueDepositsNoneError = define(
  "RevenueDepositsNone",
  (modelId) => `Model ${modelId} takes no revenue: it has no capital token.`,
);
export const RevenueDepositsNothingArrivedError = define(
  "RevenueDepositsNothingArrived",
  () => "Nothing of the deposit arrived: send more, or look at what the token takes.",
);
export const RevenueDepositsOnlyRewardsError = define(
  "RevenueDepositsOnlyRewards",
  (caller) => `Revenue is set aside and paid by roots alone, not by ${caller}.`,
);
export const RevenueDepositsOverBudgetError = define(
  "RevenueDepositsOverBudget",
  (amount, authorisable) => `The root would set ${amount} aside, and ${authorisable} arrived that no root has.`,
);
export const RevenueDepositsShortError = define(
  "RevenueDepositsShort",
  (balance, held) =>
    `The model's vault has ${balance} of ${held}, since its token took the rest: until somebody sends it that, nothing is deposited.`,
);

/** Errors of ComputeRewards. */
import { define, shares, time } from "./define.ts";

export const ComputeRewardsBadDeadlineError = define(
  "ComputeRewardsBadDeadline",
  (deadline, end, delay) =>
    `The deadline ${time(deadline)} is not the epoch's end ${time(end)} plus a whole number of ${delay} seconds.`,
);
export const ComputeRewardsEpochNotAboveError = define(
  "ComputeRewardsEpochNotAbove",
  (epoch, active) => `Epoch ${epoch} must lie above the active root's epoch ${active}.`,
);
export const ComputeRewardsEpochNotOverError = define(
  "ComputeRewardsEpochNotOver",
  (epoch, end) => `Epoch ${epoch} is over at ${time(end)}; its root can be posted then.`,
  true,
);
export const ComputeRewardsExpiredError = define(
  "ComputeRewardsExpired",
  (deadline) => `The attestation's deadline ${time(deadline)} has passed; validators must sign again.`,
);
export const ComputeRewardsFallingCumulativeError = define(
  "ComputeRewardsFallingCumulative",
  (account, cumulative, claimed) =>
    `${account} has been paid ${shares(claimed)} already, more than this leaf's ${shares(cumulative)}.`,
);
export const ComputeRewardsFallingTotalError = define(
  "ComputeRewardsFallingTotal",
  (total, active) => `The total of ${shares(total)} must not fall below the active root's ${shares(active)}.`,
);
export const ComputeRewardsInvalidProofError = define(
  "ComputeRewardsInvalidProof",
  (modelId, account) =>
    `The proof for ${account} does not lead to the active root of model ${modelId}; fetch it again.`,
);
export const ComputeRewardsNothingPendingError = define(
  "ComputeRewardsNothingPending",
  (modelId) => `Model ${modelId} has no pending root to activate.`,
);
export const ComputeRewardsOverBudgetError = define(
  "ComputeRewardsOverBudget",
  (delta, authorisable) =>
    `The root adds ${shares(delta)}, more than the ${shares(authorisable)} that its epochs still allow.`,
);
export const ComputeRewardsRootPendingError = define(
  "ComputeRewardsRootPending",
  (epoch, at) => `The root of epoch ${epoch} is pending; it can be activated from ${time(at)} and must be first.`,
  true,
);
export const ComputeRewardsStaleRootError = define(
  "ComputeRewardsStaleRoot",
  (previous, active) => `The attestation builds on root ${previous}, but ${active} is active.`,
);
export const ComputeRewardsStaleSetError = define(
  "ComputeRewardsStaleSet",
  (version, current) => `Validator set ${version} signed, but set ${current} is in force; it must sign again.`,
);
export const ComputeRewardsUnknownModelError = define(
  "ComputeRewardsUnknownModel",
  (modelId) => `There is no model ${modelId}.`,
);
export const ComputeRewardsWindowOpenError = define(
  "ComputeRewardsWindowOpen",
  (at) => `The pending root can be activated from ${time(at)}.`,
  true,
);
export const ComputeRewardsZeroRootError = define("ComputeRewardsZeroRoot", () => "A root must not be zero.");

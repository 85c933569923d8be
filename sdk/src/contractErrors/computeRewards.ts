/** Errors of ComputeRewards. */
import { define, kindOf, shares, time } from "./define.ts";

export const ComputeRewardsAboveTotalError = define(
  "ComputeRewardsAboveTotal",
  (index, paid, total) =>
    `Root ${index} may pay ${shares(total)} and would have paid ${shares(paid)}: its leaves sum up to more than was minted for it.`,
);
export const ComputeRewardsBadDeadlineError = define(
  "ComputeRewardsBadDeadline",
  (deadline, end, delay) =>
    `The deadline ${time(deadline)} is not the epoch's end ${time(end)} plus a whole number of ${delay} seconds.`,
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
export const ComputeRewardsInvalidProofError = define(
  "ComputeRewardsInvalidProof",
  (modelId, kind, index, account) =>
    `The proof for ${account} does not lead to root ${index} of kind ${kindOf(kind)} of model ${modelId}, or that root is not active.`,
);
export const ComputeRewardsNothingPendingError = define(
  "ComputeRewardsNothingPending",
  (modelId, kind) => `Model ${modelId} has no pending root of kind ${kindOf(kind)} to activate.`,
);
export const ComputeRewardsOrderExpiredError = define(
  "ComputeRewardsOrderExpired",
  (deadline) => `The order's deadline ${time(deadline)} has passed; the account must sign again.`,
);
export const ComputeRewardsOrderNotSignedError = define(
  "ComputeRewardsOrderNotSigned",
  (account) => `${account} did not sign this order.`,
);
export const ComputeRewardsOrderRevokedError = define(
  "ComputeRewardsOrderRevoked",
  (nonce, current) => `The order bears nonce ${nonce}; the account signs with ${current} now.`,
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
export const ComputeRewardsUnknownKindError = define(
  "ComputeRewardsUnknownKind",
  (kind) => `Nothing is paid for kind ${kindOf(kind)} here.`,
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
export const ComputeRewardsWrongEpochsError = define(
  "ComputeRewardsWrongEpochs",
  (from, to, next) => `A root of the epochs ${from} to ${to} must begin with epoch ${next} and cover one at least.`,
);
export const ComputeRewardsWrongIndexError = define(
  "ComputeRewardsWrongIndex",
  (index, next) => `The attestation is of root ${index}; the next one is ${next}.`,
);
export const ComputeRewardsZeroRootError = define("ComputeRewardsZeroRoot", () => "A root must not be zero.");

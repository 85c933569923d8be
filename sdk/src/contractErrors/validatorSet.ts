/** Errors of ValidatorSet. */
import { define } from "./define.ts";

export const ValidatorSetBadLengthError = define(
  "ValidatorSetBadLength",
  (length) => `Signatures are 65 bytes each, one behind the other; ${length} bytes are not.`,
);
export const ValidatorSetBadSignerError = define(
  "ValidatorSetBadSigner",
  (signer) => `${signer} signed, but is not in the set, or the signatures are not in ascending order of signer.`,
);
export const ValidatorSetChangedThisEpochError = define(
  "ValidatorSetChangedThisEpoch",
  (modelId, epoch) => `The set of model ${modelId} has changed in epoch ${epoch} already; wait for the next.`,
  true,
);
export const ValidatorSetNoConsentError = define(
  "ValidatorSetNoConsent",
  (modelId, account) => `${account} has not said yet that it wants to be a validator of model ${modelId}.`,
);
export const ValidatorSetNoQuorumError = define(
  "ValidatorSetNoQuorum",
  (count, threshold) => `${count} signed, ${threshold} are needed.`,
);
export const ValidatorSetNotAscendingError = define(
  "ValidatorSetNotAscending",
  (previous, next) => `Members come strictly ascending and are never zero, but ${next} comes after ${previous}.`,
);
export const ValidatorSetReplacedError = define(
  "ValidatorSetReplaced",
  (modelId, replaces, latest) =>
    `Model ${modelId} has set ${latest} by now, and this decision replaces set ${replaces}; propose it anew.`,
);
export const ValidatorSetSizeError = define("ValidatorSetSize", (size) => `A set has 1 to 64 members, not ${size}.`);
export const ValidatorSetThresholdError = define(
  "ValidatorSetThreshold",
  (threshold, size) => `The threshold ${threshold} must be at least two thirds and at most all of ${size} members.`,
);
export const ValidatorSetTooManyChangesError = define(
  "ValidatorSetTooManyChanges",
  (changes, allowed) => `${changes} members change at once; ${allowed} may in one epoch.`,
);
export const ValidatorSetUnknownVersionError = define(
  "ValidatorSetUnknownVersion",
  (modelId, version) => `Model ${modelId} has no set ${version} of signers.`,
);

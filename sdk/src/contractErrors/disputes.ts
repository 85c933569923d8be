/** Errors of disputes and of Bootstrap. */
import { coins, define, shares, time } from "./define.ts";

export const BootstrapNotOverError = define(
  "BootstrapNotOver",
  (claimed, wanted, over, epochs) =>
    `Workers have claimed ${shares(claimed)} of ${shares(wanted)}, and ${over} of ${epochs} epochs are over: bootstrap goes on.`,
  true,
);
export const BootstrapUnknownModelError = define("BootstrapUnknownModel", (modelId) => `There is no model ${modelId}.`);
export const DisputesBondOutOfBoundsError = define(
  "DisputesBondOutOfBounds",
  (base, minimum, maximum) => `The bond ${coins(base)} must lie from ${coins(minimum)} to ${coins(maximum)}.`,
);
export const DisputesNotCourtError = define(
  "DisputesNotCourt",
  (caller) => `${caller} does not rule on disputes; the model's organiser does, in its bootstrap.`,
);
export const DisputesNotDecidedError = define(
  "DisputesNotDecided",
  (until) => `The vote on the dispute lasts until ${time(until)}; it can be settled then.`,
  true,
);
export const DisputesNotRulableError = define("DisputesNotRulable", (number, until) =>
  until === 0
    ? `The organiser may not rule on dispute ${number}: it is over, or was opened after bootstrap.`
    : `The organiser could rule on the newest dispute until ${time(until)}; number ${number} is over, or not that one.`,
);
export const DisputesNothingPendingError = define(
  "DisputesNothingPending",
  (modelId, kind) => `Model ${modelId} has no pending root of kind ${kind} to dispute.`,
);
export const DisputesOpenError = define(
  "DisputesOpen",
  (number) => `The pending root is disputed: dispute ${number} must be settled first.`,
  true,
);
export const DisputesOtherAttestationError = define(
  "DisputesOtherAttestation",
  (digest, pending) => `The attestation ${digest} is not the pending one, ${pending}.`,
);
export const DisputesRuledBeforeError = define(
  "DisputesRuledBefore",
  (digest) =>
    `A dispute about the attestation ${digest} has ended; validators must sign again, under another deadline or block.`,
);
export const DisputesUnknownError = define(
  "DisputesUnknown",
  (number, newest) => `There is no dispute ${number}; the newest is ${newest}.`,
);
export const DisputesWindowOverError = define(
  "DisputesWindowOver",
  (at) => `The pending root's window was over at ${time(at)}; it can be disputed no longer.`,
);
export const DisputesWrongBondError = define(
  "DisputesWrongBond",
  (value, due) => `${coins(due)} must go along, not ${coins(value)}.`,
);

/** Errors of disputes and of Bootstrap. */
import { coins, define, kindOf, shares, time } from "./define.ts";

export const BootstrapActRefusedError = define(
  "BootstrapActRefused",
  (target, selector) =>
    `An organiser does not call ${selector} of ${target}: it chooses validators, maintainers, a run's poster and builds, has a paused run go on, ends a run and registers the next, each with its arguments and nothing behind them.`,
);
export const BootstrapActStandsError = define(
  "BootstrapActStands",
  (act, expiry) =>
    `The organiser has announced an act of this kind, ${act}, which stands until ${time(expiry)}: it withdraws that one first, or carries it out.`,
);
export const BootstrapExpiredError = define(
  "BootstrapExpired",
  (expiry) => `It was announced too long ago and could be done until ${time(expiry)}; announce it anew.`,
);
export const BootstrapNotAnnouncedError = define(
  "BootstrapNotAnnounced",
  (act) => `Nothing is announced by the name ${act}: announce it, with these very arguments, one window before.`,
);
export const BootstrapNotOrganiserError = define(
  "BootstrapNotOrganiser",
  (modelId, caller) => `${caller} is not the organiser of model ${modelId}, who alone announces and does this.`,
);
export const BootstrapNotOverError = define(
  "BootstrapNotOver",
  (claimed, needed, over, epochs, maxEpochs) =>
    `Workers have claimed ${shares(claimed)} of ${shares(needed)}, and ${over} of ${epochs} epochs are over: bootstrap goes on, until ${maxEpochs} are over at the latest.`,
  true,
);
export const BootstrapOverError = define(
  "BootstrapOver",
  (modelId) => `The bootstrap of model ${modelId} is over: its holders decide this by a vote.`,
);
export const BootstrapTooEarlyError = define(
  "BootstrapTooEarly",
  (readyAt) => `It was announced less than a window ago and can be done from ${time(readyAt)} on.`,
  true,
);
export const BootstrapUnknownModelError = define("BootstrapUnknownModel", (modelId) => `There is no model ${modelId}.`);
export const BootstrapVoteRefusedError = define(
  "BootstrapVoteRefused",
  (index, target, selector) =>
    `The model is in bootstrap, where votes set a run's parameters, pause and resume it, and nothing else: call ${index}, ${selector} of ${target}, can be proposed when that is over.`,
);
export const DisputesBondOutOfBoundsError = define(
  "DisputesBondOutOfBounds",
  (base, minimum, maximum) =>
    `The bond ${coins(base)} must lie from ${coins(minimum)} to ${coins(maximum)}, by the bond in force.`,
);
export const DisputesBondReplacedError = define(
  "DisputesBondReplaced",
  (modelId, replaces, latest) =>
    `Model ${modelId} has bond ${latest} by now, and this decision replaces bond ${replaces}; propose it anew.`,
);
export const DisputesBondTooLowError = define(
  "DisputesBondTooLow",
  (value, due) => `${coins(due)} must go along at the least, not ${coins(value)}.`,
);
export const DisputesBondTooSoonError = define(
  "DisputesBondTooSoon",
  (from) => `The bond was set a short while ago; it can be set again from ${time(from)} on.`,
  true,
);
export const DisputesHoldersDecideError = define(
  "DisputesHoldersDecide",
  (proposalId) => `A quorum of holders has voted on the dispute: proposal ${proposalId} decides it, not the organiser.`,
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
export const DisputesNotRulableError = define("DisputesNotRulable", (digest, until) =>
  until === 0
    ? `The organiser may not rule on attestation ${digest}: it is not disputed, or was disputed after bootstrap.`
    : `The organiser could rule on attestation ${digest} until ${time(until)}, while its dispute was open.`,
);
export const DisputesNothingPendingError = define(
  "DisputesNothingPending",
  (modelId, kind) => `Model ${modelId} has no pending root of kind ${kindOf(kind)} to dispute.`,
);
export const DisputesOpenError = define(
  "DisputesOpen",
  (digest) => `The pending root is disputed: the dispute about attestation ${digest} must be settled first.`,
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
export const DisputesRuledTooEarlyError = define(
  "DisputesRuledTooEarly",
  (from) => `The organiser may let the root stand from ${time(from)} on, when everybody had the time to speak up.`,
  true,
);
export const DisputesUnknownError = define(
  "DisputesUnknown",
  (modelId, kind, digest) => `Model ${modelId} has no dispute about attestation ${digest} of kind ${kindOf(kind)}.`,
);
export const DisputesWindowOverError = define(
  "DisputesWindowOver",
  (at) => `The pending root's window was over at ${time(at)}; it can be disputed no longer.`,
);

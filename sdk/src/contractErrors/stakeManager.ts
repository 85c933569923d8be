/** Errors of StakeManager. */
import { nameOfCode, rulingStatus, stakeRoleCode } from "../protocol/codes.ts";
import { coins, define, time, word } from "./define.ts";

const roleName = (role: number): string => nameOfCode(stakeRoleCode, role) ?? `role ${role}`;

export const StakeManagerBadRulingError = define(
  "StakeManagerBadRuling",
  (field) =>
    `The ruling's ${word(field)} is not as it must be: it is of kind 3 and outcome 1, of no dispute, and on a receipt of the accused's in this model.`,
);
export const StakeManagerInBootstrapError = define(
  "StakeManagerInBootstrap",
  (modelId) => `Model ${modelId} is in bootstrap, where nobody could veto a ruling; propose it when that is over.`,
  true,
);
export const StakeManagerDisputedError = define(
  "StakeManagerDisputed",
  (digest) =>
    `No validator's stake is paid while a root is disputed (attestation ${digest}); try again when that is settled.`,
  true,
);
export const StakeManagerDisputedLatelyError = define(
  "StakeManagerDisputedLately",
  (until) => `Holders voided a root a short while ago: no validator's stake is paid before ${time(until)}.`,
  true,
);
export const StakeManagerExpiredError = define(
  "StakeManagerExpired",
  (deadline) => `The ruling's deadline ${time(deadline)} has passed; have it signed with a later one.`,
);
export const StakeManagerNoConflictError = define(
  "StakeManagerNoConflict",
  () =>
    "The two statements do not contradict each other: verdicts of kind 3 or 5 must say two values of one thing, attestations must pay differently for the same epochs and be equal in all else.",
);
export const StakeManagerNothingLeavingError = define(
  "StakeManagerNothingLeaving",
  (modelId, role, account) =>
    `Nothing that ${account} staked as a ${roleName(role)} of model ${modelId} is leaving; ask for it first.`,
);
export const StakeManagerNothingToSlashError = define(
  "StakeManagerNothingToSlash",
  (modelId, role, account) =>
    `${account} has no stake as a ${roleName(role)} of model ${modelId}, or the holders set that this costs nothing.`,
);
export const StakeManagerNotSignedError = define(
  "StakeManagerNotSigned",
  (account, signer) => `${signer} signed this, and not ${account}.`,
);
export const StakeManagerNotPayeeError = define(
  "StakeManagerNotPayee",
  (payee) => `The account has said that ${payee} alone is paid.`,
);
export const StakeManagerNotVetoedError = define(
  "StakeManagerNotVetoed",
  (hash) => `The holders did not veto the ruling ${hash}.`,
);
export const StakeManagerNotVoidedError = define(
  "StakeManagerNotVoided",
  (digest) => `The holders did not void the attestation ${digest}.`,
);
export const StakeManagerPayeeSetError = define(
  "StakeManagerPayeeSet",
  (payee) => `The account has said for ever that ${payee} alone is paid.`,
);
export const StakeManagerPunishedError = define(
  "StakeManagerPunished",
  (account, subject) => `${account} was punished for this before, or is to be: ${subject}.`,
);
export const StakeManagerRulingNotOpenError = define("StakeManagerRulingNotOpen", (worker, receiptHash, state) =>
  state === rulingStatus.none
    ? `There is no ruling on receipt ${receiptHash} of ${worker}.`
    : `The ruling on receipt ${receiptHash} of ${worker} was ${nameOfCode(rulingStatus, state)} before.`,
);
export const StakeManagerRulingsOpenError = define(
  "StakeManagerRulingsOpen",
  (rulings) => `No stake is paid while rulings are open (${rulings}); anyone executes them once holders let them pass.`,
  true,
);
export const StakeManagerStaleSetError = define(
  "StakeManagerStaleSet",
  (setVersion, current) =>
    `The ruling names validator set ${setVersion}, but set ${current} is in force; have it signed anew.`,
);
export const StakeManagerStillValidatorError = define(
  "StakeManagerStillValidator",
  (modelId, account) =>
    `${account} is a validator of model ${modelId}: its stake waits from when a set without it is in force.`,
);
export const StakeManagerTermOutOfBoundsError = define(
  "StakeManagerTermOutOfBounds",
  (term, value, minimum, maximum) =>
    `The term ${word(term)} is ${value} basis points; it must be from ${minimum} to ${maximum}.`,
);
export const StakeManagerTermsReplacedError = define(
  "StakeManagerTermsReplaced",
  (modelId, replaces, latest) =>
    `Model ${modelId} has terms ${latest} by now, and this decision replaces terms ${replaces}; propose it anew.`,
);
export const StakeManagerTooEarlyError = define(
  "StakeManagerTooEarly",
  (leavesAt) => `The stake is leaving until ${time(leavesAt)}; withdraw it then.`,
  true,
);
export const StakeManagerTooLittleError = define(
  "StakeManagerTooLittle",
  (amount, active) => `${coins(active)} are active, fewer than ${coins(amount)}.`,
);
export const StakeManagerUnknownModelError = define(
  "StakeManagerUnknownModel",
  (modelId) => `There is no model ${modelId}.`,
);
export const StakeManagerVetoOpenError = define(
  "StakeManagerVetoOpen",
  (vetoEnds) => `Holders may veto the ruling until ${time(vetoEnds)}; execute it then.`,
  true,
);
export const StakeManagerZeroError = define("StakeManagerZero", (field) => `The ${word(field)} must not be zero.`);

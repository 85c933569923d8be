/** Errors of ComputeBudget. */
import { define, time, word } from "./define.ts";

export const ComputeBudgetBadRecipientError = define(
  "ComputeBudgetBadRecipient",
  (recipient) => `${recipient} cannot spend from the treasury: name somebody else.`,
);
export const ComputeBudgetBadTokenError = define(
  "ComputeBudgetBadToken",
  (token) => `${token} is no token: there is no code at that address.`,
);
export const ComputeBudgetEndedError = define(
  "ComputeBudgetEnded",
  (id, at) => `Budget ${id} was ended by the holders at ${time(at)}.`,
);
export const ComputeBudgetExceededError = define(
  "ComputeBudgetExceeded",
  (id, amount, left) => `Budget ${id} leaves ${left} of the token's smallest units in this epoch, not ${amount}.`,
);
export const ComputeBudgetExpiredError = define(
  "ComputeBudgetExpired",
  (id, expiry) => `Budget ${id} could be spent until ${time(expiry)}; the holders may open another.`,
);
export const ComputeBudgetNotRecipientError = define(
  "ComputeBudgetNotRecipient",
  (id, caller, recipient) => `Budget ${id} is ${recipient}'s to spend, not ${caller}'s.`,
);
export const ComputeBudgetTermOutOfBoundsError = define(
  "ComputeBudgetTermOutOfBounds",
  (term, value, minimum, maximum) =>
    `The budget's ${word(term)} is ${value}; it must be from ${minimum} to ${maximum}.`,
);
export const ComputeBudgetUnknownError = define(
  "ComputeBudgetUnknown",
  (modelId, id) => `Model ${modelId} has no budget ${id}.`,
);

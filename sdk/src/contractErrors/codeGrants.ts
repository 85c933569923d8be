/** Errors of CodeGrants. */
import { define, shares, time, word } from "./define.ts";

export const CodeGrantsAboveAuthorCapError = define(
  "CodeGrantsAboveAuthorCap",
  (author, amount, left) =>
    `Maintainers may still approve ${shares(left)} for ${author} in this epoch, not ${shares(amount)}; the holders set these caps, and may approve a grant themselves.`,
);
export const CodeGrantsCapsReplacedError = define(
  "CodeGrantsCapsReplaced",
  (modelId, replaces, latest) =>
    `Model ${modelId} has caps ${latest} by now, and this decision replaces caps ${replaces}; propose it anew.`,
);
export const CodeGrantsAboveEpochCapError = define(
  "CodeGrantsAboveEpochCap",
  (amount, left) =>
    `Maintainers may still approve ${shares(left)} in this epoch, not ${shares(amount)}; the holders set these caps, and may approve a grant themselves.`,
);
export const CodeGrantsApprovedError = define(
  "CodeGrantsApproved",
  (modelId, id) => `Grant ${id} of model ${modelId} was approved before.`,
);
export const CodeGrantsExpiredError = define(
  "CodeGrantsExpired",
  (deadline) => `The grant's deadline ${time(deadline)} has passed; have it signed with a later one.`,
);
export const CodeGrantsOtherRepositoryError = define(
  "CodeGrantsOtherRepository",
  (digest, named) => `The repository's URL has the sha256 ${digest}, but the grant names ${named}.`,
);
export const CodeGrantsStaleSetError = define("CodeGrantsStaleSet", (setVersion, current) =>
  current === 0
    ? `The grant names maintainer set ${setVersion}, but no maintainers decide on it.`
    : `The grant names maintainer set ${setVersion}, but set ${current} is in force; have it signed anew.`,
);
export const CodeGrantsTermOutOfBoundsError = define(
  "CodeGrantsTermOutOfBounds",
  (term, value, minimum, maximum) => `The grant's ${word(term)} is ${value}; it must be from ${minimum} to ${maximum}.`,
);
export const CodeGrantsUnknownError = define(
  "CodeGrantsUnknown",
  (modelId, id) => `Model ${modelId} has no grant ${id}.`,
);
export const CodeGrantsVoidedSetError = define(
  "CodeGrantsVoidedSet",
  (setVersion, at) =>
    `Set ${setVersion} of the maintainers approves nothing more: the holders ended all its grants at ${time(at)}.`,
);

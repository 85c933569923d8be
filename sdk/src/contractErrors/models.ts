/** Errors of a model's own contracts and their registry. */
import { define, word } from "./define.ts";

export const ModelAuthorityUnauthorizedError = define(
  "ModelAuthorityUnauthorized",
  (modelId, caller) => `${caller} may not command model ${modelId}; its holders do, by a proposal.`,
);
export const ModelGovernorOnlyRegistryError = define(
  "ModelGovernorOnlyRegistry",
  (caller) => `${caller} may not initialise a governor; only the registry does.`,
);
export const ModelGovernorOnlyRewardsError = define(
  "ModelGovernorOnlyRewards",
  (caller) => `${caller} may not open the vote on a dispute; only the rewards do.`,
);
export const ModelGovernorSettingOutOfBoundsError = define(
  "ModelGovernorSettingOutOfBounds",
  (value, minimum, maximum) => `The governor's setting ${value} must lie from ${minimum} to ${maximum}.`,
);
export const ModelGovernorTimelockFixedError = define(
  "ModelGovernorTimelockFixed",
  () => "The timelock of a model is fixed, for its address is what commands the model.",
);
export const ModelGovernorVoteTooLongError = define(
  "ModelGovernorVoteTooLong",
  (length, maximum) =>
    `Voting delay, voting period and late-quorum extension take ${length} seconds together; they may take ${maximum}, so that a budget outlasts the longest vote.`,
);
export const ModelRegistryLimitRefusedError = define(
  "ModelRegistryLimitRefused",
  (setting, value, minimum, maximum) =>
    `The limit ${word(setting)} of ${value} must lie from ${minimum} to ${maximum}; only development chains may go lower than others.`,
);
export const ModelRegistryModelExistsError = define(
  "ModelRegistryModelExists",
  (modelId) => `Model ${modelId} exists: this sender has used this salt before.`,
);
export const ModelRegistryOrganiserMissingError = define(
  "ModelRegistryOrganiserMissing",
  () => "A model needs an organiser, which is the zero address here.",
);
export const ModelRegistrySettingOutOfBoundsError = define(
  "ModelRegistrySettingOutOfBounds",
  (setting, value, minimum, maximum) =>
    `The model's ${word(setting)} is ${value}; it must lie from ${minimum} to ${maximum}.`,
);
export const ModelRegistryTooSlowError = define(
  "ModelRegistryTooSlow",
  (length, maximum) =>
    `An epoch, its posting delay, the window and the longest vote take ${length} seconds together; they may take ${maximum}, or the epoch's budget could never be authorised.`,
);
export const ModelSharesOnlyEmissionError = define(
  "ModelSharesOnlyEmission",
  (caller) => `${caller} may not mint shares; only Emission does.`,
);
export const ModelSharesOnlyRegistryError = define(
  "ModelSharesOnlyRegistry",
  (caller) => `${caller} may not initialise shares; only the registry does.`,
);
export const ModelSharesOnlyTimelockError = define(
  "ModelSharesOnlyTimelock",
  (caller) => `${caller} may not set the contract URI; the holders do, by a proposal.`,
);
export const ModelSharesTreasuryVotesError = define(
  "ModelSharesTreasuryVotes",
  () => "The treasury's shares vote for nobody.",
);
export const ModelTimelockDelayOutOfBoundsError = define(
  "ModelTimelockDelayOutOfBounds",
  (delay, minimum, maximum) => `The timelock's delay of ${delay} seconds must lie from ${minimum} to ${maximum}.`,
);
export const ModelTimelockDelayNotExactError = define(
  "ModelTimelockDelayNotExact",
  (delay, expected) => `An operation waits exactly the timelock's delay of ${expected} seconds, not ${delay}.`,
);
export const ModelTimelockRolesFixedError = define(
  "ModelTimelockRolesFixed",
  () => "The timelock's roles are fixed: none is granted, revoked or renounced.",
);
export const ModelTimelockOnlyRegistryError = define(
  "ModelTimelockOnlyRegistry",
  (caller) => `${caller} may not initialise a timelock; only the registry does.`,
);

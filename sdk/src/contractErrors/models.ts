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
export const ModelGovernorSettingOutOfBoundsError = define(
  "ModelGovernorSettingOutOfBounds",
  (value, minimum, maximum) => `The governor's setting ${value} must lie from ${minimum} to ${maximum}.`,
);
export const ModelGovernorTimelockFixedError = define(
  "ModelGovernorTimelockFixed",
  () => "The timelock of a model is fixed, for its address is what commands the model.",
);
export const ModelRegistryLimitRefusedError = define(
  "ModelRegistryLimitRefused",
  (setting, value, minimum) =>
    `The limit ${word(setting)} of ${value} lies below ${minimum}, which only development chains may allow.`,
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
export const ModelTimelockDelayOutOfBoundsError = define(
  "ModelTimelockDelayOutOfBounds",
  (delay, minimum, maximum) => `The timelock's delay of ${delay} seconds must lie from ${minimum} to ${maximum}.`,
);
export const ModelTimelockOnlyRegistryError = define(
  "ModelTimelockOnlyRegistry",
  (caller) => `${caller} may not initialise a timelock; only the registry does.`,
);

/** Errors of RunRegistry. */
import { runParameters } from "../protocol/parameters.ts";
import { define, word } from "./define.ts";

export const RunRegistryParamOutOfBoundsError = define(
  "RunRegistryParamOutOfBounds",
  (field, value, min, max) =>
    `The run parameter ${runParameters[Number(field)]?.name ?? field} is ${value}; it must lie from ${min} to ${max}.`,
);
export const RunRegistryParamsInconsistentError = define(
  "RunRegistryParamsInconsistent",
  (rule) => `The run parameter ${word(rule)} does not fit the others or the number of fragments.`,
);
export const RunRegistryParamsReplacedError = define(
  "RunRegistryParamsReplaced",
  (runId, replaces, latest) =>
    `Run ${runId} has parameters ${latest} by now, and this decision replaces parameters ${replaces}; propose it anew.`,
);
export const RunRegistryBuildCountError = define(
  "RunRegistryBuildCount",
  (count) => `A run is registered with 1 to 16 builds, not ${count}.`,
);
export const RunRegistryRunExistsError = define(
  "RunRegistryRunExists",
  (runId) => `Run ${runId} exists: this model has used this salt before.`,
);
export const RunRegistryRunFinishedError = define(
  "RunRegistryRunFinished",
  (runId) => `Run ${runId} is finished, and a finished run stays finished.`,
);
export const RunRegistryRunOpenError = define(
  "RunRegistryRunOpen",
  (modelId, runId) => `Model ${modelId} has run ${runId}, which must finish before another is registered.`,
);
export const RunRegistryUnknownRunError = define("RunRegistryUnknownRun", (runId) => `There is no run ${runId}.`);
export const RunRegistryZeroError = define("RunRegistryZero", (field) => `The run's ${word(field)} must not be zero.`);

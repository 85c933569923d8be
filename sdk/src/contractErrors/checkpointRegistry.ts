/** Errors of CheckpointRegistry. */
import { define } from "./define.ts";

export const CheckpointRegistryDigestMissingError = define(
  "CheckpointRegistryDigestMissing",
  (runId) => `A checkpoint of run ${runId} needs a digest, which is zero here.`,
);
export const CheckpointRegistryNotPosterError = define(
  "CheckpointRegistryNotPoster",
  (runId, caller) => `${caller} is not the poster of run ${runId}; only the run's posting key posts heads.`,
);
export const CheckpointRegistryOnlyRunRegistryError = define(
  "CheckpointRegistryOnlyRunRegistry",
  (caller) => `${caller} may not record checkpoint 0; only RunRegistry does.`,
);
export const CheckpointRegistryRoundNotNextError = define(
  "CheckpointRegistryRoundNotNext",
  (runId, round, current) => `Round ${round} of run ${runId} does not follow the current round ${current}.`,
);
export const CheckpointRegistryRunNotOpenError = define(
  "CheckpointRegistryRunNotOpen",
  (runId) => `Run ${runId} takes no heads while it is paused or finished.`,
);
export const CheckpointRegistryStaleParentError = define(
  "CheckpointRegistryStaleParent",
  (runId, parent, current) => `The parent ${parent} is not the current head of run ${runId}, which is ${current}.`,
);
export const CheckpointRegistryUnknownParamsError = define(
  "CheckpointRegistryUnknownParams",
  (runId, version) => `Run ${runId} has no version ${version} of its parameters.`,
);

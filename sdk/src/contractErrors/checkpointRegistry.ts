/** Errors of CheckpointRegistry. */
import { define, time } from "./define.ts";

export const CheckpointRegistryDigestMissingError = define(
  "CheckpointRegistryDigestMissing",
  (runId) => `A checkpoint of run ${runId} needs a digest, which is zero here.`,
);
export const CheckpointRegistryMayNotRollBackError = define(
  "CheckpointRegistryMayNotRollBack",
  (runId, caller) =>
    `${caller} may not roll run ${runId} back: the holders do, and the organiser while the model is in bootstrap.`,
);
export const CheckpointRegistryMayNotSuspendError = define(
  "CheckpointRegistryMayNotSuspend",
  (runId, caller) =>
    `${caller} may not suspend the poster of run ${runId}: a quorum of validators does, and the organiser while the model is in bootstrap.`,
);
export const CheckpointRegistryNotAnnouncedError = define(
  "CheckpointRegistryNotAnnounced",
  (runId) => `This rollback of run ${runId} was not announced: the organiser announces it one window ahead.`,
);
export const CheckpointRegistryNotBackError = define(
  "CheckpointRegistryNotBack",
  (runId, round, current) => `Round ${round} of run ${runId} does not lie before the current round ${current}.`,
);
export const CheckpointRegistryNotPosterError = define(
  "CheckpointRegistryNotPoster",
  (runId, caller) => `${caller} is not the poster of run ${runId}; only the run's posting key posts heads.`,
);
export const CheckpointRegistryOnlyRunRegistryError = define(
  "CheckpointRegistryOnlyRunRegistry",
  (caller) => `${caller} may not record checkpoint 0; only RunRegistry does.`,
);
export const CheckpointRegistryOtherPosterError = define(
  "CheckpointRegistryOtherPoster",
  (runId, named, poster) => `The suspension names ${named}; the poster of run ${runId} is ${poster}.`,
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
export const CheckpointRegistryStaleSetError = define(
  "CheckpointRegistryStaleSet",
  (named, current) => `The suspension is signed by set ${named} of the validators; set ${current} is in force.`,
);
export const CheckpointRegistrySuspendedError = define(
  "CheckpointRegistrySuspended",
  (runId, poster) => `${poster} is suspended as the poster of run ${runId}, until the holders name another.`,
);
export const CheckpointRegistrySuspensionExpiredError = define(
  "CheckpointRegistrySuspensionExpired",
  (deadline) => `The suspension could be used until ${deadline}.`,
);
export const CheckpointRegistrySuspensionUsedError = define(
  "CheckpointRegistrySuspensionUsed",
  (runId, digest) => `The suspension ${digest} of run ${runId} was used before: each counts once.`,
);
export const CheckpointRegistryTooEarlyError = define(
  "CheckpointRegistryTooEarly",
  (runId, readyAt) => `Run ${runId} may be rolled back from ${time(readyAt)} on: a window after it was announced.`,
);
export const CheckpointRegistryUnknownParamsError = define(
  "CheckpointRegistryUnknownParams",
  (runId, version) => `Run ${runId} has no version ${version} of its parameters.`,
);

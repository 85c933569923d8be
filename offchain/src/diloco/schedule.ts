/** When, within a round, each fragment is synchronised. */
import { InternalError } from "../base/index.ts";

/**
 * The inner step after which each fragment's pseudo-gradient is taken.
 * With `delaySteps` 0 nothing streams and all fragments close together at the end; else fragment f syncs at
 * H·(f+1)/F (Streaming DiLoCo, arXiv 2501.18512).
 * @param innerSteps H_i of the worker; a positive multiple of `fragments`
 * @returns steps by fragment index, [fragments]
 * @throws InternalError `SCHEDULE_INVALID`
 */
export function syncSteps(innerSteps: number, fragments: number, delaySteps = 0): number[] {
  if (
    !Number.isSafeInteger(innerSteps / fragments) ||
    innerSteps < fragments ||
    fragments < 1 ||
    delaySteps < 0 ||
    delaySteps >= innerSteps / fragments
  ) {
    throw new InternalError(
      "SCHEDULE_INVALID",
      `${innerSteps} inner steps with ${fragments} fragments and a delay of ${delaySteps} have no schedule.`,
    );
  }
  return Array.from({ length: fragments }, (_, f) =>
    delaySteps === 0 ? innerSteps : (innerSteps / fragments) * (f + 1),
  );
}

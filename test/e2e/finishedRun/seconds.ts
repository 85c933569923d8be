/** Seconds that the run's two workers take for claims and a decision, with two processors to themselves. */
const ALONE = 75;
const WORKERS = 2;

/**
 * Beside neighbours everything takes so many times longer, four times at most.
 * @param load of the machine; one neighbour, a room's test, comes beside the run even where there is none yet
 */
export function secondsBeside(load: number, processors: number): number {
  const crowd = (WORKERS + Math.max(1, load)) / processors;
  return Math.round(ALONE * Math.min(4, Math.max(1, crowd)));
}

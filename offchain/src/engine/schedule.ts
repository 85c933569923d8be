/** The inner learning rate: linear warm-up, then constant, since a run's total of steps is not known beforehand. */
import { EngineError } from "./errors.ts";

/** Shape of the schedule, fixed in a run's definition; its size `peak` is governed. */
export interface Schedule {
  readonly kind: "warmup-constant";
  /** Steps of the run over which the rate rises to its peak. */
  readonly warmupSteps: number;
  /** Steps over which it rises for an optimizer that starts afresh, whose moments know nothing yet. */
  readonly freshWarmupSteps: number;
}

export const defaultSchedule: Schedule = { kind: "warmup-constant", warmupSteps: 100, freshWarmupSteps: 10 };

/** Which step it is: of the run, and of this worker's optimizer; both count from 0. */
export interface StepClock {
  readonly globalStep: number;
  readonly optimizerStep: number;
}

const rise = (step: number, steps: number): number => (steps < 1 ? 1 : Math.min(1, (step + 1) / steps));

/**
 * Learning rate of one step: peak × the smaller of both warm-ups. Doubles in a fixed order; fp32 when fed.
 * @throws EngineError SCHEDULE_INVALID for a rate or step that is negative or not finite
 */
export function learningRateAt(schedule: Schedule, peak: number, { globalStep, optimizerStep }: StepClock): number {
  for (const [name, value] of Object.entries({ peak, globalStep, optimizerStep })) {
    if (!Number.isFinite(value) || value < 0) {
      throw new EngineError("SCHEDULE_INVALID", `The schedule's ${name} must be a number from 0, not ${value}.`);
    }
  }
  return peak * Math.min(rise(globalStep, schedule.warmupSteps), rise(optimizerStep, schedule.freshWarmupSteps));
}

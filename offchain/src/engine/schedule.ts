/** Inner learning rates: pure functions of the step, without state, so that anybody who replays a step asks for its rate alone. */
import type { Definition } from "@cotrain/sdk/protocol";

import { EngineError } from "./errors.ts";

/** Shape of the schedule, fixed in a run's definition; its size `peak` is governed. */
export type Schedule = Definition["schedule"];

export const defaultSchedule: Schedule = { kind: "warmup-constant", warmupSteps: 100, freshWarmupSteps: 10 };

/** Which step it is: of the run, and of this worker's optimizer; both count from 0. */
export interface StepClock {
  readonly globalStep: number;
  readonly optimizerStep: number;
}

/** What part of its peak a rate is at a step. Doubles in a fixed order. */
type Rule<Shape> = { factor(schedule: Shape, clock: StepClock): number };

const rise = (step: number, steps: number): number => (steps < 1 ? 1 : Math.min(1, (step + 1) / steps));

/**
 * Linear warm-up, then constant, since a run's total of steps is not known beforehand. It rises over `warmupSteps` of the run,
 * and over `freshWarmupSteps` of an optimizer that starts afresh, whose moments know nothing yet; the smaller counts.
 */
const warmupConstant: Rule<Extract<Schedule, { readonly kind: "warmup-constant" }>> = {
  factor: (schedule, { globalStep, optimizerStep }) =>
    Math.min(rise(globalStep, schedule.warmupSteps), rise(optimizerStep, schedule.freshWarmupSteps)),
};

/** By `kind`. */
const schedules: Readonly<Record<Schedule["kind"], Rule<Schedule>>> = { "warmup-constant": warmupConstant };

/**
 * Learning rate of one step: peak × the schedule's factor; fp32 when fed.
 * @throws EngineError SCHEDULE_INVALID for a rate or step that is negative or not finite
 */
export function learningRateAt(schedule: Schedule, peak: number, clock: StepClock): number {
  const { globalStep, optimizerStep } = clock;
  for (const [name, value] of Object.entries({ peak, globalStep, optimizerStep })) {
    if (!Number.isFinite(value) || value < 0) {
      throw new EngineError("SCHEDULE_INVALID", `The schedule's ${name} must be a number from 0, not ${value}.`);
    }
  }
  return peak * schedules[schedule.kind].factor(schedule, clock);
}

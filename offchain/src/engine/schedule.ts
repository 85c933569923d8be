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

/** What part of its peak a rate is at a step of the run, warm-up aside. Doubles in a fixed order. */
type Rule<Shape> = { factor(schedule: Shape, globalStep: number): number };
type Shape<Kind extends Schedule["kind"]> = Extract<Schedule, { readonly kind: Kind }>;

/** For a run whose total of steps is not known beforehand. */
const constant: Rule<Shape<"warmup-constant">> = { factor: () => 1 };

/** Half a cosine from the end of the warm-up to the last step: (1 + cos πx) ÷ 2, which is cos² (πx ÷ 2). https://arxiv.org/abs/1608.03983 */
const cosine: Rule<Shape<"cosine">> = {
  factor: ({ warmupSteps, steps, floor }, step) => {
    const root = cos((Math.PI / 2) * passed(step, warmupSteps, steps));
    return floor + (1 - floor) * (root * root);
  },
};

/** Constant, and a straight line down in the last steps. https://arxiv.org/abs/2404.06395 */
const stableDecay: Rule<Shape<"warmup-stable-decay">> = {
  factor: ({ steps, decaySteps, floor }, step) => floor + (1 - floor) * (1 - passed(step, steps - decaySteps, steps)),
};

/** By `kind`. */
const schedules: Readonly<Record<Schedule["kind"], Rule<Schedule>>> = {
  "warmup-constant": constant,
  cosine,
  "warmup-stable-decay": stableDecay,
};

/** How much of the way from one step to another is behind: 0 to 1. */
function passed(step: number, from: number, to: number): number {
  if (step >= to) return 1;
  return step <= from ? 0 : (step - from) / (to - from);
}

/** Of 0 to π/2, by its series in doubles: Math.cos may have other last bits in another JS engine. */
function cos(x: number): number {
  let sum = 1;
  for (let n = 22; n > 0; n -= 2) sum = 1 - (sum * (x * x)) / (n * (n - 1));
  return sum;
}

const rise = (step: number, steps: number): number => (steps < 1 ? 1 : Math.min(1, (step + 1) / steps));

/**
 * A linear rise over `warmupSteps` of the run, and over `freshWarmupSteps` of an optimizer that starts afresh, whose state knows
 * nothing yet; the smaller counts.
 */
const warmup = ({ warmupSteps, freshWarmupSteps }: Schedule, { globalStep, optimizerStep }: StepClock): number =>
  Math.min(rise(globalStep, warmupSteps), rise(optimizerStep, freshWarmupSteps));

/**
 * Learning rate of one step: peak × warm-up × the schedule's factor; fp32 when fed.
 * @throws EngineError SCHEDULE_INVALID for a rate or step that is negative or not finite
 */
export function learningRateAt(schedule: Schedule, peak: number, clock: StepClock): number {
  const { globalStep, optimizerStep } = clock;
  for (const [name, value] of Object.entries({ peak, globalStep, optimizerStep })) {
    if (!Number.isFinite(value) || value < 0) {
      throw new EngineError("SCHEDULE_INVALID", `The schedule's ${name} must be a number from 0, not ${value}.`);
    }
  }
  return peak * (warmup(schedule, clock) * schedules[schedule.kind].factor(schedule, globalStep));
}

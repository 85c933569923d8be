/** A model's clock: which epoch a time belongs to, and when an epoch is over. */
import type { ModelSchedule } from "./ports.ts";

/** Epoch of a time, counted from 1; 0 before the model's creation. Emission computes the same. */
export const epochAt = (schedule: ModelSchedule, time: number): number =>
  time < schedule.start ? 0 : 1 + Math.floor((time - schedule.start) / schedule.epochLength);

/** Time at which an epoch is over. */
export const endOfEpoch = (schedule: ModelSchedule, epoch: number): number =>
  schedule.start + epoch * schedule.epochLength;

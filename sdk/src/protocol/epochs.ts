/**
 * A model's time in epochs of equal length, counted from 1 at its creation. Times are seconds of chain time.
 * contracts/libraries/Epochs.sol computes the same.
 */

/** What epochs are counted by; part of a model's schedule. */
export interface EpochClock {
  /** The model's creation. */
  readonly start: number;
  readonly epochLength: number;
}

/** Epoch of a time; 0 before the model's creation. */
export const epochAt = ({ start, epochLength }: EpochClock, time: number): number =>
  time < start ? 0 : 1 + Math.floor((time - start) / epochLength);

/** Posting delays from now on within which the deadline of an attestation lies: validators sign none that is further ahead. */
export const MAX_DEADLINE_DELAYS = 5;

/** Time at which an epoch is over, which is when the next one begins. */
export const endOfEpoch = ({ start, epochLength }: EpochClock, epoch: number): number => start + epoch * epochLength;

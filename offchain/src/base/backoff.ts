/**
 * Trying again after waits that double. Who tries again states its bounds alone, and brings clock, randomness and signal. With full
 * jitter those that lost the same peer do not come back in step.
 */
import { CotrainError } from "@cotrain/sdk/base";

import type { Clock } from "./clock.ts";

export interface Backoff {
  /** Upper bound of the first wait, ms. */
  readonly base: number;
  /** Upper bound of every wait, ms. */
  readonly maximum: number;
}

/**
 * Upper bound of the wait before the next try, ms, or the wait itself where nothing is drawn: it never falls from try to try.
 * @param attempt failed tries so far less one: 0 after the first
 */
export const backoffBound = (attempt: number, { base, maximum }: Backoff): number =>
  Math.min(maximum, base * 2 ** Math.min(attempt, 30));

/**
 * Wait before the next try, uniform in (0, min(maximum, base · 2^attempt)].
 * Source: Brooker, "Exponential Backoff And Jitter" (AWS, 2015), the variant "full jitter".
 * @param attempt failed tries so far less one: 0 after the first
 * @param random uniform in [0, 1)
 */
export function fullJitter(attempt: number, options: Backoff, random: () => number): number {
  return Math.ceil(backoffBound(attempt, options) * (1 - random()));
}

/** @param withinMs what the wait is at most, which is what people are told: it does not jump from try to try */
export type OnRetry = (error: CotrainError, waitMs: number, withinMs: number) => void;

export interface RetryOptions {
  readonly clock: Clock;
  readonly backoff: Backoff;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Tries in all; default: until it succeeds. */
  readonly tries?: number;
  /** Ms after which a failure is final; default: none is. */
  readonly within?: number;
  /** Which errors of ours are worth another try; default: those that say so. Others never are. */
  readonly retryable?: (error: CotrainError) => boolean;
  /** The least wait after an error, ms, where who was asked said when to come back. */
  readonly atLeast?: (error: CotrainError) => number;
  readonly onRetry?: OnRetry;
}

/** The same wait after each failure, ms. */
export const steady = (ms: number): Pick<RetryOptions, "backoff" | "random"> => ({
  backoff: { base: ms, maximum: ms },
  random: () => 0,
});

/** Whether the error itself says that trying again can help. */
export const saysRetryable = (error: unknown): boolean => error instanceof CotrainError && error.retryable;

/** Calls `work` until it succeeds, fails for good, has used up its tries or its time, or the signal is aborted. */
export async function retrying<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { retryable = saysRetryable, tries = Infinity, within = Infinity } = options;
  const giveUpAt = options.clock.monotonic() + within;
  for (let attempt = 0; ; attempt++) {
    options.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CotrainError) || !retryable(error)) throw error;
      if (attempt + 1 >= tries || options.clock.monotonic() >= giveUpAt) throw error;
      options.signal.throwIfAborted();
      const least = options.atLeast?.(error) ?? 0;
      const wait = Math.max(least, fullJitter(attempt, options.backoff, options.random));
      options.onRetry?.(error, wait, Math.max(least, backoffBound(attempt, options.backoff)));
      await options.clock.sleep(wait, options.signal);
    }
  }
}

/** Waits, no longer than until the signal is aborted. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined);
}

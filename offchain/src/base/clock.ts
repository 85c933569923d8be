/**
 * Time as a dependency: whoever waits or stamps takes a {@link Clock}, so that tests and simulations move time by hand.
 */

import { turn } from "./turn.ts";

/** The time of day, a time that only moves on, and a wait that can be aborted. */
export interface Clock {
  /** Milliseconds since the Unix epoch. Whoever sets the machine's clock changes it by any amount: no measure of spans. */
  now(): number;
  /** Milliseconds since some moment in the past; never set, never falls. For spans and deadlines. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A sleep out of its beginning, which is told how to wake and says how the sleep is given up. */
const sleepUntil = (signal: AbortSignal | undefined, begin: (wake: () => void) => () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const giveUp = begin(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = (): void => {
      giveUp();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });

/** The machine's clock. A sleeping timer keeps the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    sleepUntil(signal, (wake) => {
      const timer = setTimeout(wake, ms);
      return () => clearTimeout(timer);
    }),
};

/** A clock that stands until it is told to move. */
export interface ManualClock extends Clock {
  /** Moves time on by `ms`; sleepers wake in the order of their deadlines, each seeing its own deadline as `now()`. */
  advance(ms: number): Promise<void>;
  /** Somebody sets the clock: `now()` changes by `ms`, no time passes and nobody wakes. */
  step(ms: number): void;
  /** How many sleepers wait. */
  readonly sleepers: number;
}

/**
 * Makes a clock for tests and simulations.
 * @param start milliseconds at which it stands first
 */
export function createManualClock(start = 0): ManualClock {
  interface Sleeper {
    at: number;
    order: number;
    wake: () => void;
  }
  let now = start;
  /** By how much the clock was set. */
  let set = 0;
  let order = 0;
  const sleepers = new Set<Sleeper>();
  const earliest = (): Sleeper | undefined => {
    let first: Sleeper | undefined;
    for (const sleeper of sleepers) {
      if (!first || sleeper.at < first.at || (sleeper.at === first.at && sleeper.order < first.order)) first = sleeper;
    }
    return first;
  };
  return {
    now: () => now + set,
    monotonic: () => now - start,
    step: (ms) => {
      set += ms;
    },
    sleep: (ms, signal) =>
      sleepUntil(signal, (wake) => {
        const sleeper: Sleeper = {
          at: now + Math.max(0, ms),
          order: order++,
          wake: () => {
            sleepers.delete(sleeper);
            wake();
          },
        };
        sleepers.add(sleeper);
        return () => sleepers.delete(sleeper);
      }),
    advance: async (ms) => {
      const end = now + ms;
      for (let next = earliest(); next && next.at <= end; next = earliest()) {
        now = Math.max(now, next.at);
        next.wake();
        // Lets what was woken run, and sleep again, before time moves further.
        await turn();
      }
      now = end;
    },
    get sleepers() {
      return sleepers.size;
    },
  };
}

/** Time for tests and simulations. */
import { type Clock, sleepUntil, turn } from "../../offchain/src/base/index.ts";

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
 * Makes one.
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

/** Moves time on as long as somebody sleeps, until the work is over. @returns as it does */
export async function passTime<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  const over: unknown[] = [];
  work.finally(() => over.push(true)).catch(() => undefined);
  while (over.length === 0) {
    await turn();
    if (clock.sleepers > 0) await clock.advance(500);
  }
  return work;
}

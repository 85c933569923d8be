/**
 * Time as a dependency: whoever waits or stamps takes a {@link Clock}, so that tests and simulations move time by hand.
 */

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
export const sleepUntil = (signal: AbortSignal | undefined, begin: (wake: () => void) => () => void): Promise<void> =>
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

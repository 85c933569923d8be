/**
 * Requests by who asks, counted in windows of time by a clock that nobody sets: where the machine's clock is set back, a window
 * that went by it would not end for as long as that. Of those who asked, the last are remembered.
 */
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from "@fastify/rate-limit";

interface Window {
  readonly since: number;
  count: number;
}

/**
 * A store for `@fastify/rate-limit`.
 * @param monotonic ms that only ever rise
 * @param capacity of whom a store remembers something
 */
export function rateWindows(monotonic: () => number, capacity: number): FastifyRateLimitStoreCtor {
  return class RateWindows implements FastifyRateLimitStore {
    readonly #windows = new Map<string, Window>();

    incr(key: string, callback: Parameters<FastifyRateLimitStore["incr"]>[1], timeWindow: number): void {
      const now = monotonic();
      const found = this.#windows.get(key);
      const window = found && now - found.since < timeWindow ? found : { since: now, count: 0 };
      window.count += 1;
      this.#windows.delete(key);
      this.#windows.set(key, window);
      const [oldest] = this.#windows.keys();
      if (this.#windows.size > capacity && oldest !== undefined) this.#windows.delete(oldest);
      callback(null, { current: window.count, ttl: timeWindow - (now - window.since) });
    }

    child(): FastifyRateLimitStore {
      return new RateWindows();
    }
  };
}

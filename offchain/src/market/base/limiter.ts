/**
 * How often an endpoint may be asked: a bucket of tokens that refills, and a least time between two calls, since providers have the
 * one, the other or both. Whoever waits is in line, so that callers at the same moment do not burst. What a provider says with 429
 * holds back everybody who comes after.
 */
import type { Clock } from "../../base/index.ts";

export interface Limit {
  /** Calls in a minute, as many of them at once. */
  readonly perMinute: number;
  /** Milliseconds from one call to the next; default 0. */
  readonly interval?: number;
}

export interface Limiter {
  /** Waits for its turn at an endpoint. @throws the signal's reason */
  turn(endpoint: string, signal: AbortSignal): Promise<void>;
  /** Nobody's turn comes within this time, ms. */
  hold(endpoint: string, ms: number): void;
}

/** Where no row of an adapter says otherwise. */
const STANDARD: Limit = { perMinute: 60, interval: 100 };

interface Line {
  tokens: number;
  /** Monotonic time at which the tokens were counted. */
  counted: number;
  /** Before which nobody's turn comes. */
  next: number;
}

/** Of one account: limits are counted by it. */
export function createLimiter(clock: Clock, limits: Readonly<Record<string, Limit>>): Limiter {
  const lines = new Map<string, Line>();
  const lineOf = (endpoint: string): { line: Line; limit: Limit } => {
    const limit = limits[endpoint] ?? STANDARD;
    const line = lines.get(endpoint) ?? { tokens: limit.perMinute, counted: clock.monotonic(), next: 0 };
    lines.set(endpoint, line);
    return { line, limit };
  };
  return {
    turn: async (endpoint, signal) => {
      const { line, limit } = lineOf(endpoint);
      const now = clock.monotonic();
      const rate = limit.perMinute / 60_000;
      line.tokens = Math.min(limit.perMinute, line.tokens + (now - line.counted) * rate) - 1;
      line.counted = now;
      const filled = line.tokens < 0 ? now + Math.ceil(-line.tokens / rate) : now;
      const at = Math.max(filled, line.next);
      line.next = at + (limit.interval ?? 0);
      signal.throwIfAborted();
      if (at > now) await clock.sleep(at - now, signal);
    },
    hold: (endpoint, ms) => {
      const { line } = lineOf(endpoint);
      line.next = Math.max(line.next, clock.monotonic() + ms);
    },
  };
}

/**
 * How many receipts without effect are read: refused ones, and those that were accepted before. To read one takes a millisecond of
 * the only thread, so it counts before its body has come, and not if it enters the log. Each member has a few a minute of its own,
 * whoever is beside it; what it sends beyond them is summed with what others of its network send beyond theirs, so that many keys
 * of one machine have no more than one has.
 */
import type { Address } from "@cotrain/sdk/protocol";

import { type Clock, isLoopback } from "../base/index.ts";
import { addressPrefixes, RateLimited } from "../service/index.ts";

const WINDOW_MS = 60_000;
/** A reply that was lost, a round that closed meanwhile: an honest member has one or two. */
export const OWN = 8;
/** Of all members of a network (/24 of IPv4, /32 of IPv6) together. */
export const SHARED = 256;
/** From this machine; behind a proxy that is not named all are from there. */
const SHARED_LOOPBACK = 100 * SHARED;
/** Members and networks that are remembered; who was quiet for longest is forgotten. */
const REMEMBERED = 10_000;

interface Window {
  readonly since: number;
  count: number;
}

export interface IdleReceipts {
  /**
   * Counts a receipt that is about to be read.
   * @returns takes the count back, for a receipt that had its effect
   * @throws RetryableError RATE_LIMITED
   */
  count(member: Address, from: string): () => void;
}

export function createIdleReceipts(clock: Pick<Clock, "monotonic">): IdleReceipts {
  const windows = new Map<string, Window>();

  const windowOf = (key: string): Window => {
    const now = clock.monotonic();
    const found = windows.get(key);
    const window = found && now - found.since < WINDOW_MS ? found : { since: now, count: 0 };
    windows.delete(key);
    windows.set(key, window);
    const [oldest] = windows.keys();
    if (windows.size > REMEMBERED && oldest !== undefined) windows.delete(oldest);
    return window;
  };

  return {
    count: (member, from) => {
      const own = windowOf(`member ${member}`);
      const [network = from] = addressPrefixes(from);
      const window = own.count < OWN ? own : windowOf(`network ${network}`);
      const most = window === own ? OWN : isLoopback(from) ? SHARED_LOOPBACK : SHARED;
      if (window.count >= most) throw new RateLimited("member", window.since + WINDOW_MS - clock.monotonic());
      window.count += 1;
      return () => {
        window.count -= 1;
      };
    },
  };
}

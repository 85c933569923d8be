/**
 * How fast members' links are, by what comes and goes: bytes by the time in which any of them are on their way, less what says nothing of a
 * link. Lost with the process.
 */
import type { ServerResponse } from "node:http";

import type { Address } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";

/** From a member, or to it. */
type Way = "up" | "down";

/** Members that are kept; whoever was heard of least lately goes first. */
const MOST_KNOWN = 4_096;
/** Below so many bytes it is the first answer's time that counts, and not the link. */
const LEAST_BYTES = 1 << 20;
/**
 * Of each transfer so many bytes are taken by a system's buffers at once (Linux: `tcp_wmem`), whatever its link: they do not count, so that
 * many small ones make no link seem faster. Their time does.
 */
const TAKEN_AT_ONCE = 4 << 20;
/** From so many on half of what was counted is forgotten, so that a link that changes is seen to. */
const MOST_BYTES = 1 << 30;

interface Counted {
  /** Transfers under way, and since when there was always one, ms. */
  active: number;
  since: number;
  /** Ms in which there was one, and the bytes that count of those that came to their end. */
  busy: number;
  bytes: number;
}

export interface Transfers {
  /** @returns says that it is over, and how many bytes went; called again it does nothing */
  begin(worker: Address, way: Way): (bytes: number) => void;
  /** Bytes a second; null where too little went. */
  rate(worker: Address, way: Way): number | null;
}

const nameOf = (worker: Address, way: Way): string => `${way} ${worker.toLowerCase()}`;

export function createTransfers(clock: Pick<Clock, "monotonic">): Transfers {
  const known = new Map<string, Counted>();
  function countedOf(name: string): Counted {
    const counted = known.get(name) ?? { active: 0, since: 0, busy: 0, bytes: 0 };
    known.delete(name);
    known.set(name, counted);
    for (const [oldest, { active }] of known) {
      if (known.size <= MOST_KNOWN) break;
      if (active === 0 && oldest !== name) known.delete(oldest);
    }
    return counted;
  }
  return {
    begin: (worker, way) => {
      const counted = countedOf(nameOf(worker, way));
      if (counted.active === 0) counted.since = clock.monotonic();
      counted.active += 1;
      let isOver = false;
      return (bytes) => {
        if (isOver) return;
        isOver = true;
        const now = clock.monotonic();
        counted.busy += now - counted.since;
        counted.since = now;
        counted.active -= 1;
        counted.bytes += Math.max(0, bytes - TAKEN_AT_ONCE);
        if (counted.bytes < MOST_BYTES) return;
        counted.bytes /= 2;
        counted.busy /= 2;
      };
    },
    rate: (worker, way) => {
      const { bytes, busy } = known.get(nameOf(worker, way)) ?? { bytes: 0, busy: 0 };
      return bytes < LEAST_BYTES || busy <= 0 ? null : Math.max(1, Math.round((bytes * 1_000) / busy));
    },
  };
}

/** Counts what a member fetches, from now to the end of it. */
export function timeFetch(
  transfers: Pick<Transfers, "begin">,
  member: Address,
  reply: Pick<ServerResponse, "once" | "destroyed" | "getHeader">,
): void {
  const over = transfers.begin(member, "down");
  reply.once("finish", () => over(Number(reply.getHeader("content-length") ?? 0)));
  reply.once("close", () => over(0));
  // Who went before is told of by nobody again: its link would be busy for ever.
  if (reply.destroyed) over(0);
}

/**
 * Limits on replies that are long in being read: so many at a time for each member, each address and all strangers, and an end to
 * those that are not read. Each has a chunk or two in memory; a thousand that are never read must not add up.
 */
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";

import { type Clock, RetryableError, systemClock } from "../base/index.ts";
import { addressGroup } from "./addresses.ts";

/** One or two are in memory for each connection; shorter replies are not counted. */
export const REPLY_CHUNK = 64 << 10;

export interface ReaderLimits {
  /** Long replies to strangers at the same time; default 512. */
  readonly total?: number;
  /** Long replies to one address at the same time; default 128: 64 workers behind one NAT with two each. */
  readonly perAddress?: number;
  /** And to one member; default 4: a worker asks for two parts of a checkpoint, and for data. */
  readonly perMember?: number;
  /** A chunk must be taken within this, ms; default 30,000. */
  readonly writeTimeout?: number;
  /** Where there is no room, who has taken nothing for this long makes some, ms; default 2,000. */
  readonly stallTimeout?: number;
  /** Where there is none for a stranger, so does the slowest stranger that took less than this a second; default 1 MiB. */
  readonly slowBytes?: number;
  readonly clock?: Clock;
}

/** Who asks: a member, known by its session, is bounded for itself and takes no place of others. */
export type Asker = { readonly member: string } | { readonly address: string };

/** One long reply. */
export interface Reader {
  /** Another chunk was taken. */
  progress(): void;
  end(): void;
}

export interface ReaderLimit {
  /**
   * Begins a long reply.
   * @param cut ends it at once
   * @throws RetryableError `READERS_BUSY`
   */
  begin(asker: Asker, cut: () => void): Reader;
  /** How many there are. */
  readonly size: number;
}

interface Entry {
  readonly group: string;
  readonly member: boolean;
  readonly cut: () => void;
  readonly begun: number;
  chunks: number;
  /** Of its last progress. */
  since: number;
  ended: boolean;
  readonly timer: NodeJS.Timeout;
}

export function createReaderLimit(limits: ReaderLimits = {}): ReaderLimit {
  const { total = 512, perAddress = 128, perMember = 4 } = limits;
  const { writeTimeout = 30_000, stallTimeout = 2_000, slowBytes = 1 << 20, clock = systemClock } = limits;
  /** By their last progress, the longest ago first. */
  const entries = new Set<Entry>();

  const end = (entry: Entry): void => {
    entry.ended = true;
    clearTimeout(entry.timer);
    entries.delete(entry);
  };
  const cut = (entry: Entry): void => {
    end(entry);
    entry.cut();
  };
  /** The slowest stranger of those that are there for long enough to tell, by what it has taken a second. */
  const slowest = (among: readonly Entry[], now: number): Entry | undefined => {
    const rates = among
      .filter(({ member, begun }) => !member && now - begun >= stallTimeout)
      .map((entry) => ({ entry, rate: (entry.chunks * REPLY_CHUNK * 1_000) / (now - entry.begun) }));
    const [least] = rates.toSorted((a, b) => a.rate - b.rate);
    return least && least.rate < slowBytes ? least.entry : undefined;
  };
  /** Makes room among some entries. @returns whether there is room now */
  const makeRoom = (among: readonly Entry[], most: number): boolean => {
    if (among.length < most) return true;
    const now = clock.monotonic();
    const stalled = among.find(({ since }) => now - since >= stallTimeout) ?? slowest(among, now);
    if (stalled) cut(stalled);
    return stalled !== undefined;
  };

  return {
    begin: (asker, cutReply) => {
      const member = "member" in asker;
      const group = member ? `member ${asker.member}` : addressGroup(asker.address);
      const own = [...entries].filter((entry) => entry.group === group);
      const strangers = (): Entry[] => [...entries].filter((entry) => !entry.member);
      if (!makeRoom(own, member ? perMember : perAddress) || (!member && !makeRoom(strangers(), total)))
        throw new RetryableError("READERS_BUSY", "Too many downloads at once: try again in a moment.");
      const timer = setTimeout(() => cut(entry), writeTimeout);
      timer.unref();
      const begun = clock.monotonic();
      const entry: Entry = { group, member, cut: cutReply, begun, chunks: 0, since: begun, ended: false, timer };
      entries.add(entry);
      return {
        progress: () => {
          if (entry.ended) return;
          entry.since = clock.monotonic();
          entry.chunks += 1;
          entry.timer.refresh();
          entries.delete(entry);
          entries.add(entry);
        },
        end: () => end(entry),
      };
    },
    get size() {
      return entries.size;
    },
  };
}

/**
 * A reply that is in memory, as a stream under the limit: for those that are longer than {@link REPLY_CHUNK}.
 * @throws RetryableError `READERS_BUSY`
 */
export function longReply(readers: ReaderLimit, asker: Asker, response: ServerResponse, body: Uint8Array): Readable {
  const reader = readers.begin(asker, () => response.destroy());
  response.once("close", () => reader.end());
  function* chunks(): Generator<Uint8Array> {
    for (let at = 0; at < body.length; at += REPLY_CHUNK) {
      yield body.subarray(at, at + REPLY_CHUNK);
      reader.progress();
    }
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: REPLY_CHUNK });
}

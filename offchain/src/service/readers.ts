/**
 * Limits on replies that are long in being read: so many at a time for each address and in all, and an end to those that are
 * not read. Each has a chunk or two in memory; a thousand that are never read must not add up.
 */
import { type Clock, RetryableError, systemClock } from "../base/index.ts";
import { addressGroup } from "./addresses.ts";

export interface ReaderLimits {
  /** Long replies at the same time; default 512. */
  readonly total?: number;
  /** Long replies to one address at the same time; default 128: 64 workers behind one NAT with two each. */
  readonly perAddress?: number;
  /** A chunk must be taken within this, ms; default 30,000. */
  readonly writeTimeout?: number;
  /** Where there is no room, who has taken nothing for this long makes some, ms; default 2,000. */
  readonly stallTimeout?: number;
  readonly clock?: Clock;
}

/** One long reply. */
export interface Reader {
  /** Another chunk was taken. */
  progress(): void;
  end(): void;
}

export interface ReaderLimit {
  /**
   * Begins a long reply to an address.
   * @param cut ends it at once
   * @throws RetryableError `READERS_BUSY`
   */
  begin(address: string, cut: () => void): Reader;
  /** How many there are. */
  readonly size: number;
}

interface Entry {
  readonly group: string;
  readonly cut: () => void;
  since: number;
  ended: boolean;
  readonly timer: NodeJS.Timeout;
}

export function createReaderLimit(limits: ReaderLimits = {}): ReaderLimit {
  const { total = 512, perAddress = 128, writeTimeout = 30_000, stallTimeout = 2_000, clock = systemClock } = limits;
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
  /** Makes room among some entries. @returns whether there is room now */
  const makeRoom = (among: readonly Entry[], most: number): boolean => {
    if (among.length < most) return true;
    const [slowest] = among;
    if (!slowest || clock.monotonic() - slowest.since < stallTimeout) return false;
    cut(slowest);
    return true;
  };

  return {
    begin: (address, cutReply) => {
      const group = addressGroup(address);
      const own = [...entries].filter((entry) => entry.group === group);
      if (!makeRoom(own, perAddress) || !makeRoom([...entries], total))
        throw new RetryableError("READERS_BUSY", "Too many downloads at once: try again in a moment.");
      const timer = setTimeout(() => cut(entry), writeTimeout);
      timer.unref();
      const entry: Entry = { group, cut: cutReply, since: clock.monotonic(), ended: false, timer };
      entries.add(entry);
      return {
        progress: () => {
          if (entry.ended) return;
          entry.since = clock.monotonic();
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

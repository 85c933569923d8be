/**
 * Limits on replies that are long in being read: so many at a time for each member, each address and all strangers, and an end to
 * those that are not read. Each has a chunk or two in memory; a thousand that are never read must not add up.
 */
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";

import { type Clock, RetryableError, systemClock } from "../../base/index.ts";
import { addressPrefixes } from "./addresses.ts";
import { emptyNetwork, lastOf, type Path, putIn } from "./networks.ts";

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
  /** Where there is none for a stranger, so does the slowest that took less than this a second; default 1 MiB. */
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
  /** Where a stranger comes from, the address last; a member is one for itself. */
  readonly networks: Path;
  readonly member: boolean;
  readonly cut: () => void;
  readonly begun: number;
  chunks: number;
  /** Of its last progress. */
  since: number;
  ended: boolean;
  readonly timer: NodeJS.Timeout;
}

/** Begins nothing yet. */
export const createReaderLimit = (limits: ReaderLimits = {}): ReaderLimit => new LongReplies(limits);

class LongReplies implements ReaderLimit {
  readonly #limits: Required<ReaderLimits>;
  /** By their last progress, the longest ago first. */
  readonly #entries = new Set<Entry>();

  constructor({
    total = 512,
    perAddress = 128,
    perMember = 4,
    writeTimeout = 30_000,
    stallTimeout = 2_000,
    slowBytes = 1 << 20,
    clock = systemClock,
  }: ReaderLimits) {
    this.#limits = { total, perAddress, perMember, writeTimeout, stallTimeout, slowBytes, clock };
  }

  get size(): number {
    return this.#entries.size;
  }

  begin(asker: Asker, cut: () => void): Reader {
    const { perMember, perAddress, writeTimeout, clock } = this.#limits;
    const member = "member" in asker;
    const networks = member ? [`member ${asker.member}`] : addressPrefixes(asker.address);
    const own = [...this.#entries].filter((entry) => entry.networks.at(-1) === networks.at(-1));
    if (!this.#makeRoom(own, member ? perMember : perAddress) || (!member && !this.#share(networks)))
      throw new RetryableError("READERS_BUSY", "Too many downloads at once: try again in a moment.");
    const timer = setTimeout(() => this.#cut(entry), writeTimeout);
    timer.unref();
    const begun = clock.monotonic();
    const entry: Entry = { networks, member, cut, begun, chunks: 0, since: begun, ended: false, timer };
    this.#entries.add(entry);
    return { progress: () => this.#progress(entry), end: () => this.#end(entry) };
  }

  #progress(entry: Entry): void {
    if (entry.ended) return;
    entry.since = this.#limits.clock.monotonic();
    entry.chunks += 1;
    entry.timer.refresh();
    this.#entries.delete(entry);
    this.#entries.add(entry);
  }

  #end(entry: Entry): void {
    entry.ended = true;
    clearTimeout(entry.timer);
    this.#entries.delete(entry);
  }

  #cut(entry: Entry): void {
    this.#end(entry);
    entry.cut();
  }

  #isFresh({ begun }: Entry): boolean {
    const { clock, stallTimeout } = this.#limits;
    return clock.monotonic() - begun < stallTimeout;
  }

  /** What was taken a second; nothing by who stalls. */
  #rateOf({ begun, chunks, since }: Entry): number {
    const { clock, stallTimeout } = this.#limits;
    const now = clock.monotonic();
    return now - since >= stallTimeout ? 0 : (chunks * REPLY_CHUNK * 1_000) / (now - begun);
  }

  /** Who was there for long enough to tell: who stalls, the longest first, then strangers that are slow, the slowest first. */
  #lateOf(among: readonly Entry[]): Entry[] {
    const { slowBytes } = this.#limits;
    return among
      .filter((entry) => !this.#isFresh(entry))
      .map((entry) => ({ entry, rate: this.#rateOf(entry) }))
      .filter(({ entry: { member }, rate }) => rate === 0 || (!member && rate < slowBytes))
      .toSorted((a, b) => a.rate - b.rate)
      .map(({ entry }) => entry);
  }

  /** Makes room among those of one member or address. @returns whether there is room now */
  #makeRoom(own: readonly Entry[], most: number): boolean {
    if (own.length < most) return true;
    const [late] = this.#lateOf(own);
    if (late) this.#cut(late);
    return late !== undefined;
  }

  /**
   * Makes room among all strangers: the network does that has most of those that can be cut, the newcomer among them, of that its
   * smaller one, and so on. Who begins again and again, so that it is never there for long enough to tell, makes room for others
   * so, and others none for it. Of equally full ones it is one of who is late, else the newcomer's own.
   * @returns whether there is room now
   */
  #share(newcomer: Path): boolean {
    const strangers = [...this.#entries].filter((entry) => !entry.member);
    if (strangers.length < this.#limits.total) return true;
    const shared = ({ networks }: Entry): number => networks.filter((prefix) => newcomer.includes(prefix)).length;
    const fresh = strangers.filter((entry) => this.#isFresh(entry)).toReversed();
    // Of equals the last is found: of a network in it, and of networks.
    const network = emptyNetwork<Entry | "newcomer">();
    for (const entry of fresh.toSorted((a, b) => shared(a) - shared(b))) putIn(network, entry.networks, entry);
    putIn(network, newcomer, "newcomer");
    for (const entry of this.#lateOf(strangers).toReversed()) putIn(network, entry.networks, entry);
    const last = lastOf(network);
    if (last === undefined || last === "newcomer") return false;
    this.#cut(last);
    return true;
  }
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

/** Who holds the places for sockets, in all and of each address, and who loses one when there is no room. */
import type { Socket } from "node:net";

import type { Clock } from "../../base/index.ts";
import { addressGroup } from "./addresses.ts";
import { type Current, isSlow, newPace, type Pace } from "./socketPace.ts";

/** Requests and replies that are under way are looked through at most so often, ms, and only when room is needed. */
const LOOK_INTERVAL = 250;

interface PlaceLimits {
  readonly total: number;
  readonly perAddress: number;
  readonly exempt: (address: string | undefined) => boolean;
  readonly clock: Clock;
}

/** The sockets of one address. */
interface Group {
  readonly exempt: boolean;
  readonly open: Set<Place>;
  /** Those that make room: idle, behind or not reading, the longest first. */
  readonly spare: Set<Place>;
  /** Those with a request that was still coming in, or a reply that was not all taken, at the last look. */
  readonly busy: Set<Place>;
}

export interface Place {
  readonly group: Group;
  readonly socket: Socket;
  readonly pace: Pace;
  /** The request in progress, and what begins those that wait for its end. */
  current?: Current | undefined;
  readonly waiting: (() => void)[];
}

export class SocketPlaces {
  readonly #limits: PlaceLimits;
  readonly #groups = new Map<string, Group>();
  readonly #places = new Map<string, Place>();
  #count = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  /** The place of a socket, and so of what TLS makes of it; undefined where it has left. */
  of(socket: Socket): Place | undefined {
    return this.#places.get(endOf(socket));
  }

  /** Gives a socket its place, or closes it. */
  enter(socket: Socket): void {
    const { total, perAddress } = this.#limits;
    const exempt = this.#limits.exempt(socket.remoteAddress);
    const key = exempt ? "exempt" : addressGroup(socket.remoteAddress ?? "");
    const group = this.#groups.get(key) ?? { exempt, open: new Set(), spare: new Set(), busy: new Set() };
    const crowded = !exempt && group.open.size >= perAddress;
    if (crowded || this.#count >= total) this.#look();
    if ((crowded && !this.#evict(group.spare)) || (this.#count >= total && !this.#makeRoom())) {
      socket.destroy();
      return;
    }
    const place: Place = { group, socket, pace: newPace(), waiting: [] };
    this.#groups.set(key, group);
    group.open.add(place);
    group.spare.add(place);
    this.#count += 1;
    const end = endOf(socket);
    this.#places.set(end, place);
    socket.once("close", () => {
      if (this.#places.get(end) === place) this.#places.delete(end);
      this.#leave(place);
      if (group.open.size === 0 && this.#groups.get(key) === group) this.#groups.delete(key);
    });
  }

  /** Closes a socket and gives its place away. */
  close(place: Place): void {
    this.#leave(place);
    place.socket.destroy();
  }

  #leave(place: Place): void {
    const { group } = place;
    group.spare.delete(place);
    group.busy.delete(place);
    place.waiting.length = 0;
    if (group.open.delete(place)) this.#count -= 1;
  }

  /** Finds out who makes room. */
  #look(): void {
    const now = this.#limits.clock.monotonic();
    if (now - this.#lookedAt < LOOK_INTERVAL) return;
    this.#lookedAt = now;
    for (const place of this.#places.values()) {
      const { current, group } = place;
      group.busy.delete(place);
      if (!current) continue;
      const underWay = !current.request.complete || current.socket.writableLength > 0;
      if (underWay && !group.exempt) group.busy.add(place);
      if (!isSlow(place.pace, current, now)) group.spare.delete(place);
      // Who is known to make room keeps its turn.
      else group.spare.add(place);
    }
  }

  /**
   * The address that holds the most that make room loses one: an attacker of few addresses pays himself. So does one that fills
   * a sixteenth of all places with requests that do come on, or replies that are read, where nobody else has any to spare.
   */
  #makeRoom(): boolean {
    const { total } = this.#limits;
    if (this.#evict(this.#most("spare"))) return true;
    const busy = this.#most("busy");
    return busy.size > total / 16 && this.#evict(busy);
  }

  #most(kind: "spare" | "busy"): ReadonlySet<Place> {
    let largest: ReadonlySet<Place> = new Set();
    for (const group of this.#groups.values()) if (group[kind].size > largest.size) largest = group[kind];
    return largest;
  }

  /** Closes the first of some sockets. @returns whether there was one */
  #evict(among: ReadonlySet<Place>): boolean {
    const [first] = among;
    if (first) this.close(first);
    return first !== undefined;
  }
}

/** The far end of a socket, and so of what TLS makes of it. */
const endOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress}|${remotePort}|${localPort}`;

/**
 * Limits on sockets: so many for each address and in all. Who is over the limit loses the one of its own that has been idle
 * the longest, so that sockets which do nothing cannot keep out a request, whoever holds them. A request that does not come on
 * is nothing either: what counts is how much of it comes in how much time, so that a slow link is let through.
 */
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

import { type Clock, systemClock } from "../base/index.ts";
import { addressGroup } from "./addresses.ts";

export interface ConnectionLimits {
  /** Sockets at the same time; default 4,096. */
  readonly total?: number;
  /** Sockets of one address at the same time; default 768: 64 workers behind one NAT with a dozen each. */
  readonly perAddress?: number;
  /** Addresses that stand for many others: the proxy. */
  readonly exempt?: (address: string | undefined) => boolean;
  readonly clock?: Clock;
}

/** Bytes a second of a request that is coming on: a worker sends some fragments at a time, also by 20 kB a second. */
const LEAST_RATE = 2_048;
/** Who is this many ms behind that rate makes room; how many it may be ahead, for a link that stalls. */
const MOST_BEHIND = 1_000;
const MOST_AHEAD = 10_000;
/** Requests that come in are looked through at most so often, ms, and only when room is needed. */
const LOOK_INTERVAL = 250;

/** The sockets of one address. */
interface Group {
  readonly exempt: boolean;
  readonly open: Set<Place>;
  /** Those that make room: idle or behind, the longest first. */
  readonly spare: Set<Place>;
  /** Those with a request that was still coming in at the last look. */
  readonly coming: Set<Place>;
}

interface Place {
  readonly group: Group;
  readonly socket: Socket;
  /** Requests in progress, and the newest of them. */
  requests: number;
  newest?: IncomingMessage;
  /** When that was looked at, and what the socket had received by then. */
  seenAt: number;
  seenBytes: number;
  /** Ms behind {@link LEAST_RATE} of all its requests while they came in; below zero ahead. */
  behind: number;
}

/** Places the limits on a server; the sockets of several servers count together when they share what this returns. */
export function createConnectionLimit(limits: ConnectionLimits = {}): (server: HttpServer | HttpsServer) => void {
  const { total = 4_096, perAddress = 768, clock = systemClock } = limits;
  const groups = new Map<string, Group>();
  const places = new Map<string, Place>();
  let count = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;

  /** Finds out who is behind. */
  const look = (): void => {
    const now = clock.monotonic();
    if (now - lookedAt < LOOK_INTERVAL) return;
    lookedAt = now;
    for (const place of places.values()) {
      const { newest, group } = place;
      group.coming.delete(place);
      if (place.requests === 0 || !newest) continue;
      if (newest.complete) {
        group.spare.delete(place);
        continue;
      }
      if (!group.exempt) group.coming.add(place);
      const bytes = newest.socket.bytesRead;
      // What has come and was not taken is no fault of the sender's.
      const elapsed = newest.readableLength > 0 ? 0 : now - place.seenAt;
      const behind = place.behind + elapsed - ((bytes - place.seenBytes) * 1_000) / LEAST_RATE;
      Object.assign(place, { seenAt: now, seenBytes: bytes, behind: Math.max(behind, -MOST_AHEAD) });
      if (behind > MOST_BEHIND) group.spare.add(place);
      else group.spare.delete(place);
    }
  };
  const leave = (place: Place): void => {
    const { group } = place;
    group.spare.delete(place);
    group.coming.delete(place);
    if (group.open.delete(place)) count -= 1;
  };
  /** Closes the first of some sockets. @returns whether there was one */
  const evict = (among: ReadonlySet<Place>): boolean => {
    const [first] = among;
    if (!first) return false;
    leave(first);
    first.socket.destroy();
    return true;
  };
  const most = (kind: "spare" | "coming"): ReadonlySet<Place> => {
    let largest: ReadonlySet<Place> = new Set();
    for (const group of groups.values()) if (group[kind].size > largest.size) largest = group[kind];
    return largest;
  };
  /**
   * The address that holds the most that make room loses one: an attacker of few addresses pays himself. So does one that fills
   * a sixteenth of all places with requests that do come on, where nobody else has any to spare.
   */
  const makeRoom = (): boolean => {
    if (evict(most("spare"))) return true;
    const coming = most("coming");
    return coming.size > total / 16 && evict(coming);
  };

  const enter = (socket: Socket): void => {
    const exempt = limits.exempt?.(socket.remoteAddress) ?? false;
    const key = exempt ? "exempt" : addressGroup(socket.remoteAddress ?? "");
    const group = groups.get(key) ?? { exempt, open: new Set(), spare: new Set(), coming: new Set() };
    const crowded = !exempt && group.open.size >= perAddress;
    if (crowded || count >= total) look();
    if ((crowded && !evict(group.spare)) || (count >= total && !makeRoom())) {
      socket.destroy();
      return;
    }
    const place: Place = { group, socket, requests: 0, seenAt: 0, seenBytes: 0, behind: 0 };
    groups.set(key, group);
    group.open.add(place);
    group.spare.add(place);
    count += 1;
    const end = endOf(socket);
    places.set(end, place);
    socket.once("close", () => {
      if (places.get(end) === place) places.delete(end);
      leave(place);
      if (group.open.size === 0 && groups.get(key) === group) groups.delete(key);
    });
  };

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const place = places.get(endOf(request.socket));
    if (!place || place.socket.destroyed) return;
    const { spare, open } = place.group;
    place.requests += 1;
    place.newest = request;
    place.seenAt = clock.monotonic();
    place.seenBytes = request.socket.bytesRead;
    // One that was behind pays that back first.
    if (place.behind <= MOST_BEHIND) spare.delete(place);
    response.once("close", () => {
      place.requests -= 1;
      if (place.requests > 0 || !open.has(place)) return;
      // It is idle from now on, and so the last to go.
      spare.delete(place);
      spare.add(place);
    });
  };

  return (server) => {
    // Also with TLS this is the socket before its handshake, so that unfinished handshakes count.
    server.on("connection", enter);
    server.on("request", begin);
  };
}

/** The far end of a socket, and so of what TLS makes of it. */
const endOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress}|${remotePort}|${localPort}`;

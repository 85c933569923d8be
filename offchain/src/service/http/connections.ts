/**
 * Limits on sockets: so many for each address and in all. Who is over the limit loses the one of its own that has been idle
 * the longest, so that sockets which do nothing cannot keep out a request, whoever holds them. A request that does not come on
 * is nothing either, nor a reply that is not read: what counts is how much comes and goes in how much time, so that a slow link
 * is let through. A socket's requests are answered one after another, each when the reply before is on its way, so that no socket
 * makes more than one reply wait in memory.
 */
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

import { type Clock, systemClock } from "../../base/index.ts";
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
/** Who took nothing of a reply for this many ms makes room, and for as long besides as what waits takes at {@link SLOW_LINK}. */
const MOST_UNREAD = 2_000;
/** Bytes a second of a slow link; what waits is one chunk or two of 64 KiB, each taken at once or not at all. */
const SLOW_LINK = 16 << 10;
/** Requests of a socket that wait for the reply to one before; no client of today sends so many ahead. */
const MOST_WAITING = 3;
/** Requests and replies that are under way are looked through at most so often, ms, and only when room is needed. */
const LOOK_INTERVAL = 250;

/** The sockets of one address. */
interface Group {
  readonly exempt: boolean;
  readonly open: Set<Place>;
  /** Those that make room: idle, behind or not reading, the longest first. */
  readonly spare: Set<Place>;
  /** Those with a request that was still coming in, or a reply that was not all taken, at the last look. */
  readonly busy: Set<Place>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Current {
  readonly request: IncomingMessage;
  /** Of what TLS makes of the socket; a request that was given up names it no more. */
  readonly socket: Socket;
}

interface Place {
  readonly group: Group;
  readonly socket: Socket;
  /** The request in progress, and what begins those that wait for its end. */
  current?: Current | undefined;
  readonly waiting: (() => void)[];
  /** When that was looked at, and what the socket had received by then. */
  seenAt: number;
  seenBytes: number;
  /** Ms behind {@link LEAST_RATE} of all its requests while they came in; below zero ahead. */
  behind: number;
  /** What was taken of its replies by the last look, and since when no more was. */
  taken: number;
  takenAt: number;
}

/**
 * Places the limits on a server that has its handlers; the sockets of several servers count together when they share what this
 * returns.
 */
export function createConnectionLimit(limits: ConnectionLimits = {}): (server: HttpServer | HttpsServer) => void {
  const { total = 4_096, perAddress = 768, clock = systemClock } = limits;
  const groups = new Map<string, Group>();
  const places = new Map<string, Place>();
  let count = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;

  /** Whether a request that is coming in does so too slowly. */
  const lags = (place: Place, { request, socket }: Current, now: number): boolean => {
    const bytes = socket.bytesRead;
    // What has come and was not taken is no fault of the sender's.
    const elapsed = request.readableLength > 0 ? 0 : now - place.seenAt;
    const behind = place.behind + elapsed - ((bytes - place.seenBytes) * 1_000) / LEAST_RATE;
    Object.assign(place, { seenAt: now, seenBytes: bytes, behind: Math.max(behind, -MOST_AHEAD) });
    return behind > MOST_BEHIND;
  };
  /** Whether nothing is taken of a reply that waits. */
  const stalls = (place: Place, { socket }: Current, now: number): boolean => {
    const taken = takenOf(socket);
    if (taken > place.taken || socket.writableLength === 0) Object.assign(place, { taken, takenAt: now });
    return now - place.takenAt > MOST_UNREAD + (socket.writableLength * 1_000) / SLOW_LINK;
  };
  /** Finds out who makes room. */
  const look = (): void => {
    const now = clock.monotonic();
    if (now - lookedAt < LOOK_INTERVAL) return;
    lookedAt = now;
    for (const place of places.values()) {
      const { current, group } = place;
      group.busy.delete(place);
      if (!current) continue;
      const underWay = !current.request.complete || current.socket.writableLength > 0;
      if (underWay && !group.exempt) group.busy.add(place);
      const slow = (current.request.complete ? stalls : lags)(place, current, now);
      if (!slow) group.spare.delete(place);
      // Who is known to make room keeps its turn.
      else group.spare.add(place);
    }
  };
  const leave = (place: Place): void => {
    const { group } = place;
    group.spare.delete(place);
    group.busy.delete(place);
    place.waiting.length = 0;
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
  const most = (kind: "spare" | "busy"): ReadonlySet<Place> => {
    let largest: ReadonlySet<Place> = new Set();
    for (const group of groups.values()) if (group[kind].size > largest.size) largest = group[kind];
    return largest;
  };
  /**
   * The address that holds the most that make room loses one: an attacker of few addresses pays himself. So does one that fills
   * a sixteenth of all places with requests that do come on, or replies that are read, where nobody else has any to spare.
   */
  const makeRoom = (): boolean => {
    if (evict(most("spare"))) return true;
    const busy = most("busy");
    return busy.size > total / 16 && evict(busy);
  };

  const enter = (socket: Socket): void => {
    const exempt = limits.exempt?.(socket.remoteAddress) ?? false;
    const key = exempt ? "exempt" : addressGroup(socket.remoteAddress ?? "");
    const group = groups.get(key) ?? { exempt, open: new Set(), spare: new Set(), busy: new Set() };
    const crowded = !exempt && group.open.size >= perAddress;
    if (crowded || count >= total) look();
    if ((crowded && !evict(group.spare)) || (count >= total && !makeRoom())) {
      socket.destroy();
      return;
    }
    const place: Place = { group, socket, waiting: [], seenAt: 0, seenBytes: 0, behind: 0, taken: 0, takenAt: 0 };
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

  const begin = (place: Place, current: Current, response: ServerResponse, handle: Handler): void => {
    const { spare, open } = place.group;
    const now = clock.monotonic();
    const { request, socket } = current;
    Object.assign(place, { current, seenAt: now, seenBytes: socket.bytesRead });
    Object.assign(place, { taken: takenOf(socket), takenAt: now });
    // One that was behind pays that back first.
    if (place.behind <= MOST_BEHIND) spare.delete(place);
    response.once("close", () => {
      place.current = undefined;
      if (!open.has(place)) return;
      const next = place.waiting.shift();
      if (next) return next();
      // It is idle from now on, and so the last to go.
      spare.delete(place);
      spare.add(place);
    });
    handle(request, response);
  };
  /** Hands a request on when those before it on its socket are answered, and read. */
  const arrive = (request: IncomingMessage, response: ServerResponse, handle: Handler): void => {
    const { socket } = request;
    const place = places.get(endOf(socket));
    if (!place) return handle(request, response);
    const start = (): void => {
      // Else the reply before was the socket's last.
      if (place.group.open.has(place) && !socket.writableEnded) begin(place, { request, socket }, response, handle);
    };
    if (!place.current) return start();
    if (place.waiting.length < MOST_WAITING) {
      place.waiting.push(start);
      return;
    }
    leave(place);
    place.socket.destroy();
  };

  return (server) => {
    const handlers = server.listeners("request") as Handler[];
    server.removeAllListeners("request");
    // Also with TLS this is the socket before its handshake, so that unfinished handshakes count.
    server.on("connection", enter);
    server.on("request", (request: IncomingMessage, response: ServerResponse) =>
      arrive(request, response, (...arrived) => {
        for (const handle of handlers) handle.apply(server, arrived);
      }),
    );
  };
}

/** How many bytes of a socket's replies the system took, which takes no more than the other end reads. */
const takenOf = ({ bytesWritten, writableLength }: Socket): number => bytesWritten - writableLength;

/** The far end of a socket, and so of what TLS makes of it. */
const endOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress}|${remotePort}|${localPort}`;

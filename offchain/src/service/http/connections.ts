/**
 * Limits on sockets: so many for each address and in all. Who is over the limit loses the one of its own that has been idle
 * the longest, so that sockets which do nothing cannot keep out a request, whoever holds them. A request that does not come on
 * is nothing either, nor a reply that is not read. A socket's requests are answered one after another, each when the reply before
 * is on its way, so that no socket makes more than one reply wait in memory.
 */
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

import { type Clock, systemClock } from "../../base/index.ts";
import { beginPace, type Current, isBehind } from "./socketPace.ts";
import { type Place, SocketPlaces } from "./socketPlaces.ts";

export interface ConnectionLimits {
  /** Sockets at the same time; default 4,096. */
  readonly total?: number;
  /** Sockets of one address at the same time; default 768: 64 workers behind one NAT with a dozen each. */
  readonly perAddress?: number;
  /** Addresses that stand for many others: the proxy. */
  readonly exempt?: (address: string | undefined) => boolean;
  readonly clock?: Clock;
}

/** Requests of a socket that wait for the reply to one before; no client of today sends so many ahead. */
const MOST_WAITING = 3;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Places the limits on a server that has its handlers; the sockets of several servers count together when they share what this
 * returns.
 */
export function createConnectionLimit(limits: ConnectionLimits = {}): (server: HttpServer | HttpsServer) => void {
  const { total = 4_096, perAddress = 768, exempt = () => false, clock = systemClock } = limits;
  const places = new SocketPlaces({ total, perAddress, exempt, clock });

  const begin = (place: Place, current: Current, response: ServerResponse, handle: Handler): void => {
    const { spare, open } = place.group;
    const { request, socket } = current;
    place.current = current;
    beginPace(place.pace, socket, clock.monotonic());
    if (!isBehind(place.pace)) spare.delete(place);
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
    const place = places.of(socket);
    if (!place) return handle(request, response);
    const start = (): void => {
      // Else the reply before was the socket's last.
      if (place.group.open.has(place) && !socket.writableEnded) begin(place, { request, socket }, response, handle);
    };
    if (!place.current) return start();
    if (place.waiting.length < MOST_WAITING) place.waiting.push(start);
    else places.close(place);
  };

  return (server) => {
    const handlers = server.listeners("request") as Handler[];
    server.removeAllListeners("request");
    // Also with TLS this is the socket before its handshake, so that unfinished handshakes count.
    server.on("connection", (socket: Socket) => places.enter(socket));
    server.on("request", (request: IncomingMessage, response: ServerResponse) =>
      arrive(request, response, (...arrived) => {
        for (const handle of handlers) handle.apply(server, arrived);
      }),
    );
  };
}

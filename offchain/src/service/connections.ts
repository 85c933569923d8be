/**
 * Limits on sockets: so many for each address and in all. Who is over the limit loses the one of its own that has been idle
 * the longest, so that sockets which do nothing cannot keep out a request, whoever holds them.
 */
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

import { addressGroup } from "./addresses.ts";

export interface ConnectionLimits {
  /** Sockets at the same time; default 4,096. */
  readonly total?: number;
  /** Sockets of one address at the same time; default 768: 64 workers behind one NAT with a dozen each. */
  readonly perAddress?: number;
  /** Addresses that stand for many others: the proxy. */
  readonly exempt?: (address: string | undefined) => boolean;
}

/** Sockets of one address by how long they are idle, the longest first; `busy` has those that a request is in progress on. */
interface Group {
  readonly idle: Set<Socket>;
  readonly busy: Map<Socket, number>;
}

interface Place {
  readonly group: Group;
  readonly socket: Socket;
}

const sizeOf = ({ idle, busy }: Group): number => idle.size + busy.size;

/** Places the limits on a server; the sockets of several servers count together when they share what this returns. */
export function createConnectionLimit(limits: ConnectionLimits = {}): (server: HttpServer | HttpsServer) => void {
  const { total = 4_096, perAddress = 768 } = limits;
  const groups = new Map<string, Group>();
  let count = 0;

  /** Closes the longest idle socket of a group. @returns whether there was one */
  const evict = ({ idle }: Group): boolean => {
    const [oldest] = idle;
    if (!oldest) return false;
    idle.delete(oldest);
    count -= 1;
    oldest.destroy();
    return true;
  };
  /** The address that holds the most idle sockets loses one: an attacker of few addresses pays himself. */
  const evictOfLargest = (): boolean => {
    let largest: Group | undefined;
    for (const group of groups.values()) if (group.idle.size > (largest?.idle.size ?? 0)) largest = group;
    return largest !== undefined && evict(largest);
  };

  const places = new Map<string, Place>();
  const enter = (socket: Socket): void => {
    const exempt = limits.exempt?.(socket.remoteAddress) ?? false;
    const key = exempt ? "exempt" : addressGroup(socket.remoteAddress ?? "");
    const group = groups.get(key) ?? { idle: new Set(), busy: new Map() };
    const crowded = !exempt && sizeOf(group) >= perAddress;
    if ((crowded && !evict(group)) || (count >= total && !evictOfLargest())) {
      socket.destroy();
      return;
    }
    groups.set(key, group);
    group.idle.add(socket);
    count += 1;
    const end = endOf(socket);
    places.set(end, { group, socket });
    socket.once("close", () => {
      places.delete(end);
      if (group.idle.delete(socket) || group.busy.delete(socket)) count -= 1;
      if (sizeOf(group) === 0 && groups.get(key) === group) groups.delete(key);
    });
  };

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const place = places.get(endOf(request.socket));
    if (!place || place.socket.destroyed) return;
    const { group, socket } = place;
    group.idle.delete(socket);
    group.busy.set(socket, (group.busy.get(socket) ?? 0) + 1);
    response.once("close", () => {
      const left = (group.busy.get(socket) ?? 0) - 1;
      if (left > 0) group.busy.set(socket, left);
      else if (group.busy.delete(socket)) group.idle.add(socket);
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

/**
 * What keeps web pages out. A browser sends a page's requests to this machine too, with the page's origin, and under a name
 * of the attacker's choosing when he lets that name point here (DNS rebinding): so both headers are looked at.
 */
import { isIP } from "node:net";

import type { FastifyRequest } from "fastify";

import { isLoopback, UserError } from "../../base/index.ts";
import { LOOPBACK } from "./ports.ts";

/** A browser extension's page or worker, as wallets are: the user installed it, no site can take its origin. */
const EXTENSION = /^(chrome|moz|safari-web)-extension:\/\/[0-9a-zA-Z-]{1,64}$/;

export const isExtensionOrigin = (origin: string): boolean => EXTENSION.test(origin);

/** The name in a Host header, without its port and an IPv6 address's brackets; undefined when it is none. */
function hostName(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i.exec(header ?? "");
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/** Whether a Host header names this machine alone. */
export function isLoopbackHost(header: string | undefined): boolean {
  const name = hostName(header);
  return name !== undefined && isLoopback(name);
}

/** Whether a Host header can come from no page but one of this very server: an address cannot be rebound, a name can. */
function isUnboundHost(header: string | undefined): boolean {
  const name = hostName(header);
  return name !== undefined && (isLoopback(name) || isIP(name) !== 0);
}

/** Whether an Origin header is of the server that the Host header names, whatever the scheme: a proxy may add TLS. */
function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const match = /^https?:\/\/(.+)$/.exec(origin);
  return match?.[1] !== undefined && match[1].toLowerCase() === host?.toLowerCase();
}

class Forbidden extends UserError {}

/**
 * Who may ask at all. In plain HTTP: the proxy, and whoever reaches this machine by an address or a loopback name, since a
 * name that somebody else owns may be pointed here for his page (DNS rebinding). Of pages: the server's own, and extensions.
 */
export async function refuseStrangers(
  request: FastifyRequest,
  isProxy: (address: string | undefined) => boolean,
): Promise<void> {
  const { host, origin } = request.headers;
  const encrypted = "encrypted" in request.socket && request.socket.encrypted === true;
  const { remoteAddress, localAddress = LOOPBACK } = request.socket;
  if (!encrypted && !isProxy(remoteAddress)) {
    if (!isUnboundHost(host))
      throw new Forbidden(
        "HOST_FORBIDDEN",
        "This server is reached by this machine's address, or by TLS, not by that name.",
      );
    if (!isLoopback(localAddress) && remoteAddress !== localAddress)
      throw new Forbidden("PROXY_REQUIRED", "From other machines this server is reached through its proxy alone.");
  }
  if (origin !== undefined && !isOwnOrigin(origin, host) && !isExtensionOrigin(origin))
    throw new Forbidden("ORIGIN_FORBIDDEN", "This server answers no other site's pages.");
}

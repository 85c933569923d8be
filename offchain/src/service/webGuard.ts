/**
 * What keeps web pages out. A browser sends a page's requests to this machine too, with the page's origin, and under a name
 * of the attacker's choosing when he lets that name point here (DNS rebinding): so both headers are looked at.
 */
import { isIP } from "node:net";

import { isLoopback } from "./ports.ts";

/** A browser extension's page or worker, as wallets are: the user installed it, no site can take its origin. */
const EXTENSION = /^(chrome|moz|safari-web)-extension:\/\/[0-9a-zA-Z-]{1,64}$/;

export const isExtensionOrigin = (origin: string): boolean => EXTENSION.test(origin);

/** The name in a Host header, without its port and an IPv6 address's brackets; undefined when it is none. */
export function hostName(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i.exec(header ?? "");
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/** Whether a Host header names this machine alone. */
export function isLoopbackHost(header: string | undefined): boolean {
  const name = hostName(header);
  return name !== undefined && isLoopback(name);
}

/** Whether a Host header can come from no page but one of this very server: an address cannot be rebound, a name can. */
export function isUnboundHost(header: string | undefined): boolean {
  const name = hostName(header);
  return name !== undefined && (isLoopback(name) || isIP(name) !== 0);
}

/** Whether an Origin header is of the server that the Host header names, whatever the scheme: a proxy may add TLS. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const match = /^https?:\/\/(.+)$/.exec(origin);
  return match?.[1] !== undefined && match[1].toLowerCase() === host?.toLowerCase();
}

/** Addresses: whom a limit counts as one client, which proxy is vouched for, and what lies in the public Internet. */
import { BlockList, isIP } from "node:net";

import { UserError } from "../../base/index.ts";

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** IPv4 in its own form where a dual socket gives it inside IPv6. */
const plainAddress = (address: string): string => MAPPED.exec(address)?.[1] ?? address;

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.split("%", 1)[0]!.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...(tail === undefined ? [] : gap), ...right].map((group) => group.replace(/^0+(?=.)/, ""));
}

/** Whom a limit per address counts as one: an IPv4 address, or a /64 of IPv6, of which one machine has as many as it likes. */
export function addressGroup(address: string): string {
  const plain = plainAddress(address);
  return isIP(plain) === 6 ? `${groupsOf(plain).slice(0, 4).join(":")}::/64` : plain;
}

/**
 * The networks that an address is in, the widest first, itself as {@link addressGroup} last: who owns a network has all the
 * addresses in it, a site commonly a /48 of IPv6, a provider a /32.
 */
export function addressPrefixes(address: string): readonly string[] {
  const plain = plainAddress(address);
  const version = isIP(plain);
  const group = addressGroup(address);
  if (version === 4) return [`${plain.split(".").slice(0, 3).join(".")}.0/24`, group];
  if (version !== 6) return [group];
  const groups = groupsOf(plain);
  return [`${groups.slice(0, 2).join(":")}::/32`, `${groups.slice(0, 3).join(":")}::/48`, group];
}

/** The widest ranges of private addresses, 10.0.0.0/8 and fc00::/7: a wider one has strangers in it, who would be believed. */
const LEAST_PREFIX = { 4: 8, 6: 7 } as const;

/**
 * The proxy of `--behind-proxy ADDRESS|CIDR`.
 * @returns whether an address is its
 * @throws UserError `PROXY_INVALID`
 */
export function parseProxy(text: string): (address: string | undefined) => boolean {
  const [address = "", prefix, more] = text.split("/");
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if ((family !== 4 && family !== 6) || more !== undefined || !(length <= bits)) {
    throw new UserError(
      "PROXY_INVALID",
      `--behind-proxy takes the proxy's address, or a range of them such as 10.0.0.0/24, not "${text}".`,
    );
  }
  if (length < LEAST_PREFIX[family]) {
    throw new UserError(
      "PROXY_INVALID",
      `--behind-proxy ${text} would believe strangers: name the proxy's address, or a range no wider than /${LEAST_PREFIX[family]}.`,
    );
  }
  const list = new BlockList();
  list.addSubnet(address, length, family === 4 ? "ipv4" : "ipv6");
  return (candidate) => {
    const plain = plainAddress(candidate ?? "");
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 4 ? "ipv4" : "ipv6");
  };
}

/** IANA's special-purpose ranges of IPv4: this network, private, shared, loopback, link-local, tests, multicast, reserved. */
const SPECIAL_4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
];
/** Of global unicast, 2000::/3: Teredo and other protocols, documentation, and 6to4, which has any IPv4 address inside. */
const SPECIAL_6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const listOf = (ranges: readonly string[], family: "ipv4" | "ipv6"): BlockList => {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", length] = range.split("/");
    list.addSubnet(address, Number(length), family);
  }
  return list;
};
const special4 = listOf(SPECIAL_4, "ipv4");
const special6 = listOf(SPECIAL_6, "ipv6");
const global6 = listOf(["2000::/3"], "ipv6");

/** Whether an address is one of the public Internet, neither of this machine nor of a network of its own; false for what is none. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !special4.check(address, "ipv4");
  return version === 6 && global6.check(address, "ipv6") && !special6.check(address, "ipv6");
}

/**
 * Whose a connection on loopback is, by Linux's table of sockets: whatever the fake provider is sent it runs as its user, so that nobody
 * else is to send it anything.
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

const TABLE = "/proc/net/tcp";
/** 127.0.0.1 as the table has it. */
const LOOPBACK = "0100007F";

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0");

/**
 * @param table of sockets, a line each
 * @param client port of who connected
 * @param server port that it connected to
 * @returns its user's number; undefined where no line has such a connection
 */
export function userOf(table: string, client: number, server: number): number | undefined {
  for (const line of table.split("\n")) {
    const [, local, remote, , , , , user] = line.trim().split(/\s+/);
    if (local === `${LOOPBACK}:${hex(client)}` && remote === `${LOOPBACK}:${hex(server)}`) return Number(user);
  }
  return undefined;
}

/** Whether a connection is of a process of this user. */
export const isOwn = async ({
  remotePort = 0,
  localPort = 0,
}: Pick<Socket, "remotePort" | "localPort">): Promise<boolean> =>
  userOf(await readFile(TABLE, "utf8"), remotePort, localPort) === process.getuid?.();

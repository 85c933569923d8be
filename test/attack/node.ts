/** A real embedded node behind its door, and requests as a browser or a program sends them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  anvilCommand,
  type ChainDoor,
  type ChainPace,
  createChainPace,
  developmentChain,
  type NodeLink,
  openChainDoor,
  openNodeLink,
} from "../../offchain/src/chain/index.ts";

export interface Embedded {
  readonly child: ChildProcess;
  readonly link: NodeLink;
  readonly door: ChainDoor;
  readonly pace: ChainPace;
  close(): Promise<void>;
}

/** Started as `cotrain up` starts it. */
export async function openEmbedded(): Promise<Embedded> {
  const directory = await mkdtemp(join(tmpdir(), "cotrain-attack-"));
  const node = anvilCommand({ stateFile: join(directory, "state.json") });
  const child = spawn(node.command, [...node.args], { stdio: ["ignore", "ignore", "inherit"] });
  await node.ready.check(AbortSignal.timeout(60_000));
  const link = openNodeLink(node.socket);
  const pace = createChainPace(developmentChain(link));
  const door = await openChainDoor({
    link,
    port: { port: 0, explicit: true },
    onTransaction: () => pace.stirred(),
  });
  return {
    child,
    link,
    door,
    pace,
    close: async () => {
      pace.stop();
      await door.close();
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** One HTTP request with any headers, Host and Origin included, which `fetch` does not let a program set. */
export function send(
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: init.method ?? "POST", headers: init.headers ?? {}, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
        response.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(init.body);
  });
}

/** Where a process listens for TCP. Linux. */
export async function listeningAddresses(pid: number): Promise<{ host: string; port: number }[]> {
  const inodes = new Set<string>();
  for (const name of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${name}`).catch(() => "");
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const found: { host: string; port: number }[] = [];
  for (const table of ["tcp", "tcp6"]) {
    for (const line of (await readFile(`/proc/${pid}/net/${table}`, "utf8")).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [address = "", port = ""] = (fields[1] ?? "").split(":");
      if (fields[3] !== "0A" || !inodes.has(fields[9] ?? "")) continue;
      // The kernel writes each 32 bits in the machine's order, which is little-endian where this runs.
      const bytes = (address.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex").reverse()]);
      const host = bytes.length === 4 ? bytes.join(".") : Buffer.from(bytes).toString("hex");
      found.push({ host, port: Number.parseInt(port, 16) });
    }
  }
  return found;
}

/** Whether anything lets itself be connected to there. */
export function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

/**
 * The Kubo that `test/e2e/kubo*.test.ts` keep blobs in: `.ci/run` builds it before the part that needs it. $KUBO names another.
 * Nodes are each in a directory of their own and on loopback alone; they know nobody whom they are not told of.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { GoTool } from "./goTool.ts";

export const KUBO: GoTool = {
  name: "kubo",
  command: "ipfs",
  module: "github.com/ipfs/kubo",
  main: "./cmd/ipfs",
  version: "0.43.0",
  variable: "KUBO",
  asked: { args: ["version", "--number"], answer: /^(\S+)$/m },
};

/** What no test needs and what would look for others: peers, addresses, updates. */
const settings: Readonly<Record<string, unknown>> = {
  "AutoConf.Enabled": false,
  "AutoTLS.Enabled": false,
  "Discovery.MDNS.Enabled": false,
  "DNS.Resolvers": {},
  "Provide.Enabled": false,
  "Routing.Type": "none",
  "Routing.DelegatedRouters": [],
  "Ipns.DelegatedPublishers": [],
  "Swarm.DisableNatPortMap": true,
  "Swarm.RelayClient.Enabled": false,
  "Swarm.RelayService.Enabled": false,
  "Swarm.EnableHolePunching": false,
  "Swarm.Transports.Network.QUIC": false,
  "Swarm.Transports.Network.WebTransport": false,
  "Swarm.Transports.Network.WebRTCDirect": false,
  Bootstrap: [],
  "Addresses.API": "/ip4/127.0.0.1/tcp/0",
  "Addresses.Gateway": [],
  "Addresses.Swarm": ["/ip4/127.0.0.1/tcp/0"],
};

export interface KuboDaemon {
  /** Its repository, $IPFS_PATH. */
  readonly repository: string;
  /** `127.0.0.1:5001` of the RPC. */
  readonly host: string;
  /** Runs `ipfs` on it. @returns what it printed; throws with its words when it failed */
  ipfs(args: readonly string[], input?: Uint8Array): Buffer;
  /** Ends it at once; {@link start} begins it again, on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its directory. */
  remove(): Promise<void>;
}

/** Sets keys (`Swarm.EnableHolePunching`) of a node's configuration. */
function configure(file: string, changes: Readonly<Record<string, unknown>>): void {
  const config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split(".");
    let at = config;
    for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
    at[keys.at(-1)!] = value;
  }
  writeFileSync(file, JSON.stringify(config, undefined, 2));
}

/** A node that runs. @param command the `ipfs` to run */
export async function startKubo(command: string): Promise<KuboDaemon> {
  const repository = mkdtempSync(join(tmpdir(), "cotrain-kubo-"));
  const env = { ...process.env, IPFS_PATH: repository, IPFS_TELEMETRY: "off" };
  const ipfs = (args: readonly string[], input?: Uint8Array): Buffer => {
    const { status, stdout, stderr, error } = spawnSync(command, [...args], { env, input, maxBuffer: 1 << 28 });
    if (status === 0) return stdout;
    throw new Error(`ipfs ${args.join(" ")}: ${error?.message ?? stderr.toString().trim()}`);
  };
  ipfs(["init", "--profile=test"]);
  const file = join(repository, "config");
  configure(file, settings);
  let child: ChildProcess | undefined;
  let host = "";

  const start = async (): Promise<void> => {
    rmSync(join(repository, "api"), { force: true });
    const daemon = spawn(command, ["daemon", "--migrate=false"], { env, stdio: ["ignore", "pipe", "pipe"] });
    child = daemon;
    let said = "";
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    daemon.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)));
    daemon.stdout.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000);
      if (said.includes("Daemon is ready")) resolve();
    });
    daemon.once("error", reject);
    daemon.once("exit", () => reject(new Error(`The Kubo node did not start: ${said}`)));
    await promise;
    const [, port] = /\/tcp\/(\d+)/.exec(readFileSync(join(repository, "api"), "utf8")) ?? [];
    host = `127.0.0.1:${port}`;
    // Who is started again is found again.
    configure(file, { "Addresses.API": `/ip4/127.0.0.1/tcp/${port}` });
  };
  const kill = async (): Promise<void> => {
    const daemon = child;
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    daemon.once("exit", () => resolve());
    daemon.kill("SIGKILL");
    await promise;
  };
  const remove = async (): Promise<void> => {
    await kill();
    rmSync(repository, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    repository,
    get host() {
      return host;
    },
    ipfs,
    kill,
    start,
    remove,
  };
}

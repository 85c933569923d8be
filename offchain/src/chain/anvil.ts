/**
 * The embedded chain: a local development node that keeps its state, started as a process of its own by whoever supervises.
 * Its dump, rewritten whole every second, measured (anvil 1.7.1): 1.2 MB with everything deployed, 1.75 kB more with each
 * empty block, so 7.5 MB after an hour of blocks of 1 s: hence fewer while nothing happens (chainPace.ts).
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { type Address, createClient, createTestClient, custom } from "viem";

import { redactUrl, RetryableError, systemClock, type Clock, UserError } from "../base/index.ts";
import { freshCommand } from "../base/node/index.ts";
import { copyState } from "./anvilState.ts";
import { FUND_METHOD } from "./doorFunds.ts";
import { BLOCK_GAS_LIMIT } from "./doorPool.ts";
import { type NodeLink, openNodeLink } from "./nodeLink.ts";
import { rpcTransport } from "./transport.ts";

/** Chain id of development nodes. */
export const DEVELOPMENT_CHAIN_ID = 31_337;

/**
 * The platform package's own binary: the `anvil` shim of npm hides exit codes and signals.
 * @throws UserError `ANVIL_MISSING`
 */
export function anvilBinary(): string {
  const system = { linux: "linux", darwin: "darwin", win32: "win32" }[process.platform as string];
  const machine = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  const name = `@foundry-rs/anvil-${system}-${machine}`;
  const file = process.platform === "win32" ? "anvil.exe" : "anvil";
  try {
    const require = createRequire(createRequire(import.meta.url).resolve("@foundry-rs/anvil/package.json"));
    return require.resolve(`${name}/bin/${file}`);
  } catch (cause) {
    throw new UserError(
      "ANVIL_MISSING",
      `There is no embedded chain for ${process.platform} on ${process.arch} (package ${name}): name an RPC with --rpc.`,
      { cause },
    );
  }
}

export interface AnvilOptions {
  /** Where the state is kept; a copy lies beside it. Its directory must be this user's alone: the node's socket lies there. */
  readonly stateFile: string;
  readonly chainId?: number;
  /** Seconds between blocks; 0 mines on demand. Default 1: sortition needs later blocks, and the clock must not stand. */
  readonly blockTime?: number;
}

/** What a supervisor needs to run the node: a ProcessSpec without its name. */
export interface AnvilCommand {
  /** Where the node is reached, see `openNodeLink`. Everything else goes through `openChainDoor`. */
  readonly socket: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Resolves when the node answers with its chain id. */
  readonly ready: { readonly kind: "check"; readonly check: (signal: AbortSignal) => Promise<void> };
}

/** A socket's path has 104 bytes at most on some systems, its end included. */
const LONGEST_SOCKET = 100;

/** A socket that this user alone reaches: in the state's private directory, else in a new one with a shorter path. */
function socketFor(directory: string): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\cotrain-${randomBytes(16).toString("hex")}`;
  const path = join(directory, "node.sock");
  if (Buffer.byteLength(path) <= LONGEST_SOCKET) return path;
  const shorter = mkdtempSync(join(tmpdir(), "cotrain-"));
  process.once("exit", () => rmSync(shorter, { recursive: true, force: true }));
  return join(shorter, "node.sock");
}

/**
 * The command that starts the node from its state, repairing a state file that a crash tore. It serves its socket alone: see
 * anvilLauncher.ts for the port that it cannot be told to do without. Its ten well-known accounts are there as on every
 * development node; the ones of Cotrain are funded by {@link DevelopmentChain.fund}.
 */
export function anvilCommand(options: AnvilOptions): AnvilCommand {
  const chainId = options.chainId ?? DEVELOPMENT_CHAIN_ID;
  const blockTime = options.blockTime ?? 1;
  const socket = socketFor(dirname(resolve(options.stateFile)));
  const launcher = fileURLToPath(
    new URL(`./anvilLauncher${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url),
  );
  return {
    socket,
    command: process.execPath,
    args: [
      "--disable-warning=ExperimentalWarning",
      launcher,
      anvilBinary(),
      options.stateFile,
      socket,
      freshCommand(options.stateFile),
      "--chain-id",
      String(chainId),
      "--gas-limit",
      String(BLOCK_GAS_LIMIT),
      ...(blockTime > 0 ? ["--block-time", String(blockTime)] : []),
      "--state",
      options.stateFile,
      "--state-interval",
      "1",
      "--prune-history",
      "--no-cors",
      "--silent",
    ],
    ready: { kind: "check", check: (signal) => waitForChain(socket, chainId, signal) },
  };
}

/**
 * Resolves as soon as the node behind a socket answers with this chain id.
 * @throws the signal's reason; UserError `WRONG_CHAIN`
 */
async function waitForChain(
  socket: string,
  chainId: number,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const link = openNodeLink(socket, { timeout: 2_000 });
    const answer = await link.request("eth_chainId").catch(() => undefined);
    link.close();
    if (typeof answer === "string" && Number(answer) === chainId) return;
    if (typeof answer === "string") throw wrongChain(socket, Number(answer), chainId);
    await clock.sleep(50, signal);
  }
}

/** The error for an RPC of another chain than the one that is meant. */
export function wrongChain(url: string, actual: number, expected: number): UserError {
  return new UserError(
    "WRONG_CHAIN",
    `The RPC at ${redactUrl(url)} is chain ${actual}, but this run lives on chain ${expected}: name another RPC.`,
    {
      details: { actual, expected },
    },
  );
}

/** The error for an RPC that does not answer. */
export function unreachableChain(url: string, cause: unknown): RetryableError {
  return new RetryableError(
    "CHAIN_UNREACHABLE",
    `The chain's RPC at ${redactUrl(url)} does not answer: try again when it does.`,
    { cause },
  );
}

/** Controls that only a development node has. Reject with RetryableError `CHAIN_UNREACHABLE`. */
export interface DevelopmentChain {
  /** Sets balances, in wei (default 1,000 coins): fees on the local chain are play money. */
  fund(accounts: readonly Address[], balance?: bigint): Promise<void>;
  /** A block every so many seconds. */
  mineByInterval(seconds: number): Promise<void>;
}

/** @param target URL of a development node that somebody runs, or the private way to the embedded one */
export function developmentChain(target: string | NodeLink): DevelopmentChain {
  const transport =
    typeof target === "string"
      ? rpcTransport(target, { timeout: 5_000, retries: 2 })
      : custom({ request: ({ method, params }) => target.request(method, params) });
  const client = createTestClient({ mode: "anvil", transport });
  // The name that Hardhat's node knows is known to anvil too.
  const purse = createTestClient({ mode: "hardhat", transport });
  const guarded = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      throw unreachableChain(typeof target === "string" ? target : "its socket", error);
    }
  };
  return {
    fund: (accounts, balance = 10n ** 21n) =>
      guarded(() => Promise.all(accounts.map((address) => purse.setBalance({ address, value: balance })))),
    mineByInterval: (seconds) =>
      guarded(async () => {
        await client.setAutomine(false);
        await client.setIntervalMining({ interval: seconds });
      }),
  };
}

/**
 * Asks the embedded chain's door for play money, for an account with next to none.
 * @throws viem's errors where there is no such door
 */
export async function requestFunds(url: string, account: Address): Promise<void> {
  const client = createClient({ transport: rpcTransport(url, { timeout: 5_000, retries: 2 }) });
  await client.request({ method: FUND_METHOD, params: [account] } as never);
}

/**
 * Copies the node's state file every few seconds, so that a dump torn by kill -9 costs no more than those. Run it in the
 * process that supervises the node.
 * @returns how to end it
 */
export function startStateKeeper(stateFile: string, intervalMs = 2_000): () => void {
  const timer = setInterval(() => copyState(stateFile), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

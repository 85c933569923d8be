/**
 * The embedded chain: a local development node that keeps its state, started as a process of its own by whoever supervises.
 * Its dump, rewritten whole every second, measured (anvil 1.7.1): 1.2 MB with everything deployed, 1.75 kB more with each
 * empty block, so 7.5 MB after an hour of blocks of 1 s. Mining on demand while nothing happens keeps it from growing.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { type Address, createTestClient, http } from "viem";

import { redactUrl, RetryableError, systemClock, type Clock, UserError } from "../base/index.ts";
import { LOOPBACK } from "../service/index.ts";
import { copyState } from "./anvilState.ts";

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
  /** Where the state is kept; a copy lies beside it. */
  readonly stateFile: string;
  /** A free port; see `findPort` of service. */
  readonly port: number;
  readonly host?: string;
  readonly chainId?: number;
  /** Seconds between blocks; 0 mines on demand. Default 1: the lot needs later blocks, and the clock must not stand. */
  readonly blockTime?: number;
}

/** What a supervisor needs to run the node: a ProcessSpec without its name. */
export interface AnvilCommand {
  readonly url: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Resolves when the node answers with its chain id. */
  readonly ready: { readonly kind: "check"; readonly check: (signal: AbortSignal) => Promise<void> };
}

/**
 * The command that starts the node from its state, repairing a state file that a crash tore. Its ten well-known accounts
 * are there for anyone who asks, like on every development node; the ones of Cotrain are funded by {@link fund}.
 */
export function anvilCommand(options: AnvilOptions): AnvilCommand {
  const chainId = options.chainId ?? DEVELOPMENT_CHAIN_ID;
  const host = options.host ?? LOOPBACK;
  const blockTime = options.blockTime ?? 1;
  const url = `http://${host}:${options.port}`;
  const launcher = fileURLToPath(
    new URL(`./anvilLauncher${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url),
  );
  return {
    url,
    command: process.execPath,
    args: [
      "--disable-warning=ExperimentalWarning",
      launcher,
      anvilBinary(),
      options.stateFile,
      "--host",
      host,
      "--port",
      String(options.port),
      "--chain-id",
      String(chainId),
      ...(blockTime > 0 ? ["--block-time", String(blockTime)] : []),
      "--state",
      options.stateFile,
      "--state-interval",
      "1",
      "--prune-history",
      "--silent",
    ],
    ready: { kind: "check", check: (signal) => waitForChain(url, chainId, signal) },
  };
}

/**
 * Resolves as soon as the node at `url` answers with this chain id.
 * @throws the signal's reason; UserError `WRONG_CHAIN`
 */
export async function waitForChain(
  url: string,
  chainId: number,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await chainIdAt(url, AbortSignal.any([signal, AbortSignal.timeout(2_000)]));
    if (answer === chainId) return;
    if (answer !== undefined) throw wrongChain(url, answer, chainId);
    await clock.sleep(50, signal);
  }
}

/** The chain id that an RPC reports, undefined when it does not answer. */
async function chainIdAt(url: string, signal: AbortSignal): Promise<number | undefined> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
      signal,
    });
    const body: unknown = await response.json();
    const result = typeof body === "object" && body !== null && "result" in body ? body.result : undefined;
    return typeof result === "string" ? Number(result) : undefined;
  } catch {
    return undefined;
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
  /** A block for every transaction and none between them: for an idle chain that is left standing. */
  mineOnDemand(): Promise<void>;
}

export function developmentChain(url: string): DevelopmentChain {
  const transport = http(url, { timeout: 5_000, retryCount: 2 });
  const client = createTestClient({ mode: "anvil", transport });
  // The name that Hardhat's node knows is known to anvil too.
  const purse = createTestClient({ mode: "hardhat", transport });
  const guarded = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      throw unreachableChain(url, error);
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
    // In this order: automining alone would keep the interval, the interval's end alone would mine nothing ever again.
    mineOnDemand: () =>
      guarded(async () => {
        await client.setIntervalMining({ interval: 0 });
        await client.setAutomine(true);
      }),
  };
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

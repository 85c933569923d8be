/** The chain of a run and the wallets on it: started or found, opened or made, and able to pay. */
import { mkdir } from "node:fs/promises";

import type { PrivateKeyAccount } from "viem/accounts";

import { developmentChainIds, ensureBuilt } from "../../../deploy/deployment.ts";
import {
  anvilCommand,
  type ChainDoor,
  type ChainPace,
  connect,
  createChainPace,
  developmentChain,
  DEVELOPMENT_CHAIN_ID,
  openChainDoor,
  openNodeLink,
  type NodeLink,
  startStateKeeper,
} from "../chain/index.ts";
import { type DaemonContext, openRoleDirectory, type RunFile, type Supervisor } from "../service/index.ts";
import { layout, workOn, ensureWallet, namedWallet, type Role } from "../run/index.ts";
import { weiOf } from "../base/index.ts";
import { workerCount } from "./devices.ts";
import { requireCoins } from "./funding.ts";
import { fundOwners, startTicker } from "./funds.ts";
import type { LocalnetContext } from "./context.ts";
import { CHAIN } from "./processes.ts";
import { checkChain } from "./request.ts";

const VALIDATORS = 3;

export interface Wallets {
  readonly organiser: PrivateKeyAccount;
  readonly poster: PrivateKeyAccount;
  readonly validators: readonly PrivateKeyAccount[];
  readonly workers: readonly PrivateKeyAccount[];
  /** Who contributes capital, who code, and who pays revenue; on a development chain alone. */
  readonly contributors: Readonly<Record<"buyer" | "author" | "customer", PrivateKeyAccount>> | undefined;
  /** Who plays in a dispute that is shown; where the line asks for one. */
  readonly players: Readonly<Record<"thief" | "watcher", PrivateKeyAccount>> | undefined;
}

const numbered = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index + 1));

/** @param embedded whether the chain is ours: on another one account pays for everything, so that only one needs coins */
async function openWallets(
  state: string,
  { context, devices }: Pick<ChainRequest, "context" | "devices">,
  local: boolean,
  embedded: boolean,
): Promise<Wallets> {
  const ensure = (role: Role): Promise<PrivateKeyAccount> => ensureWallet(state, role, local);
  // All share the passphrase of whichever makes it first.
  const organiser = (await namedWallet(context.options)) ?? (await ensure("organiser"));
  const poster = embedded ? await ensure("poster") : organiser;
  const validators = await Promise.all(numbered(VALIDATORS, (n) => ensure(`validator-${n}`)));
  // Rented machines all train for one.
  const count = context.options.market === undefined ? workerCount(context, devices) : 1;
  const workers = await Promise.all(numbered(count, (n) => ensure(`worker-${n}`)));
  const contributors = local
    ? { buyer: await ensure("buyer"), author: await ensure("author"), customer: await ensure("customer") }
    : undefined;
  const players =
    context.options.demo === undefined ? undefined : { thief: await ensure("thief"), watcher: await ensure("watcher") };
  return { organiser, poster, validators, workers, contributors, players };
}

export interface ChainRequest {
  readonly context: LocalnetContext;
  /** What workers compute with, an entry for each at least. */
  readonly devices: readonly (readonly string[])[];
  readonly daemon: DaemonContext;
  /** The state directory. */
  readonly state: string;
  readonly supervisor: Supervisor;
  /** Undefined: the embedded chain. */
  readonly rpc: string | undefined;
  /** Of the run that the state holds. */
  readonly file: RunFile | undefined;
}

/** The embedded chain: its node by the private way, its door for all others, and how fast it goes. */
export interface EmbeddedChain {
  readonly link: NodeLink;
  readonly door: ChainDoor;
  readonly pace: ChainPace;
}

interface StartedChain {
  readonly url: string;
  readonly chainId: number;
  /** Undefined where another chain was named. */
  readonly embedded: EmbeddedChain | undefined;
}

/** Starts the embedded chain unless another was named. */
async function startChain(request: ChainRequest): Promise<StartedChain> {
  const { context, daemon, state, supervisor, rpc, file } = request;
  if (rpc !== undefined) return { url: rpc, chainId: await checkChain(rpc, file), embedded: undefined };
  await mkdir(layout(state).chain, { recursive: true, mode: 0o700 });
  const lock = await openRoleDirectory(state, "chain", { create: true });
  daemon.onShutdown("chain lock", () => lock.close());
  const explicit = context.config.explicit("chainPort");
  const node = anvilCommand({ stateFile: layout(state).chainState });
  daemon.onShutdown("chain state keeper", startStateKeeper(layout(state).chainState));
  await supervisor.start({ name: CHAIN, command: node.command, args: node.args, ready: node.ready });
  let door: ChainDoor | undefined;
  const link = openNodeLink(node.socket, {
    onConnect: () => {
      pace.restarted();
      door?.restarted();
    },
  });
  const pace = createChainPace(developmentChain(link));
  const opened = await openChainDoor({
    link,
    port: {
      port: explicit ? context.options.chainPort : (file?.ports["chain"] ?? context.options.chainPort),
      explicit,
      purpose: "the chain",
      flag: "--chain-port",
    },
    onTransaction: () => pace.stirred(),
  });
  door = opened;
  daemon.onShutdown("chain door", async () => {
    // Those behind it go first: what they do at their end may need the chain.
    await supervisor.stopAll();
    pace.stop();
    await opened.close();
  });
  return { url: opened.url, chainId: DEVELOPMENT_CHAIN_ID, embedded: { link, door: opened, pace } };
}

export interface OpenedChain {
  readonly url: string;
  readonly embedded: EmbeddedChain | undefined;
  readonly chainId: number;
  /** Wei that the fees of one transaction may take. */
  readonly maxFee: bigint;
  /** A development chain, with windows and votes of seconds. */
  readonly local: boolean;
  readonly wallets: Wallets;
}

/**
 * The chain with wallets that can pay: the embedded one gives them coins, on another the organiser's pays for all.
 * @throws UserError `WRONG_CHAIN`; RetryableError `CHAIN_UNREACHABLE`, `WALLET_UNFUNDED`
 */
export async function openChain(request: ChainRequest): Promise<OpenedChain> {
  const { context, daemon, state } = request;
  const chain = await startChain(request);
  const { embedded } = chain;
  const maxFee = weiOf(context.options.maxFee);
  const local = developmentChainIds.includes(chain.chainId);
  const wallets = await openWallets(state, request, local, embedded !== undefined);
  const { organiser, poster, validators, workers, contributors, players } = wallets;
  const owners = [...workers, ...Object.values(contributors ?? {})].map(({ address }) => address);
  if (embedded) {
    const others = [organiser, poster, ...validators, ...Object.values(players ?? {})];
    const all = [...others.map(({ address }) => address), ...owners];
    embedded.door.trust(all);
    await developmentChain(embedded.link).fund(all);
    return { ...chain, maxFee, local, wallets };
  }
  // A development node of some makes gives coins away; of others its owner has to send them.
  if (local)
    await developmentChain(chain.url)
      .fund([organiser.address])
      .catch(() => undefined);
  const started = request.file?.runId !== undefined;
  const compile = (): Promise<void> => ensureBuilt(daemon.signal);
  await requireCoins(chain, organiser.address, { state, started, confirmed: context.options.yes, compile });
  // Where windows and votes take seconds, owners claim, buy and vote in the session itself, with coins of the one wallet's.
  if (local) {
    const connection = await connect({ rpcUrl: chain.url, chainId: chain.chainId, maxFee });
    const [ticker] = validators;
    const funded = ticker ? [...owners, ticker.address] : owners;
    await workOn(connection, () => fundOwners(connection, organiser, funded));
    if (ticker) daemon.onShutdown("chain ticker", startTicker(connection, ticker, daemon.logger));
  }
  return { ...chain, maxFee, local, wallets };
}

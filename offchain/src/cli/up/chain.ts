/** The chain of a run and the wallets on it: started or found, opened or made, and able to pay. */
import { mkdir } from "node:fs/promises";

import type { Address } from "viem";
import type { PrivateKeyAccount } from "viem/accounts";

import { developmentChainIds } from "../../../../deploy/deployment.ts";
import { RetryableError } from "../../base/index.ts";
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
} from "../../chain/index.ts";
import { type DaemonContext, openRoleDirectory, type RunFile, type Supervisor } from "../../service/index.ts";
import type { CommandContext } from "../command.ts";
import { layout } from "../local.ts";
import { estimateCost, requireAffordable } from "./funding.ts";
import type { upOptions } from "./options.ts";
import { checkChain } from "./request.ts";
import { ensureWallet, namedWallet, type Role } from "./wallets.ts";

const VALIDATORS = 3;

export interface Wallets {
  readonly organiser: PrivateKeyAccount;
  readonly poster: PrivateKeyAccount;
  readonly validators: readonly PrivateKeyAccount[];
  readonly workers: readonly PrivateKeyAccount[];
}

const numbered = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index + 1));

async function openWallets(state: string, context: CommandContext<typeof upOptions>, local: boolean): Promise<Wallets> {
  const ensure = (role: Role): Promise<PrivateKeyAccount> => ensureWallet(state, role, local);
  // The first makes the passphrase that all share.
  const organiser = (await namedWallet(context.options)) ?? (await ensure("organiser"));
  // On a real chain one account pays for everything, so that only one needs funds.
  const poster = local ? await ensure("poster") : organiser;
  const validators = await Promise.all(numbered(VALIDATORS, (n) => ensure(`validator-${n}`)));
  const workers = await Promise.all(numbered(context.options.workers, (n) => ensure(`worker-${n}`)));
  return { organiser, poster, validators, workers };
}

export interface ChainRequest {
  readonly context: CommandContext<typeof upOptions>;
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
  await supervisor.start({ name: "chain", command: node.command, args: node.args, ready: node.ready });
  const link = openNodeLink(node.socket, { onConnect: () => pace.restarted() });
  const pace = createChainPace(developmentChain(link));
  const door = await openChainDoor({
    link,
    port: {
      port: explicit ? context.options.chainPort : (file?.ports["chain"] ?? context.options.chainPort),
      explicit,
      purpose: "the chain",
      flag: "--chain-port",
    },
    onTransaction: () => pace.stirred(),
  });
  daemon.onShutdown("chain door", async () => {
    // Those behind it go first: what they do at their end may need the chain.
    await supervisor.stopAll();
    pace.stop();
    await door.close();
  });
  return { url: door.url, chainId: DEVELOPMENT_CHAIN_ID, embedded: { link, door, pace } };
}

/** Whoever sends transactions to a chain that gives no coins away must have some. */
async function requireFunds(
  { url, chainId }: { readonly url: string; readonly chainId: number },
  payers: Readonly<Record<string, Address>>,
): Promise<void> {
  const connection = await connect({ rpcUrl: url, chainId });
  for (const [role, address] of Object.entries(payers)) {
    if ((await connection.call((client) => client.getBalance({ address }))) > 0n) continue;
    throw new RetryableError(
      "WALLET_UNFUNDED",
      `The ${role}'s wallet ${address} has no coins on chain ${chainId} to pay fees with: send it some, then run the same command again.`,
    );
  }
}

/** Where coins cost, the one account that pays must have what a start takes. */
async function requireCoins(
  { url, chainId }: { readonly url: string; readonly chainId: number },
  address: Address,
  { context, file }: ChainRequest,
): Promise<void> {
  const connection = await connect({ rpcUrl: url, chainId });
  const [balance, gasPrice] = await connection.call((client) =>
    Promise.all([client.getBalance({ address }), client.getGasPrice()]),
  );
  const started = file?.runId !== undefined;
  const cost = estimateCost(gasPrice, started);
  requireAffordable({ address, chainId, balance, cost, started, confirmed: context.options.yes });
}

export interface OpenedChain {
  readonly url: string;
  readonly embedded: EmbeddedChain | undefined;
  readonly chainId: number;
  /** A development chain, with windows and votes of seconds. */
  readonly local: boolean;
  readonly wallets: Wallets;
}

/**
 * The chain with wallets that can pay: a development chain gives them coins, on another the organiser's must have some.
 * @throws UserError `WRONG_CHAIN`; RetryableError `CHAIN_UNREACHABLE`, `WALLET_UNFUNDED`
 */
export async function openChain(request: ChainRequest): Promise<OpenedChain> {
  const { context, state } = request;
  const chain = await startChain(request);
  const local = developmentChainIds.includes(chain.chainId);
  const wallets = await openWallets(state, context, local);
  const { organiser, poster, validators, workers } = wallets;
  if (!local) await requireCoins(chain, organiser.address, request);
  else {
    const all = [organiser, poster, ...validators, ...workers].map(({ address }) => address);
    const funded = await developmentChain(chain.embedded?.link ?? chain.url)
      .fund(all)
      .then(
        () => true,
        () => false,
      );
    // A development node of another kind sets no balances when told to: its owner has to send coins.
    if (!funded)
      await requireFunds(chain, {
        organiser: organiser.address,
        poster: poster.address,
        ...Object.fromEntries(workers.map(({ address }, index) => [`worker-${index + 1}`, address])),
      });
  }
  return { ...chain, local, wallets };
}

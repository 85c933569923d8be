/** The chain of a run and the wallets on it: started or found, opened or made, and able to pay. */
import { mkdir } from "node:fs/promises";

import type { Address } from "viem";
import type { PrivateKeyAccount } from "viem/accounts";

import { developmentChainIds } from "../../../../deploy/deployment.ts";
import { RetryableError } from "../../base/index.ts";
import { anvilCommand, connect, developmentChain, DEVELOPMENT_CHAIN_ID, startStateKeeper } from "../../chain/index.ts";
import { type DaemonContext, findPort, openRoleDirectory, type RunFile, type Supervisor } from "../../service/index.ts";
import type { CommandContext } from "../command.ts";
import { layout } from "../local.ts";
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

/** Starts the embedded chain unless another was named. */
async function startChain({
  context,
  daemon,
  state,
  supervisor,
  rpc,
  file,
}: ChainRequest): Promise<{ url: string; port: number | undefined; chainId: number }> {
  if (rpc !== undefined) return { url: rpc, port: undefined, chainId: await checkChain(rpc, file) };
  await mkdir(layout(state).chain, { recursive: true, mode: 0o700 });
  const lock = await openRoleDirectory(state, "chain", { create: true });
  daemon.onShutdown("chain lock", () => lock.close());
  const explicit = context.config.explicit("chainPort");
  const port = await findPort({
    port: explicit ? context.options.chainPort : (file?.ports["chain"] ?? context.options.chainPort),
    explicit,
    purpose: "the chain",
    flag: "--chain-port",
  });
  const node = anvilCommand({ stateFile: layout(state).chainState, port });
  daemon.onShutdown("chain state keeper", startStateKeeper(layout(state).chainState));
  await supervisor.start({ name: "chain", command: node.command, args: node.args, ready: node.ready });
  return { url: node.url, port, chainId: DEVELOPMENT_CHAIN_ID };
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

export interface OpenedChain {
  readonly url: string;
  /** Of the embedded chain. */
  readonly port: number | undefined;
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
  if (!local) await requireFunds(chain, { organiser: organiser.address });
  else {
    const all = [organiser, poster, ...validators, ...workers].map(({ address }) => address);
    const funded = await developmentChain(chain.url)
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

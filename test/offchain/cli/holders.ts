/** A real node with a model of which two wallets of a directory hold shares, claimed and delegated to themselves. */
import { join } from "node:path";

import { modelContractsOf, totalSupply } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import { createTestClient, http, publicActions } from "viem";

import { ensureWallet, writeDeployment } from "../../../offchain/src/run/index.ts";
import { openStateDirectory, writeRunFile } from "../../../offchain/src/service/index.ts";
import { createNode } from "../chain/node.ts";
import { settle } from "../chain/settle.ts";
import { createWorld, workers, type World } from "../chain/world.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

export interface Holders {
  readonly world: World;
  /** Directory of the run, with its wallets. */
  readonly state: string;
  readonly wallets: Readonly<Record<string, Address>>;
  readonly shares: Address;
  readonly supply: bigint;
  readonly client: ReturnType<typeof clientAt>;
  /** Options that name the key of a wallet, as from a directory that has none. */
  readonly keysOf: (name: string) => readonly string[];
  /** Options that name run, contracts and chain. */
  readonly pins: readonly string[];
  readonly close: () => Promise<void>;
}

const clientAt = (url: string) => createTestClient({ mode: "anvil", transport: http(url) }).extend(publicActions);

/** @param governor settings of its votes that are not the usual ones */
export async function openHolders(governor?: Parameters<typeof createWorld>[2]): Promise<Holders> {
  const node = await createNode(0);
  const cleanups: (() => void)[] = [];
  const close = async (): Promise<void> => {
    await node.close();
    for (const work of cleanups) work();
  };
  try {
    return { ...(await holdersOn(node, cleanups, governor)), close };
  } catch (error) {
    // Nobody else can end a node whose model could not be made.
    await close();
    throw error;
  }
}

async function holdersOn(
  node: Awaited<ReturnType<typeof createNode>>,
  cleanups: (() => void)[],
  governor: Parameters<typeof createWorld>[2],
): Promise<Omit<Holders, "close">> {
  const state = join(
    temporaryDirectory((work) => cleanups.push(work)),
    "state",
  );
  await node.start();
  (await openStateDirectory(state, { create: true })).close();
  const wallets: Record<string, Address> = {};
  for (const role of ["worker-1", "worker-2"] as const)
    wallets[role] = asAddress((await ensureWallet(state, role, true)).address);
  const world = await createWorld(node.url, state, governor);
  const { chainId, contracts: addresses, modelId, runId } = world;
  const first = asAddress(workers[0]!.address);
  await settle(node, world, { beneficiary: (worker) => wallets[worker === first ? "worker-1" : "worker-2"]! });
  await writeDeployment(state, world.deployment);
  const chain = { chainId, rpcUrl: node.url, embedded: false };
  const startedAt = new Date(0).toISOString();
  await writeRunFile(state, { version: 1, startedAt, chain, ports: {}, urls: {}, modelId, runId, wallets });
  const { code, stderr } = await cotrainHere(["rewards", "claim", "--state", state]);
  if (code !== 0) throw new Error(stderr);
  const client = clientAt(node.url);
  const { shares } = await modelContractsOf(client, { addresses, modelId });
  return {
    world,
    state,
    wallets,
    shares,
    supply: await totalSupply(client, { shares }),
    client,
    keysOf: (name) => [
      `--wallet=${join(state, "keys", `${name}.json`)}`,
      `--passphrase-file=${join(state, "keys", "passphrase")}`,
    ],
    pins: [`--run=${runId}`, `--deployment=${join(state, "deployment.json")}`, `--rpc=${node.url}`],
  };
}

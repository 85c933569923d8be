/** A world on a real node with a state at rest, and keystores beside it: what commands of members of a set are tried in. */
import { join } from "node:path";

import { timelockOf } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { createTestClient, http, publicActions } from "viem";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";

import { writeDeployment } from "../../../offchain/src/run/index.ts";
import {
  ensureKeystore,
  openStateDirectory,
  SCRYPT_N_LOCAL,
  writeRunFile,
} from "../../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { createWorld, keyOf, type World } from "../chain/world.ts";
import { endBootstrapAt } from "../../grownUp.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

const clientOf = (url: string) => createTestClient({ mode: "anvil", transport: http(url) }).extend(publicActions);

/** What a test finds; it may be asked for once its tests run. */
export interface Staged {
  readonly node: TestNode;
  readonly world: World;
  readonly client: ReturnType<typeof clientOf>;
  /** Where the keystores lie, and the state of the world's run, which has no wallets. */
  readonly keys: string;
  readonly state: string;
  /** Options of a command that signs with the wallet of this name. */
  readonly by: (name: string) => string[];
  /** Options that name the run and its contracts from a directory that knows neither. */
  readonly pins: () => string[];
  /** Another state of the same run, with these wallets' addresses by their roles. */
  readonly stateAt: (directory: string, wallets: Readonly<Record<string, string>>) => Promise<void>;
  /** Has the bootstrap of a young model end, so that holders may decide all that there is. */
  readonly endBootstrap: () => Promise<void>;
  /** Carries out what the holders decided, by their timelock. */
  readonly asHolders: <T>(work: (timelock: Hex) => Promise<T>) => Promise<T>;
}

/** A keystore of the wallet of a name, which costs little to open. */
export const keystoreOf = (name: string, paths: { readonly keystore: string; readonly passphrase: string }) =>
  ensureKeystore({ ...paths, scryptN: SCRYPT_N_LOCAL, privateKey: keyOf(name) });

/** What a command that succeeds tells, as JSON. */
export async function told<T>(...argv: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await cotrainHere([...argv, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}

/** A call that a command showed. */
export interface ShownCall {
  readonly target: Hex;
  readonly data: Hex;
}

/**
 * Carries out a call as the holders' timelock does when they accepted it. Its gas is named: a node that estimates it itself does
 * so in the newest block's second and leaves no room for the checkpoints of votes that the next block's writes (gas.ts of the SDK).
 */
export async function execute(client: Staged["client"], timelock: Hex, { target, data }: ShownCall): Promise<void> {
  const hash = await client.sendUnsignedTransaction({ from: timelock, to: target, data, gas: 5_000_000n });
  await client.mine({ blocks: 1 });
  expect(await client.getTransactionReceipt({ hash })).toMatchObject({ status: "success" });
}

/**
 * Stages a file's tests, each of which begins with the chain as it was.
 * @param names wallets that have a keystore
 * @param governor settings of its votes that are not the usual ones
 */
export function staged(names: readonly string[], governor?: Parameters<typeof createWorld>[2]): Staged {
  const cleanups: (() => void)[] = [];
  let node: TestNode;
  let world: World;
  let keys: string;
  let snapshot: Hex;
  const state = () => join(keys, "state");

  async function stateAt(directory: string, wallets: Readonly<Record<string, string>>): Promise<void> {
    (await openStateDirectory(directory, { create: true })).close();
    const { chainId, modelId, runId } = world;
    await writeRunFile(directory, {
      version: 1,
      startedAt: new Date(0).toISOString(),
      chain: { chainId, rpcUrl: node.url, embedded: false },
      ports: {},
      urls: {},
      modelId,
      runId,
      wallets,
    });
    await writeDeployment(directory, world.deployment);
  }

  async function asHolders<T>(work: (timelock: Hex) => Promise<T>): Promise<T> {
    const client = clientOf(node.url);
    const { contracts: addresses, modelId } = world;
    const timelock = await timelockOf(client, { addresses, modelId });
    await client.setBalance({ address: timelock, value: 10n ** 18n });
    await client.impersonateAccount({ address: timelock });
    return work(timelock);
  }

  beforeAll(async () => {
    node = await createNode(0);
    await node.start();
    world = await createWorld(node.url, node.directory, governor);
    keys = temporaryDirectory((work) => cleanups.push(work));
    await stateAt(state(), {});
    for (const name of names)
      await keystoreOf(name, { keystore: join(keys, `${name}.json`), passphrase: join(keys, "passphrase") });
    snapshot = await clientOf(node.url).snapshot();
  }, 60_000);
  beforeEach(async () => {
    await clientOf(node.url).revert({ id: snapshot });
    snapshot = await clientOf(node.url).snapshot();
  });
  afterAll(async () => {
    await node?.close();
    for (const work of cleanups) work();
  });

  return {
    get node() {
      return node;
    },
    get world() {
      return world;
    },
    get client() {
      return clientOf(node.url);
    },
    get keys() {
      return keys;
    },
    get state() {
      return state();
    },
    by: (name) => ["--wallet", join(keys, `${name}.json`), "--passphrase-file", join(keys, "passphrase")],
    pins: () => {
      const [deployment, elsewhere] = [
        join(state(), "deployment.json"),
        temporaryDirectory((work) => cleanups.push(work)),
      ];
      return ["--rpc", node.url, "--run", world.runId, "--deployment", deployment, "--state", elsewhere];
    },
    stateAt,
    endBootstrap: () => {
      const { request } = clientOf(node.url);
      return endBootstrapAt(clientOf(node.url), request, { addresses: world.contracts, modelId: world.modelId });
    },
    asHolders,
  };
}

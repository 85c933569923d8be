/** Claim and delegation in one batch, where a wallet makes such (EIP-5792). */
import { createClient, custom, type Hex, numberToHex } from "viem";
import { hardhat } from "viem/chains";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { isolated } from "./holders.ts";
import { alice, bob, createWorld, share, type World } from "./world.ts";

let world: World;
let leaves: readonly actions.ClaimLeaf[];
let bobs: readonly actions.ClaimLeaf[];
beforeAll(async () => {
  world = await createWorld();
  const tree = await world.reward([
    { account: alice.address, amount: 300n * share },
    { account: bob.address, amount: 100n * share },
  ]);
  leaves = [{ index: tree.index, ...tree.proofOf(alice.address)! }];
  bobs = [{ index: tree.index, ...tree.proofOf(bob.address)! }];
});
afterAll(() => world.close());

interface Wallet {
  /** What it says of batches; undefined for a wallet that knows none of this. */
  readonly atomic?: string;
  /** Chain id under which it says so. */
  readonly under?: number;
  /** What becomes of a batch. */
  readonly refuses?: number;
  readonly fails?: boolean;
  /** Calls of others that its bundler sends along. */
  readonly besides?: readonly { readonly to: Hex; readonly data: Hex }[];
}

const refusal = (code: number) => Object.assign(new Error("no"), { code });
const send = (params: unknown) => world.request({ method: "eth_sendTransaction", params } as never);

/** Alice's wallet, in which her key is, and what it was asked to send. */
function walletOf({ atomic, under = hardhat.id, refuses, fails = false, besides = [] }: Wallet) {
  const asked: string[] = [];
  const mined = new Map<string, Hex[]>();
  const answer = async ({ method, params }: { method: string; params?: never[] }): Promise<unknown> => {
    if (method === "wallet_getCapabilities") {
      if (atomic === undefined) throw refusal(-32601);
      return { [numberToHex(under)]: { atomic: { status: atomic } } };
    }
    if (method === "wallet_sendCalls") {
      const [{ calls, from, atomicRequired }] = params as unknown as [
        { calls: readonly { to: Hex; data: Hex }[]; from: Hex; atomicRequired: boolean },
      ];
      asked.push(`${calls.length} calls, ${atomicRequired ? "whole" : "in parts"}`);
      if (refuses !== undefined) throw refusal(refuses);
      const hashes: Hex[] = [];
      if (!fails) for (const call of [...calls, ...besides]) hashes.push((await send([{ from, ...call }])) as Hex);
      mined.set("a batch", hashes);
      return { id: "a batch" };
    }
    if (method === "wallet_getCallsStatus") {
      const receipts = mined
        .get("a batch")!
        .map((hash) => world.request({ method: "eth_getTransactionReceipt", params: [hash] } as never));
      const status = fails ? 500 : 200;
      return {
        version: "2.0.0",
        id: "a batch",
        chainId: "0x7a69",
        atomic: true,
        status,
        receipts: await Promise.all(receipts),
      };
    }
    if (method === "eth_sendTransaction") asked.push("a transaction");
    return world.request({ method, params } as never);
  };
  const transport = custom({ request: answer as never }, { retryCount: 0 });
  const settings = { transport, pollingInterval: 5, cacheTime: 0, account: alice.address };
  return { asked, client: createClient({ ...settings, chain: hardhat }), chainless: createClient(settings) };
}

const claiming = (client: ReturnType<typeof walletOf>["client"], delegatee?: Hex) => {
  const { addresses, modelId } = world;
  return actions.claimAndDelegate(client, { addresses, modelId, leaves, ...(delegatee && { delegatee }) });
};
const votes = (account: Hex = alice.address) => actions.votesOf(world.client, { shares: world.shares, account });

describe("claiming, and delegating with the first claim", () => {
  it.each([
    ["supported", hardhat.id],
    ["ready", hardhat.id],
    ["supported", 0],
  ])("is one batch in a wallet that says %s under chain %i", async (atomic, under) => {
    await isolated(world, async () => {
      const { client, asked } = walletOf({ atomic, under });
      const done = await claiming(client);
      expect(done).toMatchObject({ batched: true, amount: 300n * share, delegatee: alice.address });
      expect(asked).toEqual(["2 calls, whole"]);
      expect(await votes()).toBe(300n * share);
    });
  });

  it.each([
    ["that says that it makes none", { atomic: "unsupported" }, []],
    ["that says so of another chain", { atomic: "supported", under: 1 }, []],
    ["that knows no batches", {}, []],
    ["whose owner refuses its upgrade", { atomic: "ready", refuses: 5750 }, ["2 calls, whole"]],
    ["that cannot after all", { atomic: "supported", refuses: 5760 }, ["2 calls, whole"]],
  ] as const)("is two transactions in a wallet %s", async (_, wallet, before) => {
    await isolated(world, async () => {
      const { client, asked } = walletOf(wallet);
      const done = await claiming(client);
      expect(done).toMatchObject({ batched: false, amount: 300n * share, delegatee: alice.address });
      expect(asked).toEqual([...before, "a transaction", "a transaction"]);
      expect(await votes()).toBe(300n * share);
    });
  });

  it("is two transactions of a key in this program, and of a client that names no chain", async () => {
    await isolated(world, async () => {
      const { addresses, modelId, clientOf } = world;
      expect(await actions.makesBatches(clientOf(alice))).toBe(false);
      const done = await actions.claimAndDelegate(clientOf(alice), { addresses, modelId, leaves });
      expect(done).toMatchObject({ batched: false, amount: 300n * share });
    });
    const { chainless, client } = walletOf({ atomic: "supported" });
    expect(await actions.makesBatches(chainless)).toBe(false);
    expect(await actions.makesBatches(client)).toBe(true);
  });

  it("counts what the sender was paid alone, where a bundler sends a claim of somebody else along", async () => {
    await isolated(world, async () => {
      const { addresses, modelId } = world;
      const claims = [{ modelId, beneficiary: bob.address, leaves: bobs }];
      const { to, data } = actions.claimMany.call({ addresses, claims });
      const { client } = walletOf({ atomic: "supported", besides: [{ to, data }] });
      const done = await claiming(client);
      expect(done).toMatchObject({ batched: true, amount: 300n * share });
      expect(done.receipts).toHaveLength(3);
      expect(await actions.balanceOf(world.client, { shares: world.shares, account: bob.address })).toBe(100n * share);
    });
  });

  it("leaves a choice that was made, makes another, and sends nothing twice", async () => {
    await isolated(world, async () => {
      const { client, asked } = walletOf({ atomic: "supported" });
      const { addresses, modelId, shares } = world;
      await actions.delegate.sync(client, { shares, delegatee: bob.address });
      expect(await claiming(client)).toMatchObject({ batched: false, amount: 300n * share, delegatee: bob.address });
      expect(asked.splice(0)).toEqual(["a transaction", "a transaction"]);
      expect(await votes(bob.address)).toBe(300n * share);
      const none = { addresses, modelId, leaves: [] };
      expect(await actions.claimAndDelegate(client, none)).toMatchObject({ receipts: [], amount: 0n });
      expect(asked.splice(0)).toEqual([]);
      const back = await actions.claimAndDelegate(client, { ...none, delegatee: alice.address });
      expect(back).toMatchObject({ amount: 0n, delegatee: alice.address });
      expect(asked).toEqual(["a transaction"]);
      expect(await votes()).toBe(300n * share);
    });
  });

  it("fails as a whole, and where its owner refuses it nothing else is sent", async () => {
    await isolated(world, async () => {
      const failing = walletOf({ atomic: "supported", fails: true });
      await expect(claiming(failing.client)).rejects.toBeInstanceOf(errors.TransactionRevertedError);
      const refusing = walletOf({ atomic: "supported", refuses: 4001 });
      await expect(claiming(refusing.client)).rejects.toThrow("no");
      for (const { asked } of [failing, refusing]) expect(asked).toEqual(["2 calls, whole"]);
      const wrong = leaves.map((leaf) => ({ ...leaf, amount: leaf.amount + 1n }));
      const { addresses, modelId } = world;
      const { client, asked } = walletOf({ atomic: "supported" });
      await expect(actions.claimAndDelegate(client, { addresses, modelId, leaves: wrong })).rejects.toBeInstanceOf(
        errors.ComputeRewardsInvalidProofError,
      );
      expect(asked).toEqual([]);
      expect(await votes()).toBe(0n);
    });
  });
});

it("coins go along with the calls of a batch", async () => {
  await isolated(world, async () => {
    const { client, asked } = walletOf({ atomic: "supported" });
    const { addresses, modelId } = world;
    const stakes = await actions.stakeManagerOf(client, { addresses });
    const mine = { stakes, modelId, role: "worker", staker: alice.address } as const;
    const put = actions.depositStake.call({ ...mine, amount: 7n });
    expect(await actions.sendBatch(client, { calls: [put, put] })).toMatchObject({ batched: true });
    expect(asked).toEqual(["2 calls, whole"]);
    expect(await actions.activeStakeOf(client, mine)).toBe(14n);
  });
});

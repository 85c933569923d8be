/** What an account earned, as the commands that list, claim and follow it read it. */
import { type Address, asModelId, rewardTree } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import {
  type BlobSource,
  computeEpoch,
  activeRewards,
  keyOfRoot,
  type KnownRewards,
  knownRewards,
} from "../../../offchain/src/run/index.ts";
import { accounts, createLedger, type Ledger, modelId } from "./ledger.ts";

const [a, b] = accounts;
const lower = (address: string): Address => address.toLowerCase() as Address;

/** Two epochs paid, the second active. */
async function settled(): Promise<{ ledger: Ledger; rewards: string }> {
  const ledger = createLedger();
  let rewards = "";
  for (const [epoch, account] of [a, b].entries()) {
    ledger.add({ anchoredAt: 1_005 + 16 * epoch, receipts: [{ account, tokens: 1n }] });
    ledger.now = 1_017 + 16 * epoch;
    const result = await computeEpoch(ledger.modules, { modelId, epoch: epoch + 1, verdicts: [] });
    if (result.kind === "nothing") throw new TypeError(result.reason);
    ledger.activate(result.computation);
    rewards = result.computation.manifest.rewards;
  }
  return { ledger, rewards };
}

/** @param lost the digest that is not there @param code what is said of it */
const without = (blobs: BlobSource, lost: string, code: string): BlobSource => ({
  blob: async (run, digest, limit) => {
    if (digest === lost) throw new UserError(code, `No ${digest}.`);
    return blobs.blob(run, digest, limit);
  },
});

it("rewards under the active root that were lost are added up, and held against it", async () => {
  const { ledger, rewards } = await settled();
  const { reader } = ledger.modules;
  const read = (blobs: BlobSource) => activeRewards(asModelId(modelId), blobs, reader);
  const known = await read(ledger.modules.blobs);
  const lost = await read(without(ledger.modules.blobs, rewards, "BLOB_MISSING"));
  for (const account of [a, b]) {
    expect(known?.leavesOf(lower(account))).toHaveLength(1);
    expect(lost?.leavesOf(lower(account))).toEqual(known?.leavesOf(lower(account)));
  }
  // What says nothing about the blob is told as it is.
  await expect(read(without(ledger.modules.blobs, rewards, "BUSY"))).rejects.toMatchObject({ code: "BUSY" });
});

it("each root is read by itself: what is lost of one hides nothing of the others, and its number is told", async () => {
  const { ledger } = await settled();
  const { reader, blobs } = ledger.modules;
  const [first, second] = ledger.roots;
  const known = knownRewards([a, b]);
  const read = (from: BlobSource, before?: KnownRewards) => activeRewards(asModelId(modelId), from, reader, before);
  const amounts = (rewards: Awaited<ReturnType<typeof read>>, account: string) =>
    rewards?.leavesOf(lower(account)).map(({ index, amount }) => [index, amount]);

  const whole = await read(blobs, known);
  expect(whole).toMatchObject({ accounts: [a, b].map(lower).toSorted(), missing: [], through: { head: second!.head } });
  expect([amounts(whole, a), amounts(whole, b)]).toEqual([[[1, 1_000n]], [[2, 1_000n]]]);
  const [leaf] = whole!.leavesOf(lower(b));
  const tree = rewardTree({ modelId: asModelId(modelId), index: 2 }, [{ account: lower(b), amount: 1_000n }]);
  expect([leaf?.proof, tree.root]).toEqual([[], second!.root]);

  for (const [lost, index, left] of [
    [first!, 1, b],
    [second!, 2, a],
  ] as const) {
    const less = await read(without(blobs, lost.epochDigest, "BLOB_MISSING"));
    expect(less).toMatchObject({ accounts: [lower(left)], missing: [index] });
    expect(amounts(less, left)).toEqual(amounts(whole, left));
  }
  // What was read once is not read again.
  const gone: BlobSource = { blob: async () => Promise.reject(new UserError("BUSY", "It is away.")) };
  expect(amounts(await read(gone, known), a)).toEqual([[1, 1_000n]]);
  // And of it nothing is kept but what was asked for: roots are many, and hold many.
  const own = knownRewards([lower(a)]);
  expect(await read(blobs, own)).toMatchObject({ accounts: [lower(a)] });
  expect([...own.roots.values()]).toEqual([
    { amounts: new Map([[lower(a), 1_000n]]), leafOf: expect.any(Function) as unknown },
    { amounts: new Map(), leafOf: expect.any(Function) as unknown },
  ]);
  expect([amounts(await read(gone, own), a), amounts(await read(gone, own), b)]).toEqual([[[1, 1_000n]], []]);
});

const foreign = `0x${"11".repeat(32)}` as const;

it.each([
  ["another root", { root: foreign }],
  ["leaves above its total", { total: 999n }],
])("a false root, with %s, keeps nobody from what the others grant, and its number is told", async (_, falsely) => {
  for (const [at, left] of [
    [0, b],
    [1, a],
  ] as const) {
    const { ledger } = await settled();
    ledger.roots[at] = { ...ledger.roots[at]!, ...falsely };
    if (at === 1) ledger.active = { ...ledger.active!, ...falsely };
    const { reader, blobs } = ledger.modules;
    const read = await activeRewards(asModelId(modelId), blobs, reader);
    expect(read).toMatchObject({ accounts: [lower(left)], missing: [], unsound: [at + 1] });
    expect(read?.leavesOf(lower(left))).toHaveLength(1);
  }
});

it("a false root that names another's documents keeps nobody from what those grant, however often it is asked", async () => {
  const { ledger } = await settled();
  const { reader, blobs } = ledger.modules;
  const [first, second] = ledger.roots;
  ledger.roots[0] = { ...first!, epochDigest: second!.epochDigest };
  const known = knownRewards([a, b]);
  for (let times = 0; times < 2; times++) {
    const read = await activeRewards(asModelId(modelId), blobs, reader, known);
    expect(read).toMatchObject({ missing: [], unsound: [1] });
    expect(read?.leavesOf(lower(b))).toHaveLength(1);
  }
  expect(keyOfRoot(ledger.roots[0])).not.toBe(keyOfRoot(ledger.roots[1]!));
});

it("rewards that are no document make their root a false one", async () => {
  const { ledger, rewards } = await settled();
  const { reader, blobs } = ledger.modules;
  const broken: BlobSource = {
    blob: async (run, digest, limit) => (digest === rewards ? new Uint8Array([0x7b]) : blobs.blob(run, digest, limit)),
  };
  expect(await activeRewards(asModelId(modelId), broken, reader)).toMatchObject({ missing: [], unsound: [2] });
});

it("an RPC that leaves out a root, or tells of a thousand million, is not believed: it is read anew", async () => {
  const { ledger } = await settled();
  const { reader, blobs } = ledger.modules;
  for (const falsify of [
    () => ledger.roots.shift(),
    () => {
      const index = 1_000_000_000;
      ledger.active = { ...ledger.active!, index };
      ledger.roots.push({ ...ledger.roots.at(-1)!, index });
    },
  ]) {
    falsify();
    const forgotten: string[] = [];
    const forgets = { ...reader, forget: (of: string) => void forgotten.push(of) };
    await expect(activeRewards(asModelId(modelId), blobs, forgets)).rejects.toMatchObject({ code: "CHAIN_RPC" });
    expect(forgotten).toEqual([modelId]);
  }
});

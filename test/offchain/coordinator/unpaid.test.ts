/** Every zero has its reason: in the API, and in the lines that commands show. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { getAddress } from "viem";
import {
  type Address,
  asDigest,
  asHead,
  type CheckpointManifest,
  type Digest,
  digestOfJson,
  type EpochInputs,
  type EpochManifest,
  type ReceiptsFile,
  routes,
  verdictKind,
  type VerdictsFile,
  REWARD_PAGE,
} from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it } from "vitest";

import { blobSourceOf, rewardTreeOf, type UnpaidWork, unpaidWork, workOf } from "../../../offchain/src/run/index.ts";
import { putDocument } from "../../../offchain/src/storage/index.ts";
import { unpaidLines } from "../../../offchain/src/cli/unpaid.ts";
import { createRewardTrees } from "../../../offchain/src/coordinator/rewardTrees.ts";
import { restoreRewards, rewardView } from "../../../offchain/src/coordinator/rewards.ts";
import type { Run } from "../../../offchain/src/coordinator/run.ts";
import { computeEpoch } from "../../../offchain/src/coordinator/settlement.ts";
import { attest, elapse, type Harness, openHarness, OPERATOR, runId, until, validators } from "./harness.ts";

let harness: Harness;
afterEach(async () => {
  await harness.close();
});

/** One round of two workers, of which the first one's payload is lost before it is reduced; then its epoch is settled. */
async function settled() {
  harness = await openHarness();
  const [a, b] = [harness.worker("31"), harness.worker("32")];
  await a.join();
  await b.join();
  const { prepared } = await a.train();
  await harness.blobs.delete(asDigest(prepared.header.fragments[2]!.digest));
  await b.train();
  await until(() => harness.chain.heads.length === 2, "the anchor");
  return { a, b };
}

async function activate(): Promise<void> {
  await harness.client.control(runId, OPERATOR, { action: "pause" });
  await harness.clock.advance(17_000);
  await until(async () => (await harness.client.epochs(runId)).epochs[0]?.state === "collecting", "the epoch");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
  await elapse(harness, () => harness.run.driver.state.settledEpoch === 1, "the activation");
}

/** The documents of the store, as they are published. */
async function settledDocuments() {
  const { blobs } = harness;
  const { manifest } = harness.run.driver.state.epochs.at(-1)!.computed!;
  const document = async <T>(digest: string): Promise<T> =>
    JSON.parse(new TextDecoder().decode(await blobs.get(asDigest(digest)))) as T;
  const publish = (value: unknown) => putDocument(blobs, value);
  const epoch = await document<EpochManifest>(manifest);
  return { manifest, epoch, inputs: await document<EpochInputs>(epoch.inputs), document, publish };
}

/** What earned nothing, had the settled epoch been another one. */
async function unpaidHad(change: (epoch: EpochInputs["epochs"][number]) => void): Promise<readonly UnpaidWork[]> {
  const { epoch, inputs, publish } = await settledDocuments();
  inputs.epochs.forEach(change);
  return unpaidUnder(await publish({ ...epoch, inputs: await publish(inputs) }));
}
const unpaidUnder = async (manifest: string): Promise<readonly UnpaidWork[]> =>
  (await unpaidWork(source(), runId, manifest)).works;

const source = () => ({ reader: harness.chain, blobs: blobSourceOf(harness.blobs) });

const told = (works: readonly UnpaidWork[]) => works.map((work) => [work.epoch, work.account, work.reason]);

const losses: [string, (digest: Digest) => Promise<void>][] = [
  ["were lost", (digest) => harness.blobs.delete(digest)],
  ["have a bit that flipped", flipIn],
];
/** What a disk does. */
async function flipIn(digest: Digest): Promise<void> {
  const file = join(harness.directory, "blobs", digest.slice(2, 4), digest.slice(2));
  const bytes = await readFile(file);
  bytes[10]! ^= 1;
  await writeFile(file, bytes);
}

describe("what work has earned", () => {
  it.each(losses)("is known, and more can be earned, though the rewards under the active root %s", async (_, lose) => {
    const { b } = await settled();
    await activate();
    const { rewards } = harness.run.driver.state.epochs.at(-1)!.computed!;
    await lose(rewards);
    expect(await harness.client.reward(runId, b.beneficiary)).toMatchObject({ leaves: [{ index: 1, amount: "128" }] });
    await expect(harness.blobs.get(rewards)).resolves.toBeDefined();
    await lose(rewards);
    const context = { state: harness.run.driver.state, signal: new AbortController().signal };
    await computeEpoch(harness.run, { kind: "computeEpoch", key: "computeEpoch/2/1", epoch: 2 }, context).catch(
      () => undefined,
    );
    await expect(harness.blobs.get(rewards)).resolves.toBeDefined();
  });

  it("is not to be had where more is broken, and where that lies is told to nobody", async () => {
    const { b } = await settled();
    await activate();
    const { manifest, rewards } = harness.run.driver.state.epochs.at(-1)!.computed!;
    for (const digest of [manifest, rewards]) await flipIn(digest);
    const { reward, blob } = harness.client;
    expect(await reward(runId, b.beneficiary)).toMatchObject({ epoch: 1, leaves: [], missing: [1] });
    const error: unknown = await blob(runId, rewards, 1 << 20).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "BLOB_NOT_FOUND", status: 404 });
    expect(JSON.stringify([error, (error as Error).message])).not.toContain(harness.directory);
  });
});

it("rewards that the disk does not read any more are put back, and nothing else is taken for lost", async () => {
  await settled();
  await activate();
  const { computed } = harness.run.driver.state.epochs.at(-1)!;
  const { blobs } = harness.run.modules;
  const put: unknown[] = [];
  const failing = (code: string | undefined): Run => {
    const open = async (digest: Digest) => {
      if (digest === computed!.rewards) throw Object.assign(new Error("it failed"), { code });
      return blobs.open(digest);
    };
    const counted: typeof blobs.put = async (...given) => {
      put.push((await blobs.put(...given)).digest);
      return blobs.put(...given);
    };
    const modules = { ...harness.run.modules, blobs: { ...blobs, open, put: counted } };
    return Object.assign(Object.create(harness.run) as Run, { modules });
  };
  await restoreRewards(failing("EIO"));
  expect(put).toEqual([computed!.rewards]);
  await expect(restoreRewards(failing(undefined))).rejects.toThrow("it failed");
  expect(put).toHaveLength(1);
});

it("a document that the disk does not read keeps nobody from what it earned", async () => {
  const { b } = await settled();
  await activate();
  const { epoch } = await settledDocuments();
  const { blobs } = harness.run.modules;
  const readable = { ...blobs };
  Object.assign(blobs, {
    get: async (...asked: Parameters<typeof blobs.get>) => {
      if (asked[0] === epoch.verdicts) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
      return readable.get(...asked);
    },
  });
  expect(await harness.client.reward(runId, b.beneficiary)).toMatchObject({ leaves: [{ index: 1, amount: "128" }] });
});

it("a document that is broken ends the list of what earned nothing there, and fails nothing", async () => {
  await settled();
  await activate();
  const { manifest, epoch } = await settledDocuments();
  await flipIn(asDigest(epoch.verdicts));
  expect(await unpaidWork(source(), runId, manifest)).toEqual({ works: [], rest: "none" });
  await flipIn(asDigest(manifest));
  expect(await unpaidWork(source(), runId, manifest)).toEqual({ works: [], rest: "gone" });
});

it("rewards that were lost are not put back as what they are not", async () => {
  await settled();
  await activate();
  const { state } = harness.run.driver;
  const { computed, ...epoch } = state.epochs.at(-1)!;
  await harness.blobs.delete(computed!.rewards);
  const epochs = [{ ...epoch, computed: { ...computed!, rewards: digestOfJson("others") } }];
  const driver = { ...harness.run.driver, state: { ...state, epochs } };
  await restoreRewards(Object.assign(Object.create(harness.run) as Run, { driver }));
  expect(await harness.blobs.has(computed!.rewards)).toBe(false);
});

it("what many roots granted is told page by page, each with its proof", async () => {
  const { b } = await settled();
  await activate();
  const { epoch, publish } = await settledDocuments();
  const roots = REWARD_PAGE + 2;
  const manifests: Digest[] = [];
  const files: Digest[] = [];
  const [posted] = harness.chain.roots.splice(0);
  for (let index = 1; index <= roots; index++) {
    const rewards = { ...epochRewards(index), leaves: [{ account: b.beneficiary, amount: String(index) }] };
    files.push(await publish(rewards));
    const { root, total } = rewardTreeOf(rewards);
    // No manifest names the one before it: the chain does.
    manifests.push(await publish({ ...epoch, index, root, total: total.toString(), rewards: files.at(-1) }));
    // What the second and the third have published is not theirs, or more than was minted.
    const falsely = { 2: { root: digestOfJson("another") }, 3: { total: 2n } }[index];
    harness.chain.roots.push({ ...posted!, index, root, total, epochDigest: manifests.at(-1)!, ...falsely });
  }
  const { state } = harness.run.driver;
  const { computed, ...record } = state.epochs.at(-1)!;
  const { root } = harness.chain.roots.at(-1)!;
  const attestation = { ...computed!.attestation, index: String(roots), root };
  const epochs = [{ ...record, computed: { ...computed!, manifest: manifests.at(-1)!, attestation } }];
  const driver = { ...harness.run.driver, state: { ...state, epochs } };
  const started = (): Run => {
    const modules = { ...harness.run.modules, rewardTrees: createRewardTrees(harness.clock) };
    return Object.assign(Object.create(harness.run) as Run, { driver, modules });
  };
  const asker = { address: "192.0.2.1", gone: new AbortController().signal };
  let run = started();
  const numbers = async (from?: number) => {
    const { leaves, next } = await rewardView(run, b.beneficiary, asker, from);
    expect(leaves.every(({ index, amount, proof }) => amount === String(index) && proof.length === 0)).toBe(true);
    return { first: leaves.slice(0, 2).map(({ index: each }) => each), count: leaves.length, next };
  };
  expect(await numbers()).toEqual({ first: [1, 4], count: REWARD_PAGE - 2, next: REWARD_PAGE + 1 });
  expect(await numbers(REWARD_PAGE + 1)).toEqual({ first: [REWARD_PAGE + 1, roots], count: 2, next: null });
  expect(await numbers(roots + 1)).toEqual({ first: [], count: 0, next: null });
  // After a start, with documents of some of them lost: they hide nothing of the others, before or after.
  for (const lost of [files[0]!, manifests[99]!, manifests.at(-1)!]) await harness.blobs.delete(lost);
  run = started();
  expect(await numbers()).toEqual({ first: [4, 5], count: REWARD_PAGE - 4, next: REWARD_PAGE + 1 });
  const ask = async (from: number) => (await rewardView(run, b.beneficiary, asker, from)).missing;
  expect([await ask(1), await ask(REWARD_PAGE + 1)]).toEqual([[1, 100], [roots]]);
});

it("a chain that has not told of the active root's posting yet is asked again", async () => {
  const { b } = await settled();
  await activate();
  const [posted] = harness.chain.roots.splice(0);
  await expect(harness.client.reward(runId, b.beneficiary)).rejects.toMatchObject({ status: 503 });
  harness.chain.roots.push(posted!);
  expect(await harness.client.reward(runId, b.beneficiary)).toMatchObject({ leaves: [{ index: 1, amount: "128" }] });
});
const epochRewards = (index: number) => ({ version: 1 as const, modelId: harness.run.facts.modelId, kind: 1, index });

// foundation 10
describe("work that earned nothing", () => {
  it("has its reason in the API, for who earned nothing at all too", async () => {
    const { a, b } = await settled();
    await activate();
    const view = await harness.client.reward(runId, a.beneficiary);
    expect(view.leaves).toEqual([]);
    expect(view.account).toBe(getAddress(a.beneficiary));
    expect(view.unpaid).toEqual([
      { epoch: 1, round: 1, worker: getAddress(a.address), tokens: "128", reason: "payloadMissing" },
    ]);
    expect(await harness.client.reward(runId, b.beneficiary)).toMatchObject({
      leaves: [{ index: 1, amount: "128" }],
      unpaid: [],
    });
    const url = routes.reward(runId, getAddress(b.beneficiary));
    expect((await harness.app.inject({ url })).json()).toMatchObject({ leaves: [{ index: 1, amount: "128" }] });
    const stranger = harness.worker("39").beneficiary;
    await expect(harness.client.reward(runId, stranger)).rejects.toMatchObject({ code: "ACCOUNT_UNKNOWN" });
  });

  it("has its reason in lines for people, by name", async () => {
    const { a } = await settled();
    await activate();
    const { manifest } = harness.run.driver.state.epochs.at(-1)!.computed!;
    const found = await unpaidUnder(manifest);
    const lines = unpaidLines(found, (account) => (account === a.beneficiary ? "worker-1" : undefined));
    expect(lines).toEqual([
      expect.stringMatching(/^worker-1 0x\w+…\w+: nothing for round 1 \(128 tokens\): its payload was missing$/),
    ]);
    const many = [2, 3, 5].flatMap((round) => found.map((work) => ({ ...work, round, reason: "noBudget" as const })));
    expect(unpaidLines(many, () => undefined)).toEqual([
      expect.stringMatching(/nothing for rounds 2–3, 5 \(384 tokens\): the epoch had no budget for compute$/),
    ]);
    // They are data too: whoever shows them cuts.
    const long = Array.from({ length: 40 }, (_, epoch) => ({ ...found[0]!, epoch }));
    expect(unpaidLines(long, () => undefined)).toHaveLength(40);
  });

  it("has its reason in later epochs too, newest first, for sixteen of them or as many as are asked for", async () => {
    const { a, b } = await settled();
    await activate();
    const { manifest, epoch, inputs, publish } = await settledDocuments();
    const [first] = inputs.epochs;
    const contributions = [{ account: b.beneficiary, contribution: "1280000", amount: "0" }];
    let newest: string = manifest;
    const after = async (number: number): Promise<readonly UnpaidWork[]> => {
      const epochs = [{ ...first!, epoch: number, budget: "0", heads: [], contributions }];
      const later = { ...epoch, toEpoch: number, previous: newest, inputs: await publish({ ...inputs, epochs }) };
      newest = await publish(later);
      return unpaidUnder(newest);
    };
    const restIn = async (epochs?: number) => (await unpaidWork(source(), runId, newest, epochs)).rest;
    const missing = [1, a.beneficiary, "payloadMissing"];
    expect(told(await after(2))).toEqual([[2, b.beneficiary, "noBudget"], missing]);
    for (let number = 3; number < 16; number++) await after(number);
    expect(told(await after(16)).at(-1)).toEqual(missing);
    expect(await restIn()).toBe("none");
    expect(told(await after(17)).map(([number]) => number)).toEqual(Array.from({ length: 16 }, (_, i) => 17 - i));
    // Whoever looks is told that there was more, and finds it.
    expect([await restIn(), await restIn(17)]).toEqual(["beyond", "none"]);
  });

  it("has its reason, but for what is not kept any more", async () => {
    const { a, b } = await settled();
    await activate();
    const { epoch, inputs, document, publish } = await settledDocuments();
    const contributions = [{ account: b.beneficiary, contribution: "1280000", amount: "0" }];
    const [first] = inputs.epochs;
    const rest = { ...inputs, epochs: [{ ...first!, budget: "0", contributions }] };
    const manifest = await publish({ ...epoch, previous: digestOfJson("gone"), inputs: await publish(rest) });
    const accounts = async (): Promise<string[]> => (await unpaidUnder(manifest)).map(({ account }) => account);
    expect((await unpaidWork(source(), runId, manifest)).rest).toBe("gone");
    expect(await accounts()).toEqual([b.beneficiary, a.beneficiary]);
    const { receipts } = await document<{ receipts: string }>(first!.heads.at(-1)!.checkpointDigest);
    await harness.blobs.delete(asDigest(receipts));
    expect(await accounts()).toEqual([b.beneficiary]);
  });

  it("has its reason whatever stands under a head that validators rejected", async () => {
    const { a, b } = await settled();
    await activate();
    const { epoch, inputs, document, publish } = await settledDocuments();
    const [first] = inputs.epochs;
    const [sound] = first!.heads.slice(-1);
    const manifest = await document<CheckpointManifest>(sound!.checkpointDigest);
    const file = await document<ReceiptsFile>(manifest.receipts!);
    const paid = file.receipts.find(({ receipt }) => receipt.worker === b.address.toLowerCase())!;
    const names = Array.from({ length: 1_100 }, (_, i): Address => `0x${i.toString(16).padStart(40, "0")}`);
    const receipts = names.map((worker) => ({
      ...paid,
      receipt: { ...paid.receipt, worker, beneficiary: worker },
    }));
    const malformed = (await harness.blobs.put(new TextEncoder().encode("no JSON"))).digest;
    const forged = await publish({ ...manifest, receipts: await publish({ ...file, receipts }) });
    const unread = await publish({ ...manifest, receipts: malformed });
    const found = [];
    for (const checkpointDigest of [malformed, digestOfJson("gone"), unread, forged]) {
      const head = { ...sound!, head: asHead(digestOfJson("rejected")), checkpointDigest };
      const denial = {
        verdict: {
          runId,
          round: "1",
          head: head.head,
          kind: verdictKind.aggregate,
          worker: `0x${"0".repeat(40)}`,
          index: 0,
          value: "0",
          evidence: digestOfJson("nothing"),
          issuedAt: "1",
        },
        signature: `0x${"00".repeat(65)}`,
      };
      const verdicts = validators.map(({ address }) => ({
        ...denial,
        verdict: { ...denial.verdict, validator: address.toLowerCase() },
      }));
      const known = await document<VerdictsFile>(epoch.verdicts);
      const epochs = [{ ...first!, heads: [...first!.heads, head] }];
      found.push(
        await unpaidUnder(
          await publish({
            ...epoch,
            inputs: await publish({ ...inputs, epochs }),
            verdicts: await publish({ ...known, verdicts: [...known.verdicts, ...verdicts] }),
          }),
        ),
      );
    }
    const missing = [1, a.beneficiary, "payloadMissing"];
    for (const works of found) expect(told(works)[0]).toEqual(missing);
    expect(found.map((works) => works.length)).toEqual([1, 1, 1, 1_024]);
    expect(told(found[3]!)[1]).toEqual([1, names[0], "aggregateRejected"]);
  });

  it("under parameters that were changed long before has its reason in both", async () => {
    const { b } = await settled();
    await activate();
    // The same epoch, had the holders put version 2 in force before its round began.
    const found = await unpaidHad(({ heads }) => heads.forEach((head) => (head.minParamsVersion = 2)));
    expect(found.find(({ account }) => account === b.beneficiary)).toMatchObject({
      round: 1,
      reason: "parametersTooOld",
      tokens: 128n,
    });
    const lines = unpaidLines(found, (account) => (account === b.beneficiary ? "worker-2" : undefined));
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^worker-2 0x\w+…\w+: nothing for round 1 \(128 tokens\): the round was trained under parameters that the holders had changed long before$/,
      ),
    );
  });

  it.each([
    ["0", "noBudget", "the epoch had no budget for compute"],
    ["1", "tooLittle", "its part of the epoch's budget is below the smallest unit"],
  ])("of a budget of %s has its reason: %s", async (budget, reason, sentence) => {
    const { b } = await settled();
    await activate();
    const found = await unpaidHad((epoch) => {
      epoch.budget = budget;
      epoch.contributions = [{ account: b.beneficiary, contribution: "1280000", amount: "0" }];
    });
    const work = { epoch: 1, round: null, account: b.beneficiary, worker: null, tokens: 128n, reason };
    expect(found.filter(({ account }) => account === b.beneficiary)).toEqual([work]);
    const lines = unpaidLines(found, (account) => (account === b.beneficiary ? "worker-2" : undefined));
    expect(lines.filter((line) => line.startsWith("worker-2"))).toEqual([
      expect.stringMatching(new RegExp(`: nothing for epoch 1 \\(128 tokens\\): ${sentence}$`)),
    ]);
  });
});

it("work stays with the beneficiary that its receipts named, whomever the worker is paid for now", async () => {
  const { a, b } = await settled();
  const moved = harness.worker("32", { beneficiary: `0x${"de".repeat(20)}` });
  await moved.join({ issuedAt: BigInt(harness.clock.now() + 1) });
  await Promise.all([moved.train(), a.train()]);
  await until(() => harness.chain.heads.length === 3, "the second anchor");
  const { checkpoints } = await harness.client.checkpoints(runId);
  const digests = checkpoints.map(({ digest }) => asDigest(digest));
  const work = await workOf(blobSourceOf(harness.blobs), runId, digests);
  expect([...work.keys()].toSorted()).toEqual([a.beneficiary, b.beneficiary, moved.beneficiary].toSorted());
  expect(work.get(b.beneficiary)).toBe(128n);
  // The first payload of a was left out: it is in no checkpoint.
  const { tokens } = await harness.client.run(runId);
  expect([...work.values()].reduce((sum, each) => sum + each, 0n)).toBe(BigInt(tokens));
});

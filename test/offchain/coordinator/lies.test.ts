/** What an RPC said long enough to be believed, about roots and times, and what is left of it when it is over. */
import { asDigest, digestOfJson, type Hex } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it } from "vitest";

import { firstOpenRound } from "../../../offchain/src/coordinator/openRound.ts";
import { violationsOf } from "../../../offchain/src/coordinator/machine/invariants.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { refusalOf } from "../../../offchain/src/coordinator/machine/rules.ts";
import {
  coveredForAll,
  coveredHere,
  type EpochRecord,
  type HeadEntry,
  type RunState,
} from "../../../offchain/src/coordinator/machine/state.ts";
import { EPOCH } from "./fakeChain.ts";
import { attest, elapse, type Harness, openHarness, OPERATOR, runId, until, validators } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());
const state = (): RunState => harness.run.driver.state;
const inState = (wanted: EpochRecord["state"]): number[] =>
  state().epochs.flatMap((record) => (record.state === wanted ? [record.epoch] : []));
const rootOf = (epoch: number, root: Hex = digestOfJson("a root that never was")) => ({
  root,
  index: 1,
  total: 1n,
  fromEpoch: 1,
  epoch,
  activatableAt: 0,
  deadline: 0,
  digest: root,
  // Nothing of it is activated here.
  attestation: undefined as never,
});

/** A run with one round, at rest; @param from the epoch in which it was trained */
async function afterOneRound(from = 1) {
  harness = await openHarness();
  const workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  if (from > 1) {
    await elapse(harness, () => harness.clock.monotonic() > (from - 1) * EPOCH * 1_000, `epoch ${from}`);
    await until(() => state().openEpochs[1] === undefined, "the end of the first epoch");
    for (const worker of workers) await worker.join();
  }
  const [{ prepared }] = [await workers[0]!.train(), await workers[1]!.train()];
  await until(() => state().heads.length === 2 && state().heads[1]!.anchor !== null, "the anchor");
  await harness.client.control(runId, OPERATOR, { action: "pause" });
  return asDigest(prepared.header.fragments[0]!.digest);
}
const signed = async (): Promise<void> => {
  await elapse(harness, () => inState("collecting").length > 0, "the epoch");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
};

describe("a root of an epoch that never comes", () => {
  it.each(["active", "pending"] as const)(
    "that was said to be %s, with the time after it, holds up no epoch when that is over",
    async (name) => {
      await afterOneRound();
      const { chain } = harness;
      const honest = { ...chain };
      const years = 10 * 365 * 86_400;
      const far = Math.floor(years / EPOCH) - 5;
      chain.chainTime = async () => (await honest.chainTime()) + years;
      chain.settledTime = async () => (await honest.settledTime()) + years;
      chain[`${name}Root`] = async () => rootOf(far);
      const believed = { active: "active", pending: "posted" } as const;
      await elapse(harness, () => inState(believed[name]).includes(far), "the lie");
      chain.chainTime = () => honest.chainTime();
      chain.settledTime = () => honest.settledTime();
      chain[`${name}Root`] = async () => chain[name];
      await signed();
      await elapse(harness, () => state().settledEpoch === 1, "the activation");
      expect(chain.active).toMatchObject({ epoch: 1 });
    },
  );

  it("leaves an epoch that may still go on to its time, and computes those before it meanwhile", async () => {
    await afterOneRound();
    const [zero, one] = state().heads;
    const next = { ...one!, anchor: { ...one!.anchor!, epoch: 2 } };
    const before: RunState = { ...state(), heads: [zero!, next] };
    const { at } = before;
    const root = digestOfJson("root");
    const told = step(before, { type: "RootActivated", at, epoch: 9, root }).state;
    const over = step(told, { type: "RootReverted", at, epoch: 9, root, settledEpoch: 0 }).state;
    expect(over.openEpochs).toMatchObject({ 1: { over: true }, 2: { over: false } });
    expect(over.epochs.at(-1)).toMatchObject({ epoch: 1, state: "computing" });
    const timed = step(over, { type: "TimerFired", at, key: "setTimer/epoch/2", reports: {} }).state;
    expect(timed.openEpochs[2]).toMatchObject({ over: true });
    // What turns out to have nothing in it closes itself alone.
    const key = Object.keys(timed.pending).find((each) => each.startsWith("computeEpoch/1/"))!;
    const empty = step(timed, { type: "EpochComputed", at, key, epoch: 1, result: null }).state;
    expect(Object.keys(empty.openEpochs)).toEqual(["2"]);
    expect(empty.epochs.at(-1)).toMatchObject({ epoch: 2, state: "computing" });
  });
});

describe("what cannot be brought back", () => {
  it.each(["a root that never was", "the root that validators are asked to sign"])(
    "stays when an RPC says that %s is active",
    async (which) => {
      const payload = await afterOneRound();
      await elapse(harness, () => inState("collecting").length > 0, "the epoch");
      const { root } = state().epochs.at(-1)!;
      harness.chain.active = rootOf(1, which.startsWith("a root") ? undefined : root!);
      await elapse(harness, () => state().settledEpoch === 1, "the lie");
      harness.chain.active = undefined;
      await elapse(harness, () => state().settledEpoch === 0 && inState("collecting").length > 0, "its end");
      expect(await harness.blobs.has(payload)).toBe(true);
      expect(await harness.run.projections.payloadsBefore(1)).toContain(payload);
      // What is so is so.
      await signed();
      await elapse(harness, () => state().settledEpoch === 1, "the activation");
      await elapse(harness, async () => !(await harness.blobs.has(payload)), "the release");
    },
  );

  it("are payloads of a root that was signed here, while it can still be posted, and what decides about pay after that", async () => {
    const payload = await afterOneRound();
    const { chain } = harness;
    await elapse(harness, () => inState("collecting").length > 0, "the epoch");
    const { computed } = state().epochs.at(-1)!;
    const deadline = Number(computed!.attestation.deadline);
    // The RPC holds the posting's transaction back.
    chain.postRoot = () => new Promise(() => undefined);
    for (const validator of validators.slice(0, 2)) await attest(harness, validator);
    chain.active = rootOf(1, computed!.attestation.root);
    await elapse(harness, () => state().settledEpoch === 1, "the lie");
    const before = async () => (await chain.chainTime()) >= deadline - 2;
    await elapse(harness, before, "the deadline");
    expect(await harness.blobs.has(payload)).toBe(true);
    const covers = (covered: typeof coveredHere, epochs: readonly EpochRecord[] = state().epochs): boolean => {
      const told = { ...state(), epochs };
      return covered(told)(told.heads[1]!);
    };
    expect([covers(coveredHere), covers(coveredForAll)]).toEqual([true, false]);
    // One that validators signed upon it: for each of them, on a chain of its own, it was active.
    const [record] = state().epochs;
    const attestation = { ...computed!.attestation, epoch: "2", previousRoot: computed!.attestation.root };
    const next = { ...record!, epoch: 2, state: "collecting" as const, computed: { ...computed!, attestation } };
    expect(covers(coveredForAll, [record!, next])).toBe(true);
    expect(covers(coveredForAll, [record!, { ...next, signatures: [] }])).toBe(false);
    expect(covers(coveredHere, [{ ...record!, signatures: [] }])).toBe(false);
  });

  it("are payloads of heads behind the last one that an active root covers, in whichever epoch an RPC says they stand", async () => {
    await afterOneRound();
    await signed();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    const [zero, one] = state().heads;
    expect(state().epochs.at(-1)!.computed!.attestation.head).toBe(one!.head);
    const headOf = (sequence: number): HeadEntry => ({
      ...one!,
      sequence,
      round: sequence,
      head: digestOfJson(["head", sequence]) as unknown as HeadEntry["head"],
    });
    const told = { ...state(), round: 3, heads: [zero!, one!, headOf(2), headOf(3)] };
    // Each of them is said to stand in epoch 1, which the root covers.
    expect(firstOpenRound(told)).toBe(1);
    const many = { ...told, heads: [zero!, one!, ...Array.from({ length: 200 }, (_, i) => headOf(i + 2))] };
    const [record] = told.epochs;
    const attestation = { ...record!.computed!.attestation, previousRoot: record!.root! };
    const next = {
      ...record!,
      epoch: 2,
      state: "collecting" as const,
      computed: { ...record!.computed!, attestation },
    };
    const { at } = many;
    const known = { ...many, epochs: [record!, next] };
    const pruned = step(known, { type: "RootActivated", at, epoch: 2, root: next.root! }).state;
    // Of those that stay first is the first that no root covers.
    expect(pruned.heads.map(({ sequence }) => sequence).slice(0, 2)).toEqual([2, 3]);
  });

  it("are payloads of a run that has finished, but for those that a root of the next one covers", async () => {
    await afterOneRound();
    const { chain } = harness;
    const honest = { ...chain };
    const nextRun = `0x${"77".repeat(32)}` as const;
    let covered: Hex | undefined;
    chain.computeEpoch = async (...given) => {
      const result = await honest.computeEpoch(...given);
      if (result.kind === "nothing") return result;
      const { computation } = result;
      const head = digestOfJson("a head of the next run");
      covered = computation.manifest.head;
      const manifest = { ...computation.manifest, runId: nextRun, head, finished: [{ runId, head: covered }] };
      const attestation = { ...computation.attestation, runId: nextRun, head, epochDigest: digestOfJson(manifest) };
      return { kind: "computed", computation: { ...computation, manifest, attestation } };
    };
    await signed();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    expect(firstOpenRound(state())).toBe(1);
    const [record] = state().epochs;
    const { last, ...computed } = record!.computed!;
    expect(last).toBe(covered);
    expect(firstOpenRound({ ...state(), epochs: [{ ...record!, computed }] })).toBe(0);
  });

  it("are heads that no root of ours covers, and the verdicts about them", async () => {
    await afterOneRound();
    const [zero] = state().heads;
    const heads = Array.from({ length: 200 }, (_, i): HeadEntry => ({
      ...zero!,
      sequence: i,
      round: i,
      head: digestOfJson(["head", i]) as unknown as HeadEntry["head"],
      anchor: { ...zero!.anchor!, epoch: 2 + Math.floor(i / 20) },
    }));
    const verdicts = Object.fromEntries(heads.map(({ head }) => [head, { verdict: { head }, signature: "0x" }]));
    const before = { ...state(), heads, verdicts } as unknown as RunState;
    const { at } = before;
    const root = digestOfJson("root");
    const told = step(before, { type: "RootActivated", at, epoch: 12, root }).state;
    expect([told.settledEpoch, told.heads.length, Object.keys(told.verdicts).length]).toEqual([12, 200, 200]);
    expect(firstOpenRound(told)).toBe(0);
  });
});

it("what an RPC names in the place of a root that never was settles nothing", async () => {
  await afterOneRound();
  const { at } = state();
  const root = digestOfJson("root");
  const told = step(state(), { type: "RootActivated", at, epoch: 9, root }).state;
  const over = step(told, { type: "RootReverted", at, epoch: 9, root, settledEpoch: 7 }).state;
  expect(over).toMatchObject({ settledEpoch: 0, openEpochs: { 1: {} } });
});

it("a root that is posted stands when a lie about an earlier one ends", async () => {
  await afterOneRound(2);
  await elapse(harness, () => inState("collecting").length > 0, "the epoch");
  const { chain } = harness;
  // The RPC holds the posting's transaction back.
  chain.postRoot = () => new Promise(() => undefined);
  await signed();
  const { epoch, computed } = state().epochs.at(-1)!;
  expect(epoch).toBe(2);
  chain.active = rootOf(1);
  await elapse(harness, () => state().settledEpoch === 1, "the lie");
  chain.pending = { ...rootOf(2, computed!.attestation.root), activatableAt: state().at / 1_000 + 3_600 };
  await elapse(harness, () => inState("posted").includes(2), "the posted root");
  chain.active = undefined;
  await elapse(harness, () => state().settledEpoch === 0, "the end of the lie");
  expect(inState("posted")).toEqual([2]);
  expect(violationsOf(state())).toEqual([]);
  await harness.restart();
  expect(Object.keys(state().pending)).toContainEqual(expect.stringMatching(/^activateRoot\/2\//));
});

it("a time that was believed of one head holds up none after it", async () => {
  harness = await openHarness();
  const { chain } = harness;
  const honest = { ...chain };
  // Of the same epoch: no reason to anchor it anew.
  chain.chainTime = async () => (await honest.chainTime()) + 10;
  chain.headsSince = async (...asked) =>
    (await honest.headsSince(...asked)).map((each) =>
      each.sequence === 1 ? { ...each, anchoredAt: each.anchoredAt + 10 } : each,
    );
  const workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  for (const worker of workers) await worker.train();
  await until(() => state().heads[1]?.anchor != null, "the lie");
  chain.chainTime = () => honest.chainTime();
  chain.headsSince = (...asked) => honest.headsSince(...asked);
  for (const worker of workers) await worker.train();
  await elapse(harness, () => state().heads[2]?.anchor != null, "the next anchor");
  expect(state().heads[2]!.anchor!.anchoredAt).toBeLessThan(state().heads[1]!.anchor!.anchoredAt);
});

it("of two lies about roots that end at once none stays", async () => {
  await afterOneRound();
  const { at } = state();
  const [first, second] = [digestOfJson("first"), digestOfJson("second")];
  const one = step(state(), { type: "RootActivated", at, epoch: 7, root: first }).state;
  const two = step(one, { type: "RootActivated", at, epoch: 8, root: second }).state;
  const less = step(two, { type: "RootReverted", at, epoch: 8, root: second, settledEpoch: 0 }).state;
  const lost = { type: "RootReverted", epoch: 7, root: first, settledEpoch: 0 } as const;
  expect(refusalOf(less, lost)).toBeNull();
  const none = step(less, { ...lost, at }).state;
  expect(none).toMatchObject({ settledEpoch: 0, openEpochs: { 1: {} } });
  expect(none.epochs.filter((each) => each.state === "active" || each.state === "posted")).toEqual([]);
  expect(violationsOf(none)).toEqual([]);
});

describe("a time that an RPC names", () => {
  it("while an epoch is computed, and its deadline with it, is waited for no longer than validators would sign it", async () => {
    await afterOneRound();
    const { chain } = harness;
    const honest = { ...chain };
    const far = BigInt(10 ** 9);
    chain.computeEpoch = async (...asked) => {
      const result = await honest.computeEpoch(...asked);
      if (result.kind === "nothing") return result;
      const { attestation, ...computation } = result.computation;
      const late = { ...attestation, deadline: attestation.deadline + far };
      return { kind: "computed", computation: { ...computation, attestation: late } };
    };
    await elapse(harness, () => inState("collecting").length > 0, "the epoch");
    chain.computeEpoch = (...asked) => honest.computeEpoch(...asked);
    // Which no validator signs.
    await elapse(harness, () => inState("superseded").length > 0, "the next computation");
    await signed();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    expect(chain.active).toMatchObject({ epoch: 1 });
  });

  it("at which a root that was posted may be activated is waited for no longer than its window", async () => {
    await afterOneRound();
    const { chain } = harness;
    const honest = { ...chain };
    chain.postRoot = async (...asked) => {
      const { root, ...posting } = await honest.postRoot(...asked);
      return { ...posting, root: { ...root, activatableAt: (root.activatableAt ?? 0) + 10 ** 9 } };
    };
    await signed();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    expect(chain.active).toMatchObject({ epoch: 1 });
  });
});

it("a head whose time was too early, in an epoch that is settled, is paid in its own", async () => {
  await afterOneRound();
  await signed();
  await elapse(harness, () => state().settledEpoch === 1, "the activation");
  const { chain } = harness;
  const honest = { ...chain };
  const early = (await chain.schedule(state().facts.modelId)).start + EPOCH - 1;
  chain.headsSince = async (...asked) =>
    (await honest.headsSince(...asked)).map((each) => (each.sequence === 2 ? { ...each, anchoredAt: early } : each));
  await harness.client.control(runId, OPERATOR, { action: "resume" });
  const workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  for (const worker of workers) await worker.train();
  await until(() => state().heads[2]?.anchor != null, "the anchor");
  await harness.client.control(runId, OPERATOR, { action: "pause" });
  expect([state().heads[2]!.anchor!.epoch, state().openEpochs]).toEqual([1, {}]);
  chain.headsSince = (...asked) => honest.headsSince(...asked);
  await elapse(harness, () => (state().heads[2]!.anchor?.epoch ?? 0) > 1, "its own epoch");
  await signed();
  await elapse(harness, () => state().settledEpoch > 1, "the activation");
});

describe("the time of a head's block", () => {
  it.each([
    ["after the newest block's", 10 * 365 * 86_400],
    ["before that of the head before", -3_600],
  ])("that lies %s is not written down: the epoch is paid", async (_, shift) => {
    harness = await openHarness();
    const { chain } = harness;
    const honest = { ...chain };
    const forgotten: (number | undefined)[] = [];
    chain.headsSince = async (...asked) =>
      (await honest.headsSince(...asked)).map((head) =>
        head.sequence === 0 ? head : { ...head, anchoredAt: head.anchoredAt + shift },
      );
    chain.forget = (_of, block) => {
      forgotten.push(block);
      chain.headsSince = (...asked) => honest.headsSince(...asked);
    };
    const workers = [harness.worker("31"), harness.worker("32")];
    for (const worker of workers) await worker.join();
    for (const worker of workers) await worker.train();
    await elapse(harness, () => state().heads[1]?.anchor != null, "the anchor");
    // Of a time that is not there yet, which a node that lags says of the newest head, nothing before it is read anew.
    expect(forgotten).toEqual([shift > 0 ? state().heads[1]!.anchor!.block : 0]);
    expect(state().heads[1]!.anchor).toMatchObject({ epoch: 1 });
    await harness.client.control(runId, OPERATOR, { action: "pause" });
    await signed();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
  });
});

/** What an RPC said long enough to be believed, about roots and times, and what is left of it when it is over. */
import { asDigest, digestOfJson, type Hex } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it } from "vitest";

import { firstOpenRound } from "../../../offchain/src/coordinator/projections.ts";
import { violationsOf } from "../../../offchain/src/coordinator/machine/invariants.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { refusalOf } from "../../../offchain/src/coordinator/machine/rules.ts";
import type { EpochRecord, HeadEntry, RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { EPOCH } from "./fakeChain.ts";
import { attest, elapse, type Harness, openHarness, OPERATOR, runId, until, validators } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());
const state = (): RunState => harness.run.driver.state;
const inState = (wanted: EpochRecord["state"]): number[] =>
  state().epochs.flatMap((record) => (record.state === wanted ? [record.epoch] : []));
const rootOf = (epoch: number, root: Hex = digestOfJson("a root that never was")) => ({
  root,
  totalCumulative: 1n,
  epoch,
  activatableAt: 0,
  deadline: 0,
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
  chain.chainTime = async () => (await honest.chainTime()) + 3_600;
  chain.headsSince = async (...asked) =>
    (await honest.headsSince(...asked)).map((each) =>
      each.sequence === 1 ? { ...each, anchoredAt: each.anchoredAt + 3_600 } : each,
    );
  const workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  for (const worker of workers) await worker.train();
  await elapse(harness, () => state().heads[1]?.anchor != null, "the lie");
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

describe("the time of a head's block", () => {
  it.each([
    ["after the newest block's", 10 * 365 * 86_400],
    ["before that of the head before", -3_600],
  ])("that lies %s is not written down: the epoch is paid", async (_, shift) => {
    harness = await openHarness();
    const { chain } = harness;
    const honest = { ...chain };
    let forgotten = 0;
    chain.headsSince = async (...asked) =>
      (await honest.headsSince(...asked)).map((head) => ({ ...head, anchoredAt: head.anchoredAt + shift }));
    chain.forget = () => {
      forgotten += 1;
      chain.headsSince = (...asked) => honest.headsSince(...asked);
    };
    const workers = [harness.worker("31"), harness.worker("32")];
    for (const worker of workers) await worker.join();
    for (const worker of workers) await worker.train();
    await elapse(harness, () => state().heads[1]?.anchor != null, "the anchor");
    expect([forgotten, state().heads[1]!.anchor]).toMatchObject([1, { epoch: 1 }]);
    await harness.client.control(runId, OPERATOR, { action: "pause" });
    await signed();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
  });
});

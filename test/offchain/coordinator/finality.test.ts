/** What the chain says of things that are for ever is believed when it lasts, not when it is said once. */
import { afterEach, describe, expect, it } from "vitest";

import { digestOfJson, zeroHash } from "@cotrain/sdk/protocol";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import type { RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { activateRoot, computeEpoch } from "../../../offchain/src/coordinator/settlement.ts";
import type { FakeChain } from "./fakeChain.ts";
import { elapse, type Harness, openHarness, openPair, params } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

async function two(): Promise<void> {
  ({ harness } = await openPair());
}
const state = () => harness.run.driver.state;
/** What an effect is begun with. */
const context = () => ({ state: state(), signal: new AbortController().signal });

/** Answers in place of the chain; each look asks once. @param times how often, for ever if not said */
function lie<K extends "runStatus" | "paramsInForce" | "activeRoot" | "pendingRoot">(
  name: K,
  answer: FakeChain[K],
  times = Infinity,
): { asked: number } {
  const honest = harness.chain[name];
  const told = { asked: 0 };
  harness.chain[name] = ((...args: [never]) =>
    told.asked++ < times ? answer(...args) : honest(...args)) as FakeChain[K];
  return told;
}
const looks = (told: { readonly asked: number }, count: number) =>
  elapse(harness, () => told.asked >= count, "looks at the chain");
const finished = () => Promise.resolve(2);
const computing = ({ epochs }: RunState) => epochs.filter(({ state: now }) => now === "computing");

describe("what the chain says of things that are for ever", () => {
  it("is not believed when it was said once", async () => {
    await two();
    const lies = [
      lie("runStatus", finished, 1),
      lie("paramsInForce", async () => ({ version: 7, params }), 1),
      lie(
        "activeRoot",
        async () => ({
          root: zeroHash,
          index: 1,
          total: 1n,
          fromEpoch: 1,
          epoch: 4_000_000_000,
          activatableAt: 0,
          deadline: 0,
        }),
        1,
      ),
    ];
    for (const told of lies) await looks(told, 4);
    expect(state()).toMatchObject({ finished: false, nextParams: null, paramsVersion: 1, settledEpoch: 0 });
    harness.chain.changeParams({ innerLrPpb: 1_000_000 });
    await elapse(harness, () => state().nextParams !== null, "the change that was decided");
    expect(state().nextParams).toMatchObject({ version: 2, params: { innerLrPpb: 1_000_000 } });
  });

  it("is believed as long as it is said of an active root; then what that would have covered is computed", async () => {
    await two();
    const { heads, at } = state();
    const [zero] = heads;
    if (!zero?.anchor) throw new TypeError("checkpoint 0 is anchored");
    const { epoch } = zero.anchor;
    const root = digestOfJson("root");
    const told = { type: "RootActivated", at, epoch: epoch + 5, root } as const;
    const believed = step({ ...state(), settledEpoch: epoch - 1 }, told).state;
    expect([believed.settledEpoch, believed.openEpochs]).toEqual([epoch + 5, {}]);
    const lost = step(believed, { type: "RootReverted", at, epoch: epoch + 5, root, settledEpoch: epoch - 1 }).state;
    expect(computing(lost)).toEqual([]);
    // Whose end nobody knows any more: it is asked for.
    const next = step(lost, { type: "TimerFired", at, key: `setTimer/epoch/${epoch}`, reports: {} }).state;
    expect(computing(next)).toMatchObject([{ epoch }]);
    const end = Object.keys(next.pending).find((each) => each.startsWith(`computeEpoch/${epoch}/`))!;
    expect(step(next, { type: "EpochComputed", at, key: end, epoch, result: null }).state.openEpochs).toEqual({});
  });

  it("or that stop it, is not believed when it was said once: a pause, its end, a root that is pending", async () => {
    await two();
    // The first two epochs are over, and nothing of them is left to compute.
    await elapse(harness, () => harness.clock.monotonic() >= 40_000 && state().openEpochs[1] === undefined, "epochs");
    const paused = lie("runStatus", () => Promise.resolve(1), 1);
    const root = {
      root: digestOfJson("root"),
      index: 1,
      total: 1n,
      fromEpoch: 1,
      epoch: 2,
      activatableAt: 0,
      deadline: 0,
      digest: zeroHash,
      attestation: undefined as never,
    };
    const posted = lie("pendingRoot", async () => root, 1);
    const seen: boolean[] = [];
    await elapse(
      harness,
      () => {
        seen.push(state().pausedBy.chain || state().epochs.some((each) => each.root === root.root));
        return paused.asked >= 4 && posted.asked >= 4;
      },
      "looks at the chain",
    );
    expect(new Set(seen)).toEqual(new Set([false]));
    harness.chain.status = 1;
    await elapse(harness, () => state().pausedBy.chain, "the pause");
    const opened = lie("runStatus", () => Promise.resolve(0), 1);
    const still: boolean[] = [];
    await elapse(harness, () => still.push(state().pausedBy.chain) > 0 && opened.asked >= 4, "looks at the chain");
    expect(new Set(still)).toEqual(new Set([true]));
  });

  it.each(["activeRoot", "pendingRoot"] as const)(
    "is not believed by who computes an epoch, or has a root activated: %s",
    async (name) => {
      await two();
      const root = {
        root: zeroHash,
        index: 1,
        total: 1n,
        fromEpoch: 1,
        epoch: 4_000_000_000,
        activatableAt: 0,
        deadline: 0,
        digest: zeroHash,
        attestation: undefined as never,
      };
      lie(name, async () => root, 1);
      const computed = computeEpoch(
        harness.run,
        { kind: "computeEpoch", key: "computeEpoch/1/1", epoch: 1 },
        context(),
      );
      await expect(computed).rejects.toMatchObject({ code: "CHAIN_MOVED", retryable: true });
      harness.chain.activateRoot = async () => ({ transaction: null, block: null, root });
      const activated = activateRoot(harness.run, { kind: "activateRoot", key: "activateRoot/1/0", epoch: 1, due: 0 });
      await expect(activated).rejects.toMatchObject({ code: "CHAIN_MOVED", retryable: true });
    },
  );

  it("at the first start is not believed when it was said once: what is in force, or what a version holds", async () => {
    const other = { ...params, innerLrPpb: 1_000_000 };
    const paramsInForce = () => Promise.resolve({ version: 7, params: other });
    harness = await openHarness({ chain: (made) => Object.assign(made, { paramsInForce }) });
    expect(state()).toMatchObject({ paramsVersion: 1, nextParams: null, params: { innerLrPpb: params.innerLrPpb } });
    const answers = [other, params];
    const paramsOf = () => Promise.resolve(answers.shift()!);
    const opening = openHarness({ chain: (made) => Object.assign(made, { paramsOf }) });
    await expect(opening).rejects.toMatchObject({ code: "CHAIN_MOVED" });
  });

  it("is not believed of one block, nor before its confirmations", async () => {
    await two();
    const tip = harness.chain.tip.bind(harness.chain);
    const settledTime = harness.chain.settledTime.bind(harness.chain);
    harness.chain.tip = async () => ({ ...(await tip()), block: 200 });
    const told = lie("runStatus", finished);
    await looks(told, 6);
    expect(state().finished).toBe(false);
    harness.chain.settledTime = () => Promise.resolve(0);
    harness.chain.tip = async () => {
      const newest = await tip();
      return { ...newest, block: 200 + newest.block };
    };
    await looks(told, 12);
    expect(state().finished).toBe(false);
    harness.chain.settledTime = settledTime;
    await elapse(harness, () => state().finished, "the end");
  });

  it("is believed after a minute where no blocks come", async () => {
    await two();
    const tip = harness.chain.tip.bind(harness.chain);
    harness.chain.tip = async () => ({ ...(await tip()), block: 200 });
    const told = lie("runStatus", finished);
    await elapse(harness, () => state().finished, "the end");
    expect(told.asked).toBeGreaterThan(30);
  });

  it("is never believed where it cannot be: more versions than blocks", async () => {
    await two();
    const told = lie("paramsInForce", async () => ({ version: 4_000_000_000, params }));
    await looks(told, 6);
    expect(state()).toMatchObject({ nextParams: null, paramsVersion: 1 });
  });
});

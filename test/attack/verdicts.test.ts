/** One validator of three against the coordinator: what it says, how often, and when. */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  drawnFragment,
  digestOfJson,
  HELD_OUT_TURN_MS,
  sortitionSeed,
  measuringOrder,
  type Verdict,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, expect, it } from "vitest";

import { RetryableError } from "../../offchain/src/base/index.ts";
import { computeEpoch } from "../../offchain/src/coordinator/settlement.ts";
import {
  elapse,
  type Harness,
  lower,
  openHarness,
  runId,
  type TestWorker,
  until,
  validators,
  verdictOf,
} from "../offchain/coordinator/harness.ts";

const HOUR = 3_600_000;
const [liar, ...others] = validators;
let harness: Harness;
let workers: TestWorker[];
const head = () => harness.run.driver.state.heads.at(-1)!;

beforeEach(async () => {
  harness = await openHarness();
  workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  await train(1);
});
afterEach(() => harness.close());

async function train(round: number): Promise<void> {
  for (const worker of workers) await worker.train();
  await until(() => head().round === round && head().anchor !== null, "the anchored checkpoint");
}

async function say(change: Partial<Verdict>, validator = liar!): Promise<string> {
  try {
    await harness.client.submitVerdict(runId, await verdictOf(harness, validator, change));
    return "accepted";
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return error.code;
  }
}
const drawnBy = (validator: typeof liar): number => {
  const block = harness.chain.heads.at(-1)!.block + 2;
  return drawnFragment(sortitionSeed(digestOfJson(block), head().head, lower(validator!.address)), 4);
};

const anEpochToAttest = async (): Promise<boolean> =>
  (await harness.client.epochs(runId)).epochs.some(({ state }) => state === "collecting");

const heldOut = async () => (await harness.client.run(runId)).loss.heldOut;

/** In the order in which they are to measure the head. */
const inTurn = () =>
  measuringOrder(
    head().head,
    validators.map(({ address }) => lower(address)),
  ).map((address) => validators.find((each) => lower(each.address) === address)!);

const away = async (): Promise<never> => {
  throw new RetryableError("CHAIN_UNREACHABLE", "The chain is away.");
};

/** Requires that an epoch, of a chain that is away by then, is computed without waiting for anybody. */
async function computedAtOnce(epoch: number): Promise<void> {
  // No time passes from here on: who waited would ask for some.
  const asleep = harness.clock.sleep.bind(harness.clock);
  Object.assign(harness.clock, { sleep: () => Promise.reject(new RangeError("waits anew")) });
  const context = { state: harness.run.driver.state, signal: new AbortController().signal };
  const computed = computeEpoch(harness.run, { kind: "computeEpoch", key: "again", epoch }, context);
  await expect(computed).rejects.toMatchObject({ code: "CHAIN_UNREACHABLE" });
  Object.assign(harness.clock, { sleep: asleep });
}

it("a validator has so many verdicts about a head, whatever it says", async () => {
  const [first] = inTurn();
  for (let kind = 0; kind < 8; kind++)
    for (const index of [0, 1, 2, 3, 4, 8, 63, 64, 65, 100, 512, 2 ** 31])
      for (const worker of [`0x${"0".repeat(40)}`, ...validators.map(({ address }) => lower(address))] as const)
        for (const value of [0n, 10_000n]) await say({ kind, index, worker, value }, first);
  const kept = Object.values(harness.run.driver.state.verdicts).map(({ verdict }) => verdict.kind);
  // What it drew, two samples of the held-out text, and what each of the two others drew.
  expect(kept.toSorted((a, b) => a - b)).toEqual([3, 4, 4, 5, 5]);
});

it("a verdict for each computation of an epoch does not keep it from being attested", async () => {
  const honest = harness.chain.computeEpoch.bind(harness.chain);
  const waiting = [liar!, ...others].map(
    (validator) => () => say({ kind: 3, index: drawnBy(validator), value: 10_000n }, validator),
  );
  const said: string[] = [];
  Object.assign(harness.chain, {
    computeEpoch: async (...given: Parameters<typeof honest>) => {
      const result = await honest(...given);
      // What takes a moment in truth: meanwhile the next statement arrives.
      const next = waiting.pop();
      if (next) said.push(await next());
      return result;
    },
  });
  await elapse(harness, anEpochToAttest, "an epoch to attest");
  expect(said).toEqual(["accepted", "accepted"]);
});

it.each([0, HOUR, -HOUR])(
  "a lone early 0 does not reject an epoch's last head: others are heard first (clock set by %i ms)",
  async (step) => {
    const honest = harness.chain.computeEpoch.bind(harness.chain);
    const counted: number[] = [];
    Object.assign(harness.chain, {
      computeEpoch: async (...given: Parameters<typeof honest>) => {
        const result = await honest(...given);
        counted.push(given[0].verdicts.filter(({ verdict }) => verdict.kind === verdictKind.aggregate).length);
        return result;
      },
    });
    expect(await say({ kind: 3, index: drawnBy(liar), value: 0n })).toBe("accepted");
    // Who has measured a loss has not spoken about the head yet.
    for (const validator of inTurn()) expect(await say({}, validator)).toBe("accepted");
    const { epoch } = head().anchor!;
    await elapse(harness, () => harness.run.driver.state.epochs.some(({ state }) => state === "computing"), "its end");
    const end = await harness.chain.epochEnd(harness.run.facts.modelId, epoch);
    await until(() => harness.clock.now() >= end * 1_000);
    await until(() => harness.clock.sleepers > 0, "those who are waited for");
    harness.clock.step(step);
    await harness.clock.advance(1_000);
    expect(counted).toEqual([]);
    for (const validator of others)
      expect(await say({ kind: 3, index: drawnBy(validator), value: 10_000n }, validator)).toBe("accepted");
    await elapse(harness, () => counted.length > 0, "what is counted");
    expect(counted[0]).toBe(3);
  },
);

it("nor does who never speaks hold it up, also where the clock is set back meanwhile", async () => {
  expect(await say({ kind: 3, index: drawnBy(liar), value: 0n })).toBe("accepted");
  await elapse(harness, () => harness.run.driver.state.epochs.some(({ state }) => state === "computing"), "its end");
  harness.clock.step(-HOUR);
  await elapse(harness, anEpochToAttest, "an epoch to attest");
  const end = await harness.chain.epochEnd(harness.run.facts.modelId, head().anchor!.epoch);
  // A quarter of a posting delay of twelve seconds.
  expect(harness.clock.now() + HOUR).toBeGreaterThanOrEqual((end + 3) * 1_000);
  expect(harness.clock.now() + HOUR).toBeLessThanOrEqual((end + 15) * 1_000);
});

it("nor does each try to compute the epoch wait for it anew", async () => {
  expect(await say({ kind: 3, index: drawnBy(liar), value: 0n })).toBe("accepted");
  let tries = 0;
  Object.assign(harness.chain, {
    computeEpoch: async () => {
      tries += 1;
      await away();
    },
  });
  await elapse(harness, () => tries > 0, "the first try");
  await computedAtOnce(head().anchor!.epoch);
});

it("nor a 0 for a head of a later epoch", async () => {
  expect(await say({ kind: 3, index: drawnBy(liar), value: 0n })).toBe("accepted");
  Object.assign(harness.chain, { computeEpoch: away });
  await computedAtOnce(head().anchor!.epoch - 1);
});

it("nor a 0 for a head that was rolled back", async () => {
  await train(2);
  expect(await say({ kind: 3, index: drawnBy(liar), value: 0n })).toBe("accepted");
  harness.chain.back(1);
  await elapse(harness, () => harness.run.driver.state.rollbacks === 1, "the rollback");
  Object.assign(harness.chain, { computeEpoch: away });
  await computedAtOnce(head().anchor!.epoch);
});

it("nor what somebody said whom the holders have replaced", async () => {
  expect(await say({ kind: 3, index: drawnBy(liar), value: 0n })).toBe("accepted");
  const members = others.map(({ address }) => lower(address));
  harness.chain.validators = async () => ({ version: 2, validators: members, threshold: 2 });
  Object.assign(harness.chain, { computeEpoch: away });
  await computedAtOnce(head().anchor!.epoch);
});

it("a validator that is quick to claim a loss keeps nobody else from measuring, and is not what is shown", async () => {
  const [first, second, third] = inTurn();
  expect([await say({ value: 1n }, third), await say({ index: 100, value: 1n }, third)]).toEqual([
    "OUT_OF_TURN",
    "OUT_OF_TURN",
  ]);
  expect(await heldOut()).toBeNull();
  expect(await say({ value: 2_000_000n }, first)).toBe("accepted");
  expect(await say({ index: 100, value: 1n }, third)).toBe("accepted");
  expect(await heldOut()).toMatchObject({ microBitsPerByte: 2_000_000, sequences: 64 });
  expect(await say({ value: 1_999_000n }, second)).toBe("accepted");
  expect(await heldOut()).toMatchObject({ microBitsPerByte: 1_999_000, sequences: 64 });
});

it.each([0, HOUR, -HOUR])(
  "nor is one that is silent waited for without end, or less (clock set by %i ms)",
  async (step) => {
    const [, next] = inTurn();
    harness.clock.step(step);
    expect(await say({}, next)).toBe("OUT_OF_TURN");
    await harness.clock.advance(HELD_OUT_TURN_MS.running);
    expect(await say({}, next)).toBe("accepted");
  },
);

it("and for less while the run rests", async () => {
  const [, next] = inTurn();
  harness.chain.status = 1;
  await elapse(harness, () => harness.run.driver.state.phase === "Paused", "the pause");
  await harness.clock.advance(HELD_OUT_TURN_MS.resting);
  expect(await say({}, next)).toBe("accepted");
});

it("and each further one waits as long again", async () => {
  const [, , last] = inTurn();
  await harness.clock.advance(2 * HELD_OUT_TURN_MS.running - 1_000);
  expect(await say({}, last)).toBe("OUT_OF_TURN");
  await harness.clock.advance(1_000);
  expect(await say({}, last)).toBe("accepted");
});

it("and whoever has spoken about another head opens no turn of this one", async () => {
  for (const validator of inTurn()) expect(await say({}, validator)).toBe("accepted");
  await train(2);
  const [, , third] = inTurn();
  expect(await say({}, third)).toBe("OUT_OF_TURN");
});

it("whom the holders have replaced is not heard any more five seconds later", async () => {
  const [first] = inTurn();
  const { validators: members } = await harness.chain.validators(harness.run.facts.modelId);
  expect(await say({}, first)).toBe("accepted");
  harness.chain.validators = async () => ({ version: 2, validators: members.slice(0, 2), threshold: 2 });
  const gone = validators.find(({ address }) => lower(address) === members[2])!;
  await harness.clock.advance(5_000);
  expect(await say({ index: 100 }, gone)).toBe("NOT_A_VALIDATOR");
});

/** When a worker stops and hands in a part: what of its time it keeps free for sending, by a clock that the test moves. */
import { describe, expect, test } from "vitest";

import { createSendingTimes, type SendingTimes } from "../../../offchain/src/worker/sendingTimes.ts";
import { train } from "../../../offchain/src/worker/training.ts";
import type { RoundWork } from "../../../offchain/src/worker/roundWork.ts";
import { createCommitment } from "../../../offchain/src/worker/index.ts";
import { createManualClock } from "../manualClock.ts";

interface Given {
  readonly sendings: SendingTimes;
  /** Ms for which the round waits. */
  readonly waits: number;
  /** Ms from which on a part counts; half of them where nothing is said. */
  readonly countsFrom?: number;
  /** Ms that each step takes. */
  readonly pace: (step: number) => number;
  readonly steps?: number;
}

/** @returns how many steps were done, and the ms that were left then */
async function trained({
  sendings,
  waits,
  countsFrom = waits / 2,
  pace,
  steps = 100,
}: Given): Promise<{ done: number; left: number }> {
  const clock = createManualClock();
  const trainer = {
    step: 0,
    train: async (
      { learningRates }: { learningRates: readonly number[] },
      onSteps: (newest: readonly { loss: number }[]) => void,
      { enough }: { enough: AbortSignal },
    ) => {
      let done = 0;
      for (; done < learningRates.length && !enough.aborted; done++) {
        await clock.advance(pace(done));
        onSteps([{ loss: 1 }]);
      }
      return done;
    },
  };
  const work = {
    assignment: { round: 1, batch: 1, sequence: 1, steps },
    context: { trainer, clock, leastSteps: 4, segmentSteps: 0, onEvent: () => undefined },
    residual: [],
    progress: { round: 1, step: 0, newest: [], tokensPerSecond: null, uploading: false },
    timeLeft: () => (clock.monotonic() < countsFrom ? undefined : waits - clock.monotonic()),
    sendings,
    signal: new AbortController().signal,
  } as unknown as RoundWork;
  const inner = { tokens: new Uint16Array(steps), learningRates: Array.from({ length: steps }, () => 1e-3) };
  const { done } = await train(work, inner, createCommitment());
  return { done, left: waits - clock.monotonic() };
}

/** Sendings of rounds whose steps took 100 ms. */
function sent(...times: readonly number[]): SendingTimes {
  const sendings = createSendingTimes();
  for (const ms of times) sendings.took(ms, 100);
  return sendings;
}
const slowFrom60 = (step: number): number => (step < 60 ? 100 : 2_000);
const steady = (ms: number) => (): number => ms;

describe("the time that is kept free for sending", () => {
  test("is half as much again as sending took, and a step with it", async () => {
    // 10 s of work where there are 9: a sending of 1 s begins with 1.5 s left at least, and not a step earlier than needed.
    expect(await trained({ sendings: sent(1_000), waits: 9_000, pace: steady(100) })).toEqual({
      done: 74,
      left: 1_600,
    });
    expect(await trained({ sendings: sent(2_000), waits: 9_000, pace: steady(100) })).toEqual({
      done: 59,
      left: 3_100,
    });
  });

  test("is never more than half of the work's time, whatever sending took", async () => {
    const late = { sendings: sent(60_000), waits: 9_000, pace: steady(100) };
    expect(await trained(late)).toEqual({ done: 45, left: 4_500 });
    expect(await trained({ ...late, countsFrom: 0 })).toEqual({ done: 44, left: 4_600 });
  });

  test("takes nothing from work that can be done beside it", async () => {
    expect(await trained({ sendings: sent(2_000), waits: 13_100, pace: steady(100) })).toMatchObject({ done: 100 });
    expect(await trained({ sendings: sent(2_000), waits: 12_000, pace: steady(100) })).toMatchObject({ done: 89 });
  });

  test("grows with a machine that is slower than when sending was measured, four times at most", async () => {
    expect(await trained({ sendings: sent(1_000), waits: 20_000, pace: steady(200), steps: 200 })).toMatchObject({
      left: 3_200,
    });
    expect(await trained({ sendings: sent(1_000), waits: 40_000, pace: steady(1_000) })).toMatchObject({ left: 7_000 });
  });

  test("leaves the steps from which on a payload is compared, however late that is", async () => {
    expect(await trained({ sendings: sent(100), waits: 3_000, pace: steady(1_000) })).toEqual({
      done: 4,
      left: -1_000,
    });
    expect(await trained({ sendings: sent(100), waits: 3_000, pace: steady(2_000), steps: 3 })).toMatchObject({
      done: 3,
    });
  });

  test("begins earlier where steps grow slow in the middle of the round", async () => {
    // 60 steps in 6 s, then 2 s for each, of 12 s: the mean of all is far below what the next one takes.
    const { left } = await trained({ sendings: sent(100), waits: 12_000, pace: slowFrom60 });
    expect(left).toBeGreaterThanOrEqual(2_000);
  });
});

describe("what sending takes", () => {
  test("is guessed until it was measured, and by what preparing took where that was longer", () => {
    const sendings = createSendingTimes();
    expect(sendings.expected(100)).toBe(3_000);
    sendings.prepared(20_000);
    expect(sendings.expected(100)).toBe(20_000);
    sendings.took(500, 100);
    expect(sendings.expected(100)).toBe(500);
  });

  test("is the middle of the last three, so that one that hung says nothing of the next", () => {
    expect(sent(1_000, 60_000).expected(100)).toBe(60_000);
    expect(sent(1_000, 60_000, 1_200).expected(100)).toBe(1_200);
    expect(sent(60_000, 1_000, 1_200, 1_100).expected(100)).toBe(1_100);
  });

  test("is at least what one took that was cut off, at once", () => {
    const sendings = sent(1_000, 1_000, 1_000);
    sendings.cut(7_000, 100);
    expect(sendings.expected(100)).toBe(7_000);
    // One that was refused before it had begun tells nothing.
    sendings.cut(10, 100);
    expect(sendings.expected(100)).toBe(7_000);
  });
});

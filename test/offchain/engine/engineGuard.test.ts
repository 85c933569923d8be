/** For how long an engine may be silent, by what its steps took and by what cannot be stopped; in simulated time. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createEngineGuard } from "../../../offchain/src/engine/index.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LIMITS = { silence: 1_000, answer: 1_000, close: 1_000, stop: 200, conformance: 1_000 };
const never = () => new Promise<never>(() => undefined);

/** After how many ms whoever holds so many fp32 numbers and does not give them back is given up. */
async function readUntil(numbers: number): Promise<number> {
  const guard = createEngineGuard(LIMITS, new AbortController().signal, { held: [{ shape: [numbers / 10, 10] }] });
  const began = Date.now();
  const ended = guard.answered(never).catch(() => Date.now() - began);
  await vi.advanceTimersByTimeAsync(100_000);
  return ended;
}

/** After how many ms a training that says nothing is given up. */
async function givenUpAfter({ stepMs = 0, blockMs = 0, stopped = false }): Promise<number> {
  const stop = new AbortController();
  const guard = createEngineGuard(LIMITS, new AbortController().signal, { held: [], blockMs });
  guard.measured(stepMs);
  const began = Date.now();
  const ended = guard.trained(never, stop.signal).catch(() => Date.now() - began);
  if (stopped) stop.abort();
  await vi.advanceTimersByTimeAsync(100_000);
  return ended;
}

test("one that trains has the limit, or twenty of its steps where that is more", async () => {
  expect(await givenUpAfter({})).toBe(1_000);
  expect(await givenUpAfter({ stepMs: 50 })).toBe(1_000);
  expect(await givenUpAfter({ stepMs: 200 })).toBe(4_000);
});

test("one that is to stop has the limit, or three of its steps, or of what nothing stops", async () => {
  expect(await givenUpAfter({ stopped: true })).toBe(200);
  expect(await givenUpAfter({ stopped: true, stepMs: 100 })).toBe(300);
  expect(await givenUpAfter({ stopped: true, blockMs: 200 })).toBe(600);
  expect(await givenUpAfter({ stopped: true, blockMs: 200, stepMs: 300 })).toBe(900);
  // Unless it is silent for longer than any that trains.
  expect(await givenUpAfter({ stopped: true, blockMs: 5_000 })).toBe(1_000);
});

test("one that gives its state back has the limit, or a millisecond for 30 kB where that is more", async () => {
  expect(await readUntil(1_000)).toBe(1_000);
  expect(await readUntil(30_000_000)).toBe(4_000);
});

/** After how many ms one that never closes is given up. @param stopAt when whoever closes it is told to stop, ms */
const closedAfter = async (stopAt?: number): Promise<number> => {
  const stopped = new AbortController();
  const guard = createEngineGuard({ ...LIMITS, close: 5_000 }, stopped.signal, { held: [] });
  const began = Date.now();
  const ended = guard.closed(never).then(
    () => 0,
    () => Date.now() - began,
  );
  if (stopAt !== undefined) {
    await vi.advanceTimersByTimeAsync(stopAt);
    stopped.abort();
  }
  await vi.advanceTimersByTimeAsync(100_000);
  return ended;
};

test("one that closes has the limit, and a second once whoever closes it is to stop", async () => {
  expect(await closedAfter()).toBe(5_000);
  expect(await closedAfter(0)).toBe(1_000);
  expect(await closedAfter(2_000)).toBe(3_000);
});

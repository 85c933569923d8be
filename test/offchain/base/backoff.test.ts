/** Trying again: what is waited, and what ends it. */
import { CoordinatorError } from "@cotrain/sdk/errors";
import { describe, expect, test } from "vitest";

import { backoffBound, fullJitter, retrying, steady, UserError } from "../../../offchain/src/base/index.ts";
import { createManualClock } from "../manualClock.ts";

/** Fails some times, then succeeds. */
const failing = (times: number, error: Error) => () => (times-- > 0 ? Promise.reject(error) : Promise.resolve("done"));

describe("waiting between tries", () => {
  const options = { base: 100, maximum: 1_000 };
  test("is uniform below a bound that doubles up to a maximum", () => {
    expect([0, 1, 2, 3, 4, 60].map((attempt) => fullJitter(attempt, options, () => 0))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
    expect(fullJitter(3, options, () => 0.75)).toBe(200);
    expect(fullJitter(0, options, () => 0.999_999)).toBeGreaterThan(0);
  });

  test("tells what it waits and what it waits at most, which never falls", async () => {
    const clock = createManualClock();
    const told: number[][] = [];
    const away = new CoordinatorError(0, "UNREACHABLE", "Away.", { retryable: true });
    const draws = [0.9, 0, 0.95, 0.5, 0];
    const done = retrying(failing(5, away), {
      clock,
      backoff: options,
      random: () => draws[told.length] ?? 0,
      signal: new AbortController().signal,
      onRetry: (_error, waitMs, withinMs) => void told.push([waitMs, withinMs]),
    });
    for (let i = 0; i < 10; i++) await clock.advance(1_000);
    await done;
    expect(told.map(([, withinMs]) => withinMs)).toEqual([100, 200, 400, 800, 1_000]);
    expect(told.every(([waitMs = 0, withinMs = 0]) => waitMs <= withinMs)).toBe(true);
    expect(told[2]![0]).toBeLessThan(told[1]![0]!);
  });

  test("ends with what succeeds, what cannot be tried again, the last try, or the signal", async () => {
    const clock = createManualClock();
    const controller = new AbortController();
    const retry = { clock, backoff: options, random: () => 0, signal: controller.signal };
    const away = new CoordinatorError(0, "UNREACHABLE", "Away.", { retryable: true });
    const finished = async <T>(work: Promise<T>): Promise<T> => {
      work.catch(() => undefined);
      for (let i = 0; i < 10; i++) await clock.advance(1_000);
      return work;
    };
    await expect(finished(retrying(failing(3, away), retry))).resolves.toBe("done");
    await expect(finished(retrying(failing(1, new UserError("NO", "No.")), retry))).rejects.toThrow("No.");
    await expect(finished(retrying(failing(9, away), { ...retry, tries: 3 }))).rejects.toBe(away);
    const endless = retrying(failing(99, away), retry);
    endless.catch(() => undefined);
    await clock.advance(150);
    controller.abort(new UserError("STOPPED", "Stopped."));
    await expect(endless).rejects.toThrow("Stopped.");
  });

  test("ends with the first failure after its time, whatever the clock is set to", async () => {
    const clock = createManualClock();
    const away = new CoordinatorError(0, "UNREACHABLE", "Away.", { retryable: true });
    const retry = { clock, ...steady(500), signal: new AbortController().signal, within: 2_000 };
    let ended = Infinity;
    const work = retrying(failing(99, away), retry).finally(() => (ended = clock.monotonic()));
    work.catch(() => undefined);
    clock.step(3_600_000);
    for (let i = 0; i < 8; i++) await clock.advance(500);
    await expect(work).rejects.toBe(away);
    expect(ended).toBe(2_000);
    const soon = retrying(failing(3, away), retry);
    for (let i = 0; i < 4; i++) await clock.advance(500);
    await expect(soon).resolves.toBe("done");
  });

  test("is as long as its bound where nothing is drawn, or the same each time", () => {
    expect([0, 1, 3, 4, 1_000].map((attempt) => backoffBound(attempt, options))).toEqual([100, 200, 800, 1_000, 1_000]);
    const { backoff, random } = steady(70);
    expect([0, 5, 50].map((attempt) => fullJitter(attempt, backoff, random))).toEqual([70, 70, 70]);
  });

  test("that the signal ends while something is tried ends with the signal's reason", async () => {
    const controller = new AbortController();
    const stopped = new UserError("STOPPED", "Stopped.");
    const work = async () => {
      controller.abort(stopped);
      throw new CoordinatorError(0, "UNREACHABLE", "Away.", { retryable: true });
    };
    const clock = createManualClock();
    await expect(retrying(work, { clock, ...steady(1), signal: controller.signal })).rejects.toBe(stopped);
  });
});

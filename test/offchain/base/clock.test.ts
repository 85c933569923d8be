import { describe, expect, it } from "vitest";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { createManualClock } from "../manualClock.ts";

describe("manual clock", () => {
  it("wakes sleepers in the order of their deadlines, each at its own time", async () => {
    const clock = createManualClock(1000);
    const seen: string[] = [];
    const sleep = async (ms: number): Promise<void> => {
      await clock.sleep(ms);
      seen.push(`${ms}@${clock.now()}`);
    };
    const all = Promise.all([sleep(30), sleep(10), sleep(20), sleep(10)]);
    await clock.advance(25);
    expect(seen).toEqual(["10@1010", "10@1010", "20@1020"]);
    expect(clock.now()).toBe(1025);
    await clock.advance(5);
    await all;
    expect(seen.at(-1)).toBe("30@1030");
    expect(clock.sleepers).toBe(0);
  });

  it("lets a woken sleeper sleep again within one advance", async () => {
    const clock = createManualClock();
    const ticks: number[] = [];
    const loop = (async () => {
      for (let i = 0; i < 5; i++) {
        await clock.sleep(10);
        ticks.push(clock.now());
      }
    })();
    await clock.advance(50);
    await loop;
    expect(ticks).toEqual([10, 20, 30, 40, 50]);
  });

  it("forgets an aborted sleeper", async () => {
    const clock = createManualClock();
    const abort = new AbortController();
    const sleeping = clock.sleep(10, abort.signal);
    abort.abort(new Error("stop"));
    await expect(sleeping).rejects.toThrow("stop");
    expect(clock.sleepers).toBe(0);
  });
});

describe("system clock", () => {
  it("rejects an aborted sleep at once", async () => {
    const abort = new AbortController();
    const sleeping = systemClock.sleep(60_000, abort.signal);
    abort.abort(new Error("stop"));
    await expect(sleeping).rejects.toThrow("stop");
    await expect(systemClock.sleep(1, abort.signal)).rejects.toThrow("stop");
  });
});

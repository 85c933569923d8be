/** Limits by address, as a clock that nobody sets counts them. */
import fastify from "fastify";
import { afterEach, describe, expect, it, vi } from "vitest";

import { limitRates } from "../../../../offchain/src/service/http/rateLimits.ts";
import { rateWindows } from "../../../../offchain/src/service/http/rateWindows.ts";

afterEach(() => void vi.useRealTimers());

describe("requests of an address", () => {
  it.each([0, 3_600_000, -3_600_000])(
    "are counted anew after a minute, also where the clock is set by %i ms",
    async (by) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      let now = 1_000_000;
      const app = fastify();
      await limitRates(app, { remote: 2, loopback: 2, monotonic: () => now });
      app.get("/", () => "");
      const ask = async (): Promise<number> => (await app.inject({ url: "/" })).statusCode;
      expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 500]);
      vi.setSystemTime(Date.now() + by);
      now += 59_999;
      expect(await ask()).toBe(500);
      now += 1;
      expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 500]);
    },
  );
});

function openWindows(capacity: number) {
  const clock = { now: 1_000_000 };
  const store = new (rateWindows(() => clock.now, capacity))({});
  const ask = (key: string, of = store): { current: number; ttl: number } => {
    let found: { current: number; ttl: number } | undefined;
    of.incr(key, (_error, result) => (found = result), 60_000, 1);
    return found!;
  };
  return { clock, store, ask };
}

describe("windows", () => {
  it("are remembered of those who asked last, however many there are", () => {
    const { ask } = openWindows(2);
    for (const key of ["a", "b", "a", "c"]) ask(key);
    expect(ask("a").current).toBe(3);
    expect(ask("b").current).toBe(1);
  });

  it("say how long it is until they end", () => {
    const { clock, ask } = openWindows(2);
    expect(ask("a")).toEqual({ current: 1, ttl: 60_000 });
    clock.now += 59_000;
    expect(ask("a")).toEqual({ current: 2, ttl: 1_000 });
  });

  it("of one route's store do not count those of another's", () => {
    const { store, ask } = openWindows(2);
    ask("a");
    expect(ask("a", store.child({} as never)).current).toBe(1);
    expect(ask("a").current).toBe(2);
  });
});

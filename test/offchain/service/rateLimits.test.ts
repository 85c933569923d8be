/** Limits by address, as a clock that nobody sets counts them. */
import fastify from "fastify";
import { afterEach, describe, expect, it, vi } from "vitest";

import { limitRates } from "../../../offchain/src/service/rateLimits.ts";

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

/** Calls to a provider: what may be repeated, how long is waited, and what never leaves. */
import { describe, expect, test } from "vitest";

import { createApi } from "../../../offchain/src/market/base/api.ts";
import { createLimiter } from "../../../offchain/src/market/base/limiter.ts";
import { createManualClock, type ManualClock, passTime } from "../manualClock.ts";
import { fakeServer } from "./fakeServer.ts";

const NOW = 1_795_910_400_000;
const create = {
  method: "PUT",
  path: "/asks/1/",
  json: { image: "x" },
  endpoint: "create",
  repeatable: false,
} as const;
const read = { method: "GET", path: "/read", endpoint: "read", repeatable: true } as const;

async function reaching(timeout = 60_000) {
  const clock: ManualClock = createManualClock(NOW);
  const server = await fakeServer({
    routes: { "GET /read": () => ({ body: { ok: true } }), "PUT /asks/1/": () => ({ body: { ok: true } }) },
  });
  const ending = new AbortController();
  const options = {
    title: "Some provider",
    base: server.url,
    account: { headers: { authorization: "Bearer secret-key" }, secret: "secret-key" },
    refusals: [{ status: 400, words: /no capacity/, kind: "capacity" as const }],
    limiter: createLimiter(clock, { read: { perMinute: 6_000 } }),
    clock,
    random: () => 0,
    signal: ending.signal,
    timeout,
  };
  return {
    server,
    clock,
    ending,
    options,
    call: createApi(options),
    passing: <T>(work: Promise<T>) => passTime(clock, work),
  };
}

describe("a call that may not be repeated", () => {
  test.each([
    ["breaks off", "reset"],
    ["is never answered", "hang"],
    ["ends in a failure of the provider's", { status: 503, body: "down" }],
    ["is answered with no JSON", { status: 200, body: "<html>" }],
  ] as const)("is sent once, and is ambiguous where it %s", async (_, fault) => {
    const { server, call, passing } = await reaching(fault === "hang" ? 200 : undefined);
    server.fail(fault);
    await expect(passing(call(create))).rejects.toMatchObject({ code: "PROVIDER_AMBIGUOUS", retryable: false });
    expect(server.asked).toHaveLength(1);
  });

  test("is not sent again where it was refused for its rate", async () => {
    const { server, call, passing } = await reaching();
    server.fail({ status: 429, body: "slow down" });
    await expect(passing(call(create))).rejects.toMatchObject({ code: "PROVIDER_BUSY" });
    expect(server.asked).toHaveLength(1);
  });
});

describe("a refusal", () => {
  test("is what the adapter's table says, else what its status says", async () => {
    const { server, call, passing } = await reaching();
    server.fail(
      { status: 400, body: { msg: "no capacity in EU" } },
      { status: 400, body: { detail: "bad field" } },
      { status: 402, body: "" },
    );
    await expect(passing(call(create))).rejects.toMatchObject({
      code: "PROVIDER_CAPACITY",
      message: "Some provider has no capacity: no capacity in EU.",
    });
    await expect(passing(call(create))).rejects.toMatchObject({
      code: "PROVIDER_REFUSED",
      message: "Some provider refuses the request: bad field.",
    });
    await expect(passing(call(create))).rejects.toMatchObject({ code: "PROVIDER_FUNDS" });
  });

  test("of any length is told in 200 characters", async () => {
    const { server, call, passing } = await reaching();
    server.fail({ status: 400, body: { message: "x".repeat(50_000) } });
    const error = (await passing(call(create)).catch((caught: unknown) => caught)) as Error;
    expect(error.message.length).toBeLessThan(260);
  });
});

test("a wait longer than a minute is not waited for", async () => {
  const { server, call, clock, passing } = await reaching();
  server.fail({ status: 429, headers: { "retry-after": "3600" }, body: "later" });
  await expect(passing(call(read))).rejects.toMatchObject({ code: "PROVIDER_BUSY", details: { waitMs: 3_600_000 } });
  expect(clock.monotonic()).toBeLessThan(1_000);
});

test("Retry-After may be a date", async () => {
  const { server, call, clock, passing } = await reaching();
  server.fail({ status: 429, headers: { "retry-after": new Date(NOW + 9_000).toUTCString() }, body: "later" });
  await passing(call(read));
  expect(clock.monotonic()).toBeGreaterThanOrEqual(9_000);
});

test("the key goes nowhere else: no redirect is followed, and no address without TLS is asked", async () => {
  const elsewhere = await fakeServer({ routes: {} });
  const { server, call, options, passing } = await reaching();
  server.fail({ status: 302, headers: { location: `${elsewhere.url}/read` }, body: "" });
  await expect(passing(call(read))).rejects.toThrow("it sends callers elsewhere");
  expect(elsewhere.asked).toEqual([]);
  await expect(createApi({ ...options, base: "http://provider.invalid" })(read)).rejects.toMatchObject({
    code: "PROVIDER_ADDRESS",
  });
});

test("an answer of any length is read to a bound", async () => {
  const { server, call, passing } = await reaching();
  const answer = { body: `"${"x".repeat(33 << 20)}"` };
  server.fail(answer);
  await expect(passing(call(read))).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
});

test("whoever gives up waits for nothing", async () => {
  const { server, call, ending } = await reaching();
  server.fail("hang");
  const waiting = call(read);
  ending.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});

describe("the limiter", () => {
  const signal = new AbortController().signal;

  test("lets a minute's calls through, and then as its tokens come", async () => {
    const clock = createManualClock();
    const limiter = createLimiter(clock, { search: { perMinute: 10 } });
    const times: number[] = [];
    await passTime(
      clock,
      Promise.all(
        Array.from({ length: 12 }, () => limiter.turn("search", signal).then(() => times.push(clock.monotonic()))),
      ),
    );
    expect(times.filter((time) => time === 0)).toHaveLength(10);
    expect(times.slice(10).map((time) => Math.round(time / 1_000))).toEqual([6, 12]);
  });

  test("keeps calls apart, those at the same moment too, each endpoint for itself", async () => {
    const clock = createManualClock();
    const limiter = createLimiter(clock, { launch: { perMinute: 60, interval: 12_000 } });
    const times: number[] = [];
    const turn = (endpoint: string) => limiter.turn(endpoint, signal).then(() => times.push(clock.monotonic()));
    await passTime(clock, Promise.all([turn("launch"), turn("launch"), turn("read"), turn("launch")]));
    expect(times).toEqual([0, 0, 12_000, 24_000]);
  });

  test("holds back everybody after a refusal", async () => {
    const clock = createManualClock();
    const limiter = createLimiter(clock, {});
    limiter.hold("read", 5_000);
    await passTime(clock, limiter.turn("read", signal));
    expect(clock.monotonic()).toBe(5_000);
  });
});

/** The market over HTTP: what is told, to how many, and what is not. */
import { request } from "node:http";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { marketApi, type MarketApiOptions, marketStatuses } from "../../../offchain/src/market/marketApi.ts";
import { emptyKept, type Lease, newLease, openBook } from "../../../offchain/src/market/leases/state.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";
import { createHttpServer, type HttpApp, listen, silentLogger } from "../../../offchain/src/service/index.ts";
import { UserError } from "../../../offchain/src/base/index.ts";
import { createManualClock, type ManualClock } from "../manualClock.ts";
import { NOW, offerOf } from "./offers.ts";

let clock: ManualClock;
let offers: Offer[];
let ending: AbortController;
let app: HttpApp;
let url: string;
let readings: number;
/** What a reading waits for. */
let slow: Promise<void> | undefined;

const lease: Lease = {
  ...newLease,
  label: "ct-0123abcd-89abcdef-1",
  cluster: "c1",
  slot: 0,
  attempt: 1,
  account: "vast",
  identity: "vast:7",
  offer: "vast:1",
  machine: "1× H100",
  host: "vast:h",
  state: "joined",
  since: NOW,
  instance: "i-77",
  perHour: 3_600_000n,
  maximum: 4_000_000n,
  sentAt: NOW - 10_000,
  ssh: { host: "203.0.113.9", port: 22, user: "root" },
  terms: {
    visibleWithin: 1,
    killWithin: 1,
    minimumSeconds: 0,
    granularitySeconds: 1,
    bootBilled: true,
    tellsBill: true,
    deletableWhileCreating: true,
  },
};

beforeEach(async () => {
  clock = createManualClock(NOW);
  offers = [offerOf({ id: "vast:1", usd: 2 }), offerOf({ id: "vast:2", usd: 3 })];
  ending = new AbortController();
  readings = 0;
  slow = undefined;
  const options: MarketApiOptions = {
    catalogue: async () => {
      readings += 1;
      await slow;
      return { offers, roads: new Map(), sources: [] };
    },
    plan: () => Promise.reject(new UserError("PLAN_UNKNOWN", "There is no such plan.")),
    book: () => Promise.resolve(openBook("0123abcd", { ...emptyKept, leases: { [lease.label]: lease } })),
    clock,
    every: 5_000,
    signal: ending.signal,
  };
  app = await createHttpServer({ logger: silentLogger(), title: "market", version: "1", statusByCode: marketStatuses });
  await marketApi(options)(app);
  ({ url } = await listen(app, { port: 0, explicitPort: true }));
});
afterEach(async () => {
  ending.abort();
  app.server.closeAllConnections();
  await app.close();
});

const get = async (path: string) => {
  const { statusCode, body } = await app.inject(path);
  return { status: statusCode, body: JSON.parse(body) as Record<string, unknown> };
};

/** Watches prices. @returns what came, event by event, and the end of it */
async function watching() {
  const got = { text: "", isOver: false };
  const sent = request(`${url}/v1/market/prices`);
  const status = await new Promise<number>((resolve, reject) => {
    sent.once("error", reject);
    sent.once("response", (response) => {
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => void (got.text += chunk));
      response.once("close", () => void (got.isOver = true));
      resolve(response.statusCode ?? 0);
    });
    sent.end();
  });
  return { status, got, leave: () => sent.destroy() };
}

const until = (holds: () => boolean) => expect.poll(holds, { timeout: 10_000 }).toBe(true);

describe("what is read", () => {
  test("offers, the cheapest first, as many as are asked for", async () => {
    const { status, body } = await get("/v1/market/offers?limit=1");
    expect(status).toBe(200);
    expect(body).toMatchObject({ found: 2, offers: [{ id: "vast:1", perHour: "2000000", never: null }] });
    for (const limit of ["0", "1001", "x", "1e9"])
      expect((await get(`/v1/market/offers?limit=${limit}`)).status).toBe(400);
  });

  test("leases and their cost, without addresses of machines and ids of accounts", async () => {
    const { body } = await get("/v1/market/leases");
    expect(body).toMatchObject({ leases: [{ label: lease.label, state: "joined", cost: "10000" }] });
    expect((await get("/v1/market/cost")).body).toMatchObject({ cost: "10000" });
    const all = JSON.stringify([body, (await get("/v1/market/cost")).body]);
    for (const hidden of ["203.0.113.9", "i-77", "vast:7", "root"]) expect(all).not.toContain(hidden);
  });

  test("a plan that is not there; nothing that spends", async () => {
    expect((await get("/v1/market/plans/p0123456789abcdef")).status).toBe(404);
    for (const [method, path] of [
      ["POST", "/v1/market/leases"],
      ["DELETE", `/v1/market/leases/${lease.label}`],
      ["POST", "/v1/market/plans"],
    ] as const)
      expect((await app.inject({ method, url: path })).statusCode).toBe(404);
  });

  test("one reading serves all who ask at once", async () => {
    await Promise.all(Array.from({ length: 20 }, () => get("/v1/market/offers")));
    expect(readings).toBe(1);
  });

  test("one reading serves all who ask while it goes on, however long, and a failure serves those of a moment", async () => {
    const first = Promise.withResolvers<void>();
    slow = first.promise;
    const asking = [get("/v1/market/offers")];
    await until(() => readings === 1);
    await clock.advance(20_000);
    asking.push(get("/v1/market/offers"));
    // Answered after the other was begun.
    await get("/v1/market/leases");
    first.reject(new UserError("PLAN_UNKNOWN", "Nobody answers."));
    for (const { status } of await Promise.all(asking)) expect(status).toBe(404);
    expect((await get("/v1/market/offers")).status).toBe(404);
    expect(readings).toBe(1);
    slow = undefined;
    await clock.advance(1_000);
    expect((await get("/v1/market/offers")).status).toBe(200);
    expect(readings).toBe(2);
  });
});

describe("live prices", () => {
  test("all at first, then what changes; nobody is asked while nobody watches", async () => {
    const { status, got, leave } = await watching();
    expect(status).toBe(200);
    await until(() => got.text.includes("event: prices"));
    expect(got.text).toContain('"offer":"vast:1"');
    offers = [offerOf({ id: "vast:2", usd: 3 })];
    await clock.advance(5_000);
    await until(() => got.text.includes("event: change"));
    expect(got.text).toContain('"perGpuHour":"3000000","offer":"vast:2"');
    offers = [];
    await clock.advance(5_000);
    await until(() => got.text.includes('{"H100/on-demand":null}'));
    leave();
    // The next look finds nobody, and is the last.
    await expect
      .poll(async () => {
        await clock.advance(5_000);
        return clock.sleepers;
      })
      .toBe(0);
    const before = readings;
    await clock.advance(60_000);
    expect(readings).toBe(before);
  });

  test("so many of one address and no more; the end of the server is theirs", async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => watching()));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await watching()).status).toBe(503);
    all[0]?.leave();
    await expect.poll(async () => (await watching()).status, { timeout: 10_000 }).toBe(200);
    ending.abort();
    await until(() => all[1]?.got.isOver === true);
  });
});

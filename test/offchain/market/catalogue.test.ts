/** All providers together: what is kept, what is missing, one machine on two roads, and what is shown before any key is set. */
import { writeFileSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Sqlite from "better-sqlite3";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";

import { type CatalogueOptions, mergeRoads, readCatalogue } from "../../../offchain/src/market/catalogue.ts";
import { whyNever } from "../../../offchain/src/market/offer.ts";
import { openCatalogue } from "../../../offchain/src/market/store.ts";
import { createManualClock, type ManualClock, passTime } from "../manualClock.ts";
import { fakeOf, reachFor } from "./asking.ts";
import { type FakeServer, fakeServer } from "./fakeServer.ts";
import { NOW, offerOf } from "./offers.ts";

let directory: string;
let clock: ManualClock;
const servers = new Map<string, FakeServer>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cotrain-market-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  clock = createManualClock(NOW);
  servers.clear();
});

async function serving(...names: readonly string[]): Promise<void> {
  for (const name of names) servers.set(name, await fakeServer(fakeOf(name).server));
}

/** Reads the catalogue of the providers that serve. */
async function read(change: Partial<CatalogueOptions> = {}) {
  const store = await openCatalogue(directory);
  const endpoints = new Map([...servers].map(([name, { url }]) => [name, `${url}${fakeOf(name).base}`]));
  const options = {
    ...reachFor(endpoints, clock),
    store,
    wanted: { diskGb: 100 },
    maxAge: 60_000,
    offline: false,
    providers: [...servers.keys()],
  };
  try {
    const catalogue = await passTime(clock, readCatalogue({ ...options, ...change }));
    return {
      ...catalogue,
      ids: catalogue.offers.map(({ id }) => id),
      states: catalogue.sources.map(({ provider, state }) => [provider, state]),
    };
  } finally {
    await store.close();
  }
}

const ranges = async (provider: string) => {
  const store = await openCatalogue(directory);
  try {
    return Object.fromEntries(await store.ranges(provider, 0));
  } finally {
    await store.close();
  }
};

test("offers of all that answer, with what came of each", async () => {
  await serving("lambda", "shadeform", "fake");
  const { ids, sources } = await read();
  expect(ids.toSorted()).toEqual([
    "fake:f1",
    "lambda:gpu_8x_h100_sxm5/us-south-2",
    "shadeform:hyperstack/n3-H100-SXM5x8/kansascity-usa-2",
  ]);
  expect(sources).toMatchObject([
    { provider: "fake", state: "live", offers: 1 },
    { provider: "lambda", state: "live", offers: 1, observedAt: NOW },
    { provider: "shadeform", state: "live", offers: 1 },
  ]);
});

test("who cannot be asked says which key is missing, and what it would add", async () => {
  await serving("lambda");
  const { sources, offers } = await read({ environment: {} });
  expect(sources).toEqual([
    {
      provider: "lambda",
      title: "Lambda",
      state: "missing",
      offers: 0,
      refused: {},
      wants: 'a key in LAMBDA_API_KEY or by "npx cotrain market keys add lambda" (cloud.lambda.ai, API keys)',
      adds: "A10 to B200 in Lambda's own data centres, no stock shown that is not there",
    },
  ]);
  expect(servers.get("lambda")?.asked).toEqual([]);
  // Then the sample is there, and none of it can be rented.
  expect(offers.length).toBeGreaterThan(20);
  for (const offer of offers) expect(whyNever(offer, NOW)).toBe("a sample, not to be rented");
});

test("the sample is gone as soon as anything can be rented; prices that others paid are not that", async () => {
  await serving("akash");
  expect((await read()).ids).toContain("sample:1");
  await serving("fake");
  expect((await read()).ids.filter((id) => id.startsWith("sample"))).toEqual([]);
});

describe("a listing", () => {
  test("that is young is not asked for again, nor is any offline", async () => {
    await serving("lambda");
    await read();
    await clock.advance(59_000);
    expect((await read()).states).toEqual([["lambda", "kept"]]);
    await clock.advance(2_000);
    expect((await read({ offline: true })).states).toEqual([["lambda", "kept"]]);
    expect(servers.get("lambda")?.asked).toHaveLength(1);
    expect((await read()).states).toEqual([["lambda", "live"]]);
  });

  test("stands while its provider is away, with why, and is stale when it expires", async () => {
    await serving("lambda");
    await read();
    await clock.advance(61_000);
    servers.get("lambda")?.fail("reset", "reset", "reset");
    const { sources, offers } = await read();
    expect(sources[0]).toMatchObject({
      state: "kept",
      offers: 1,
      observedAt: NOW,
      problem: "Lambda does not answer: no connection.",
    });
    expect(whyNever(offers[0] ?? offerOf(), clock.now())).toBeUndefined();
    await clock.advance(120_000);
    expect(whyNever(offers[0] ?? offerOf(), clock.now())).toBe("stale");
  });

  test("that was never had is told as failed", async () => {
    await serving("lambda");
    servers.get("lambda")?.fail({
      status: 403,
      body: { error: { code: "global/account-inactive", message: "Your account is inactive." } },
    });
    expect((await read()).sources[0]).toMatchObject({
      state: "failed",
      problem: "Lambda does not take the key: Your account is inactive.",
    });
  });

  test("that failed is not asked for again at once by who remembers, with its reason", async () => {
    await serving("lambda");
    const failures = new Map();
    const lambda = servers.get("lambda");
    const away = { status: 403, body: { error: { code: "global/account-inactive", message: "Inactive." } } };
    lambda?.fail(away);
    const failed = { state: "failed", problem: "Lambda does not take the key: Inactive." };
    expect((await read({ failures })).sources[0]).toMatchObject(failed);
    const asked = lambda?.asked.length;
    await clock.advance(20_000);
    expect((await read({ failures })).sources[0]).toMatchObject(failed);
    expect(lambda?.asked).toHaveLength(asked ?? 0);
    await clock.advance(11_000);
    expect((await read({ failures })).states).toEqual([["lambda", "live"]]);
  });

  test("of a clock that was set back is asked for again", async () => {
    await serving("lambda");
    await read();
    clock.step(-3_600_000);
    expect((await read()).states).toEqual([["lambda", "live"]]);
  });

  test("comes back from the disk as it was; what was changed there is left out", async () => {
    await serving("vast");
    const { offers } = await read();
    expect((await read({ offline: true })).offers).toEqual(offers);
    const file = new Sqlite(join(directory, "catalogue.db"));
    const stored = JSON.parse(String(file.prepare("select offers from market_listings").pluck().get()));
    stored[0].price.perHour = "-1";
    stored[1].count = 1e9;
    file.prepare("update market_listings set offers = ?").run(JSON.stringify(stored));
    file.close();
    expect((await read({ offline: true })).ids.filter((id) => id.startsWith("vast"))).toEqual(["vast:7001"]);
  });
});

test("the history has every change of a price, and nothing where none changed", async () => {
  const prices = ["1.20", "1.20", "1.50", "0.90"];
  servers.set(
    "fake",
    await fakeServer({
      routes: {
        "GET /offers": () => ({
          body: { offers: [{ id: "f1", gpu: "RTX 4090", gpus: 1, usd_per_hour: prices.shift() }], total: 1 },
        }),
      },
    }),
  );
  for (const _ of [1, 2, 3, 4]) {
    await read();
    await clock.advance(61_000);
  }
  expect(await ranges("fake")).toEqual({ "fake:f1": { lowest: 900_000n, highest: 1_500_000n, changes: 3 } });
});

describe("one machine on two roads", () => {
  const direct = offerOf({
    id: "runpod:a",
    provider: "runpod",
    upstream: "runpod",
    upstreamId: "NVIDIA H100",
    dataCenter: "US-KS-2",
    usd: 2.5,
  });
  const resold = {
    ...direct,
    id: "prime:a",
    provider: "prime",
    upstreamId: "nvidia h100",
    price: { ...direct.price, perHour: 2_400_000n },
  };

  test("is one offer, by the cheaper that can be had, and the other road is told", () => {
    expect(mergeRoads([direct, resold], NOW)).toEqual({
      offers: [resold],
      roads: new Map([["prime:a", [{ id: "runpod:a", perHour: 2_500_000n }]]]),
    });
    expect(mergeRoads([direct, { ...resold, stock: "none" }], NOW).offers).toEqual([direct]);
  });

  test.each([
    ["another place", { dataCenter: "US-CA-2" }],
    ["another count", { count: 8 }],
    ["another owner", { upstream: "hyperstack" }],
    ["another tier", { tier: "community" as const }],
    ["a spot price", { price: { ...resold.price, charge: "spot" as const } }],
  ])("is two with %s", (_, change) => {
    expect(mergeRoads([direct, { ...resold, ...change }], NOW).offers).toHaveLength(2);
  });

  test("is two where nobody tells whose it is: equal rows may be different machines", () => {
    expect(mergeRoads([offerOf(), offerOf({ id: "vast:2" })], NOW).offers).toHaveLength(2);
  });
});

/** A file of one's own machines. */
function file(machines: unknown): string {
  const path = join(directory, "machines.json");
  writeFileSync(path, JSON.stringify({ machines }));
  return path;
}

describe("own machines", () => {
  const machine = { name: "box", ssh: "me@box.example:22", gpu: "RTX 3090", gpus: 2, usdPerHour: "0.12", upMbps: 40 };
  test("are offers among the others, and may cost nothing", async () => {
    const { offers, sources } = await read({
      machines: file([machine, { ...machine, name: "free", usdPerHour: undefined }]),
      providers: [],
    });
    const own = offers.filter(({ provider }) => provider === "own");
    expect(own).toMatchObject([
      { id: "own:box", count: 2, price: { perHour: 120_000n }, gpu: { model: "RTX 3090", vramGb: 24 } },
      { id: "own:free", price: { perHour: 0n } },
    ]);
    expect(own.map((offer) => whyNever(offer, NOW))).toEqual([undefined, undefined]);
    expect(sources).toMatchObject([{ provider: "own", state: "live", offers: 2 }]);
  });

  test.each([
    ["a command for a host", [{ ...machine, ssh: "me@box -oProxyCommand=x" }], "ssh"],
    ["an option for a user", [{ ...machine, ssh: "-oX@box" }], "ssh"],
    ["a float for a price", [{ ...machine, usdPerHour: 0.12 }], "usdPerHour"],
    ["a key that nobody reads", [{ ...machine, price: "1" }], 'unknown key "price"'],
    ["two of a name", [machine, machine], 'two machines are called "box"'],
    ["a GPU of unknown memory", [{ ...machine, gpu: "GPU of tomorrow" }], 'tell "vramGb"'],
  ])("with %s are refused", async (_, machines, words) => {
    await expect(read({ machines: file(machines), providers: [] })).rejects.toThrow(words);
  });
});

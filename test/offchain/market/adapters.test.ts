/** What every adapter must do, each against a server that behaves like its provider; and the traps of each. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

import type { CotrainError } from "@cotrain/sdk/errors";

import { adapters } from "../../../offchain/src/market/adapters/index.ts";
import { doorOf } from "../../../offchain/src/market/accounts.ts";
import { createManualClock } from "../manualClock.ts";
import { adapterOf, askingOf, fakeOf, reachFor } from "./asking.ts";
import { NOW } from "./offers.ts";
import { SECRET, shadeformTypes } from "./providers.ts";

const names = adapters.map(({ name }) => name);
const withKey = adapters.filter(({ key }) => key !== undefined && key.optional !== true).map(({ name }) => name);

describe.each(names)("%s", (name) => {
  test("its offers, in our units", async () => {
    const { list } = await askingOf(name);
    const { offers, refused } = await list();
    const { offers: expected, refused: unread } = fakeOf(name);
    expect(offers).toMatchObject(expected);
    expect(Object.values(refused).reduce((sum, count) => sum + count, 0)).toBe(unread);
    for (const offer of offers)
      expect(offer).toMatchObject({
        provider: name,
        source: "live",
        observedAt: NOW,
        expiresAt: NOW + adapterOf(name).validFor,
      });
  });

  test.each([
    ["as many as it says", "12"],
    ["a moment, where it does not say", undefined],
  ])("asked too often it is left alone for %s seconds, and then asked again", async (_, header) => {
    const { list, server, clock } = await askingOf(name);
    const headers: Record<string, string> = header === undefined ? {} : { "retry-after": header };
    server.fail({ status: 429, headers, body: "API requests too frequent" });
    const before = clock.monotonic();
    expect((await list()).offers).toHaveLength(fakeOf(name).offers.length);
    expect(clock.monotonic() - before).toBeGreaterThanOrEqual(header === undefined ? 1_000 : 12_000);
  });

  test("that is away, breaks off or never answers is asked again, three times in all", async () => {
    const { list, server } = await askingOf(name, { timeout: 500 });
    server.fail({ status: 502, body: "<html>bad gateway</html>" }, "reset", "hang");
    await expect(list()).rejects.toMatchObject({ code: "PROVIDER_AWAY", retryable: true });
    expect(server.asked).toHaveLength(3);
  });

  test.each([
    ["no JSON", "<html>maintenance</html>"],
    ["a list", []],
    ["nothing", {}],
    ["null", null],
    ["a number", 7],
    [
      "lists of nothing",
      { offers: [[]], gpus: 3, data: "x", items: null, instance_types: {}, models: -1, total: "many" },
    ],
    ["levels without end", `${"[".repeat(4_000)}${"]".repeat(4_000)}`],
  ])("%s for an answer is an error, never an empty listing", async (_, body) => {
    const { list, server } = await askingOf(name);
    server.fail({ body }, { body }, { body });
    await expect(list()).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
  });

  test.each([
    ["null", null],
    ["a list", []],
    ["nothing", {}],
    [
      "text for all",
      Object.fromEntries(
        ["id", "gpu", "gpu_name", "num_gpus", "instance_type", "cloudId", "model", "hardware_id"].map((key) => [
          key,
          "\u001b]0;x\u0007",
        ]),
      ),
    ],
    ["a prototype", JSON.parse('{"__proto__": {"gpu": "H100", "id": "x"}}')],
  ])("a row of %s makes no offer", async (_, row) => {
    const { list, server } = await askingOf(name);
    server.fail(fakeOf(name).withRow(row));
    // Where it is the only one, there is no listing.
    const found = await list().catch((error: unknown) => ({ error, offers: [] }));
    expect([undefined, "PROVIDER_UNREADABLE"]).toContain(
      "error" in found ? (found.error as CotrainError).code : undefined,
    );
    const known = fakeOf(name).offers.map((offer) => offer["id"]);
    for (const { id } of found.offers) expect(known).toContain(id);
  });

  test("its account is read, and nothing but read", async () => {
    const { adapter, api, server, passing } = await askingOf(name);
    const facts = await passing(adapter.account(api));
    expect(facts.length).toBeGreaterThan(0);
    for (const { method } of server.asked) expect(method).toBe("GET");
  });

  test("is tables and mappings of at most 200 lines", () => {
    const file = new URL(`../../../offchain/src/market/adapters/${name}.ts`, import.meta.url);
    expect(readFileSync(file, "utf8").split("\n").length).toBeLessThanOrEqual(200);
  });
});

describe.each(withKey)("the key of %s", (name) => {
  test("is missed by name before anybody is asked", () => {
    const reach = reachFor(new Map(), createManualClock(NOW));
    const adapter = adapterOf(name);
    expect(doorOf(adapter, { ...reach, environment: {} })).toEqual({
      missing: expect.stringContaining(adapter.key?.variable ?? "?"),
    });
  });

  test("that is wrong is told as that, at once, in the provider's words and without the key", async () => {
    const { key } = adapterOf(name);
    const wrong = "another-key-that-nobody-may-see";
    const { list, server } = await askingOf(name, { environment: { [key?.variable ?? ""]: wrong } });
    const error = await list().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "PROVIDER_AUTH", retryable: false });
    expect(server.asked).toHaveLength(1);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(wrong);
  });

  test("goes into one header alone, and never comes back out of an error", async () => {
    const { list, server } = await askingOf(name);
    server.fail({ status: 400, body: { message: `bad key ${SECRET} in https://x.example/?key=${SECRET}` } });
    const error = await list().catch((caught: unknown) => caught);
    expect((error as Error).message).toContain("(key)");
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(SECRET);
    for (const { path, query, body } of server.asked)
      expect(JSON.stringify([path, [...query], body])).not.toContain(SECRET);
  });
});

describe("traps", () => {
  test("Vast.ai is told the disk that will be rented, and for how many offers", async () => {
    const { list, server } = await askingOf("vast");
    await list();
    expect(server.asked.map(({ body }) => body)).toMatchObject([
      { type: "on-demand", allocated_storage: 100, limit: 5_000 },
      { type: "bid", allocated_storage: 100 },
    ]);
  });

  test("Vast.ai is searched ten times a minute", async () => {
    const { list, clock } = await askingOf("vast");
    for (let time = 0; time < 6; time++) await list();
    // Twelve calls: the eleventh and the twelfth wait for their tokens.
    expect(clock.monotonic()).toBeGreaterThanOrEqual(11_000);
  });

  test("Lambda is asked once a second", async () => {
    const { adapter, api, passing, clock } = await askingOf("lambda");
    await passing(Promise.all([adapter.account(api), adapter.account(api), adapter.account(api)]));
    expect(clock.monotonic()).toBeGreaterThanOrEqual(2_000);
  });

  test("a listing of Prime Intellect's that ends before its total is an error", async () => {
    const { list, server } = await askingOf("prime");
    server.fail({ body: { items: [], totalCount: 3 } });
    await expect(list()).rejects.toThrow("a listing of 3 ends after 0");
  });

  test("instances of Vast.ai are counted over all pages; a listing in a circle is an error", async () => {
    const { adapter, api, server, passing } = await askingOf("vast");
    expect(await passing(adapter.account(api))).toEqual([
      ["balance", "-1.25 USD"],
      ["instances of the account", "3"],
    ]);
    const page = { body: { instances: [{ id: 1 }], next_token: "same" } };
    server.fail({ body: {} }, page, page);
    await expect(passing(adapter.account(api))).rejects.toThrow("goes in a circle");
  });

  test("more disk than Prime Intellect can add is not to be had", async () => {
    const { list, server } = await askingOf("prime");
    const item = {
      cloudId: "x",
      gpuType: "A100_80GB",
      provider: "y",
      gpuCount: 1,
      gpuMemory: 80,
      disk: { maxCount: 40 },
      stockStatus: "High",
      prices: { onDemand: 1, currency: "USD" },
    };
    server.fail({ body: { items: [item], totalCount: 1 } });
    expect((await list()).offers[0]?.stock).toBe("none");
  });

  test("one row of many that cannot be read is counted; of a listing none of which can be read nothing is believed", async () => {
    const { list, server } = await askingOf("shadeform");
    const { body } = fakeOf("shadeform").withRow(null);
    server.fail({ body: { instance_types: [...shadeformTypes, { cloud: "x" }, null] } }, { body });
    const { offers, refused } = await list();
    expect(offers).toHaveLength(1);
    expect(refused).toEqual({ '"cloud_instance_type" is missing': 1, "a row is no object": 1 });
    await expect(list()).rejects.toThrow("no row can be read");
  });

  test("figures that no machine has are refused, and the others stand", async () => {
    const { list, server } = await askingOf("fake");
    const machine = { gpu: "H100", usd_per_hour: "2" };
    const offers = [
      { ...machine, id: "huge", gpus: 5_000 },
      { ...machine, id: "none", gpus: 0 },
      { ...machine, id: "dear", gpus: 1, usd_per_hour: "1e9" },
      { ...machine, id: "here", gpus: 1, country: "Sweden" },
      { ...machine, id: "good", gpus: 1 },
    ];
    server.fail({ body: { offers, total: offers.length } });
    const listing = await list();
    expect(listing.offers.map(({ id }) => id)).toEqual(["fake:good"]);
    expect(Object.keys(listing.refused)).toEqual([
      "count must be <= 1024",
      "count must be >= 1",
      '"usd_per_hour" is no price',
      expect.stringContaining("country must match"),
    ]);
  });

  test("what lists more offers than any has is not read to its end, nor to the end of a page", async () => {
    const { list, server } = await askingOf("lambda");
    const specs = { gpus: 1, vcpus: 8, memory_gib: 10, storage_gib: 10 };
    const row = (n: number) => ({
      instance_type: { name: `t${n}`, gpu_description: "H100 (80 GB SXM5)", price_cents_per_hour: 200, specs },
      regions_with_capacity_available: Array.from({ length: 4_000 }, (_, region) => ({ name: `r${region}` })),
    });
    const rows = Array.from({ length: 40 }, (_, n) => row(n));
    server.fail({ body: { data: Object.fromEntries(rows.map((each, n) => [`t${n}`, each])) } });
    await expect(list()).rejects.toMatchObject({
      code: "PROVIDER_UNREADABLE",
      message: expect.stringContaining("more than 20000 offers"),
    });
  });

  test("a price in another currency is none", async () => {
    const { list, server } = await askingOf("prime");
    const item = {
      cloudId: "x",
      gpuType: "A100_80GB",
      provider: "y",
      gpuCount: 1,
      gpuMemory: 80,
      prices: { onDemand: 1, currency: "EUR" },
    };
    server.fail({ body: { items: [item], totalCount: 1 } });
    expect((await list()).offers[0]?.price.perHour).toBeUndefined();
  });
});

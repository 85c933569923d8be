/** `cotrain market prices`, against a fake provider on this machine, and the table in docs/market.md, which is of the sample. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { comparePrices, type Offer, rank } from "../../../offchain/src/market/index.ts";
import { fakeServer, type FakeServer } from "../market/fakeServer.ts";
import { NOW, offerOf } from "../market/offers.ts";
import { cotrainHere, type Ended, temporaryDirectory } from "./support.ts";

const machines = [
  { id: "eight", gpu: "H100 SXM", gpus: 8, usd_per_hour: "16", country: "SE", vram_gb: 80 },
  { id: "one", gpu: "H100 SXM", gpus: 1, usd_per_hour: "2.50" },
  { id: "spot", gpu: "H100 SXM", gpus: 8, usd_per_hour: "9.60", spot: true },
  { id: "small", gpu: "RTX 4090", gpus: 1, usd_per_hour: "0.35" },
  { id: "same", gpu: "RTX 4090", gpus: 1, usd_per_hour: "0.35" },
  { id: "odd", gpu: "GPU of tomorrow 96GB", gpus: 3, usd_per_hour: "1.00" },
];

let fake: FakeServer;
let cache: string;

beforeEach(async () => {
  vi.unstubAllEnvs();
  fake = await fakeServer({
    routes: { "GET /offers": () => ({ body: { offers: machines, total: machines.length } }) },
  });
  cache = join(temporaryDirectory(), "market");
});

const prices = (...args: readonly string[]): Promise<Ended> =>
  cotrainHere(["market", "prices", `--endpoint=fake=${fake.url}`, "--provider=fake", `--cache=${cache}`, ...args]);

/** The lines of a table, each as its cells. */
const cellsOf = (stdout: string): string[][] => {
  const lines = stdout.split("\n");
  return lines.slice(0, lines.indexOf("")).map((line) => line.split(/ {2,}/));
};

const cheapestOf = (some: readonly Offer[]): string[] =>
  comparePrices(rank(some, [{}], "price", NOW), "tier").rows.map(({ cheapest }) => cheapest.id);

describe("market prices", () => {
  test("has the lowest price of each model's GPU on each road, rounded up, and how far roads are apart", async () => {
    const { code, stdout } = await prices();
    expect(code).toBe(0);
    expect(cellsOf(stdout)).toEqual([
      ["GPU", "secure", "spot", "spread", "USD/10^9 tokens", "cheapest offer"],
      ["GPU OF TOMORROW 96 GB", "0.3334", "–", "–", "–", "fake:odd"],
      ["RTX 4090 24 GB", "0.3500", "–", "–", "10.8637", "fake:same"],
      ["H100 SXM 80 GB", "2.0000", "1.2000", "1.66x", "6.2141", "fake:spot:spot"],
    ]);
    expect(stdout).toContain("\nThe fake provider: 6 offers.\n");
  });

  test("tells providers apart, within what is wished for", async () => {
    const { stdout } = await prices("--by=provider", "--gpu=H100", "--charge=on-demand");
    expect(cellsOf(stdout)).toEqual([
      ["GPU", "fake", "spread", "USD/10^9 tokens", "cheapest offer"],
      ["H100 SXM 80 GB", "2.0000", "–", "10.3568", "fake:eight"],
    ]);
  });

  test("as a document has money in millionths of a dollar", async () => {
    const { stdout } = await prices("--json", "--gpu=H100");
    expect(JSON.parse(stdout)).toMatchObject({
      by: "tier",
      rentable: true,
      roads: ["secure", "spot"],
      gpus: [
        {
          gpu: "H100 SXM 80 GB",
          roads: {
            secure: { offer: "fake:eight", perGpuHour: "2000000" },
            spot: { offer: "fake:spot:spot", perGpuHour: "1200000" },
          },
          cheapest: "fake:spot:spot",
          dearest: "fake:eight",
        },
      ],
    });
  });

  test("counts nothing that cannot be rented beside what can", () => {
    const offers = [
      offerOf({ id: "a", usd: 1 }),
      offerOf({ id: "b", usd: 0.9, stock: "none" }),
      offerOf({ id: "c", price: { charge: "on-demand", perHour: undefined, firm: true } }),
    ];
    expect(cheapestOf(offers)).toEqual(["a"]);
    expect(cheapestOf(offers.slice(1))).toEqual(["b"]);
    expect(cheapestOf(offers.slice(2))).toEqual([]);
  });

  test("tells where nothing fits", async () => {
    const { stdout } = await prices("--gpu=B300");
    expect(stdout).toMatch(/^Nothing fits\.\n/);
  });

  test("of the sample is the table in the docs", async () => {
    const { stdout } = await cotrainHere(["market", "prices", "--offline", `--cache=${cache}`]);
    expect(stdout).toMatch(/^Nothing of this can be rented now: a sample, not to be rented\.\n\nGPU/);
    const table = stdout.slice(stdout.indexOf("GPU  "), stdout.indexOf("\n\nVast.ai"));
    const docs = readFileSync(new URL("../../../docs/market.md", import.meta.url), "utf8");
    expect(docs).toContain(`\`\`\`\n${table}\n\`\`\``);
  });
});

/** `cotrain market`, against fake providers on this machine: what is found, what each wish leaves out, what is told of providers. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { fakeServer, type FakeServer } from "../market/fakeServer.ts";
import { fakeProviders, SECRET } from "../market/providers.ts";
import { cotrainHere, type Ended, temporaryDirectory } from "./support.ts";

/** Machines of the fake provider: each lacks something that the first has. */
const machines = [
  { id: "all", gpu: "H100 SXM", gpus: 8, usd_per_hour: "16", country: "SE", up_mbps: 1_000, ram_gb: 512 },
  { id: "spot", gpu: "H100 SXM", gpus: 8, usd_per_hour: "9.60", country: "SE", spot: true, up_mbps: 1_000 },
  { id: "small", gpu: "RTX 4090", gpus: 1, usd_per_hour: "0.35", country: "US" },
  { id: "odd", gpu: "GPU of tomorrow 96GB", gpus: 2, usd_per_hour: "1.00" },
];

let fake: FakeServer;
let cache: string;

beforeEach(async () => {
  vi.unstubAllEnvs();
  fake = await fakeServer({
    routes: {
      "GET /offers": () => ({ body: { offers: machines, total: machines.length } }),
      "GET /account": () => ({ body: {} }),
    },
  });
  cache = join(temporaryDirectory(), "market");
});

const offers = (...args: readonly string[]): Promise<Ended> =>
  cotrainHere(["market", "offers", `--endpoint=fake=${fake.url}`, "--provider=fake", `--cache=${cache}`, ...args]);

interface Document {
  readonly found: number;
  readonly offers: readonly { readonly id: string; readonly wins: boolean; readonly perGpuHour: string | null }[];
  readonly sources: readonly { readonly provider: string; readonly state: string }[];
}

async function found(...args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await offers("--json", ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return (JSON.parse(stdout) as Document).offers.map(({ id }) => id.replace("fake:", ""));
}

describe("market offers", () => {
  test("is a table with the cheapest GPU at the top, and what came of each provider below", async () => {
    const { code, stdout } = await offers();
    expect(code).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(
      /^machine +USD\/GPU-h +USD\/h +USD\/10\^9 tokens +charge +tier +country +up Mbit\/s +seen +7 days, USD\/h +offer$/,
    );
    expect(lines[1]).toMatch(
      /^1x RTX 4090 24 GB +0\.3500 +0\.3500 +10\.8637 +on-demand +secure +US +– +0:0\d ago +fake:small$/,
    );
    expect(lines[2]).toMatch(/^2x GPU OF TOMORROW 96 GB +0\.5000 +1\.0000 +– /);
    expect(lines.slice(3, 5)).toEqual([expect.stringContaining("fake:spot:spot"), expect.stringContaining("fake:all")]);
    expect(stdout).toContain("\nThe fake provider: 4 offers.\n");
  });

  test("as a document has money in millionths of a dollar", async () => {
    const { stdout } = await offers("--json", "--lowest");
    const { offers: shown, found: all } = JSON.parse(stdout) as Document;
    expect(all).toBe(4);
    expect(shown).toMatchObject([
      { id: "fake:small", wins: true, perGpuHour: "350000", price: { perHour: "350000" }, week: { changes: 1 } },
    ]);
  });

  test.each([
    [["--gpu=h100"], ["spot:spot", "all"]],
    [["--gpu=4090"], ["small"]],
    [["--gpu=RTX 4000,H100 PCIe"], ["small"]],
    [["--gpu=data centre"], ["spot:spot", "all"]],
    [["--gpus=2"], ["odd"]],
    [["--least-gpus=2"], ["odd", "spot:spot", "all"]],
    [["--vram=81"], ["odd"]],
    [["--cpus=1"], []],
    [["--ram=512"], ["all"]],
    [["--disk=10"], []],
    [["--country=us,no"], ["small"]],
    [["--region=kansas"], []],
    [["--tier=community"], []],
    [["--interconnect=nvlink"], ["small"]],
    [["--uplink=1000"], ["spot:spot", "all"]],
    [["--charge=spot"], ["spot:spot"]],
    [["--max-price=0.5"], ["small", "odd"]],
    [["--max-hour=9.6"], ["small", "odd", "spot:spot"]],
    [["--max-token=10.4"], ["spot:spot", "all"]],
    [["--reliability=0.5"], []],
    [["--without=fake"], []],
    [["--order=value"], ["spot:spot", "all", "small", "odd"]],
    [["--limit=1"], ["small"]],
    [["--lowest", "--gpu=H100"], ["spot:spot"]],
    [["--any-of=gpu=A100; gpu=H100/L40S,charge=on-demand; gpu=4090"], ["all"]],
  ])("%s", async (args, expected) => {
    expect(await found(...args)).toEqual(expected);
  });

  test.each([
    [["--any-of=price=3"], '--any-of: "price" is none of gpu, gpus'],
    [["--any-of=gpus=many"], "--any-of: gpus must be an integer from 1 to 1024"],
    [["--tier=gold"], "--tier must be one of secure, community"],
    [["--endpoint=fake"], "--endpoint must be NAME=URL"],
    [["--machines=/nowhere.json"], "/nowhere.json does not exist"],
  ])("%s is refused in one sentence", async (args, sentence) => {
    const { code, stdout, stderr } = await offers(...args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("asks nobody again within --max-age, and nobody at all --offline", async () => {
    await offers();
    await offers();
    await offers("--max-age=0s", "--offline");
    expect(fake.asked).toHaveLength(1);
    await offers("--max-age=0s");
    expect(fake.asked).toHaveLength(2);
  });

  test("before any key shows which key each provider wants, and a sample that is marked", async () => {
    vi.stubEnv("VAST_API_KEY", "");
    const { code, stdout } = await cotrainHere(["market", "offers", "--offline", `--cache=${cache}`]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Nothing of this can be rented now: the last column says why\.\n\nmachine/);
    expect(stdout).toMatch(/^1x RTX 3060 .* sample:\d+ +not: a sample, not to be rented$/m);
    const asked = await cotrainHere(["market", "offers", "--provider=vast", `--cache=${cache}`]);
    expect(asked.stdout).toContain(
      'Vast.ai wants a key in VAST_API_KEY or by "npx cotrain market keys add vast" (cloud.vast.ai, Keys); it would add the most machines',
    );
  });

  test("has one's own machines among the others", async () => {
    mkdirSync(cache);
    const file = join(cache, "mine.json");
    writeFileSync(file, JSON.stringify({ machines: [{ name: "box", ssh: "me@box", gpu: "RTX 3090", gpus: 1 }] }));
    const { stdout } = await offers("--json", `--machines=${file}`, "--provider=own,fake", "--limit=2");
    expect((JSON.parse(stdout) as Document).offers.map(({ id }) => id)).toEqual(["own:box", "fake:small"]);
  });

  test("a provider's words act on no terminal", async () => {
    fake.fail({ status: 400, body: { message: "\u001b]0;mine\u0007no" } });
    const { stdout } = await offers();
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain("The fake provider failed:");
  });
});

/** `market doctor` on a fake Vast.ai. */
async function vast(key: string): Promise<Ended> {
  const provider = fakeProviders["vast"];
  if (provider === undefined) throw new TypeError("there is a fake Vast.ai");
  const { url } = await fakeServer(provider.server);
  vi.stubEnv("VAST_API_KEY", key);
  return cotrainHere(["market", "doctor", "--provider=vast", `--endpoint=vast=${url}${provider.base}`]);
}

describe("market doctor", () => {
  test("tells what the account says, what is not read, and what will stop the bill", async () => {
    const { code, stdout } = await vast(SECRET);
    expect(code).toBe(0);
    expect(stdout).toContain("Vast.ai: works");
    expect(stdout).toMatch(/^balance +-1\.25 USD$/m);
    expect(stdout).toMatch(/^not read +1 rows: "num_gpus" is no number that is not negative$/m);
    expect(stdout).toMatch(/^asked at most \(search\) +10 times a minute$/m);
    expect(stdout).toMatch(/^what stops the bill when nobody does +scoped-key$/m);
  });

  test("tells of a key that is not taken, and shows it nowhere", async () => {
    const { code, stdout, stderr } = await vast("wrong-key-of-somebody");
    expect(code).toBe(1);
    expect(stdout).toContain("Vast.ai does not take the key: Invalid user key.");
    expect(stdout + stderr).not.toContain("wrong-key-of-somebody");
  });

  test("of a key that is none, or of no provider, is refused", async () => {
    const { code, stderr } = await vast("two words");
    expect([code, stderr]).toEqual([
      1,
      "cotrain: VAST_API_KEY must be Vast.ai's key: one word of ASCII, up to 4,096 characters.\n",
    ]);
    expect((await cotrainHere(["market", "doctor"])).stderr).toContain("Name a provider: --provider fake|vast|");
  });
});

/** `cotrain market plan` on the sample, which is always the same: what each figure that is given changes. */
import { join } from "node:path";

import { beforeEach, describe, expect, test } from "vitest";

import { openLedger } from "../../../offchain/src/market/leases/ledger.ts";
import { type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import { kinds } from "../market/leases/world.ts";
import { NOW } from "../market/offers.ts";
import { cotrainHere, type Ended, temporaryDirectory } from "./support.ts";

interface Document {
  readonly seconds: number;
  readonly ranges: Readonly<
    Record<"seconds" | "effectiveTokens" | "usd", { p10: number; p50: number; p90: number }>
  > & {
    readonly sure: number;
  };
  readonly usd: number;
  readonly effectiveTokens: number;
  readonly roundSeconds: number;
  readonly computeSeconds: number;
  readonly machines: readonly { readonly offer: string; readonly machine: string }[];
  readonly skipped: Readonly<Record<string, string>>;
}

let cache: string;
beforeEach(() => {
  cache = join(temporaryDirectory(), "market");
});

const plan = (...args: readonly string[]): Promise<Ended> =>
  cotrainHere(["market", "plan", "--offline", `--cache=${cache}`, ...args]);

/** A ledger with one lease that is over. */
async function ledgerOf(change: Partial<Lease>): Promise<string> {
  const directory = join(temporaryDirectory(), "leases");
  const ledger = await openLedger(directory, () => NOW);
  const lease: Lease = {
    ...newLease,
    label: "ct-0a1b2c3d-00000001-1",
    cluster: "c1",
    slot: 0,
    attempt: 1,
    account: "vast",
    identity: "owner",
    offer: "vast:1",
    machine: "",
    host: "elsewhere",
    state: "gone",
    since: Date.now(),
    perHour: 0n,
    maximum: 0n,
    terms: kinds[0]!,
    ...change,
  };
  await ledger.read();
  await ledger.append({ type: "measured", at: NOW, rows: { leases: { [lease.label]: lease } } });
  await ledger.close();
  return directory;
}

async function planned(...args: readonly string[]): Promise<Document> {
  const { code, stdout, stderr } = await plan("--sample", "--json", ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Document;
}

const gpus = ({ machines }: Document): number =>
  machines.reduce((sum, { machine }) => sum + Number.parseInt(machine, 10), 0);

describe("by what was measured", () => {
  test("GPUs that other machines had are taken at their speed, and the plan says so", async () => {
    const args = ["--budget=20", "--deadline=12h"];
    const assumed = await planned(...args);
    expect((await plan("--sample", ...args)).stdout.replaceAll(/\s+/g, " ")).toContain(
      "No machine of it was measured, nor another with such GPUs: its speeds are assumed.",
    );
    const chosen = assumed.machines[0]?.machine.replace(/^\d+x /, "") ?? "";
    const leases = await ledgerOf({ machine: `1x ${chosen}`, measured: { flops: 1e9, up: null, down: null } });
    const measured = await planned(...args, `--leases=${leases}`);
    // So slow a GPU is left alone.
    expect(measured.machines.map(({ machine }) => machine.replace(/^\d+x /, ""))).not.toContain(chosen);
    const fast = await ledgerOf({ machine: `1x ${chosen}`, measured: { flops: 1e15, up: null, down: null } });
    // As fast as its maker says, which is not three times what is assumed; links and the batch stay what they were.
    expect((await planned(...args, `--leases=${fast}`)).effectiveTokens).toBeGreaterThan(1.2 * assumed.effectiveTokens);
    expect((await plan("--sample", ...args, `--leases=${fast}`)).stdout.replaceAll(/\s+/g, " ")).toMatch(
      /0 of its machines were measured before, \d+ (has|have) GPUs that were, of other machines/,
    );
  });
});

test("a plan says what became of creates of machines like its own", async () => {
  const args = ["--budget=20", "--deadline=12h"];
  const chosen = (await planned(...args)).machines[0]?.machine.replace(/^\d+x /, "") ?? "";
  const doomed = { reason: "refused", words: "", at: Date.now() } as const;
  const leases = await ledgerOf({ account: "sample", machine: `1x ${chosen}`, sentAt: Date.now(), doomed });
  expect((await plan("--sample", ...args, `--leases=${leases}`)).stdout.replaceAll(/\s+/g, " ")).toContain(
    `which count beside the stock: sample, ${chosen}: 1 of 1.`,
  );
});

describe("by what is given", () => {
  test("a budget alone is spent, an hour being worth a dollar, or what it is said to be worth", async () => {
    const patient = await planned("--budget=50", "--value-of-time=0");
    const hasty = await planned("--budget=50", "--value-of-time=100");
    expect([patient.usd, hasty.usd]).toEqual([expect.closeTo(50, 6), expect.closeTo(50, 6)]);
    expect(hasty.seconds).toBeLessThan(patient.seconds / 2);
    expect(hasty.effectiveTokens).toBeLessThan(patient.effectiveTokens);
  });

  test("a budget and a deadline: the most tokens within both", async () => {
    const day = await planned("--budget=100", "--deadline=24h");
    expect(day.usd).toBeLessThanOrEqual(100);
    expect(day.ranges.usd.p90).toBeLessThanOrEqual(100);
    expect(day.seconds).toBeLessThanOrEqual(86_400);
    expect((await planned("--budget=20", "--deadline=24h")).effectiveTokens).toBeLessThan(day.effectiveTokens);
  });

  test("tokens and a deadline: the least cost, and no plan where it cannot be met", async () => {
    const soon = await planned("--tokens=2e8", "--deadline=6h");
    const late = await planned("--tokens=2e8", "--deadline=5d");
    expect(soon.seconds).toBeLessThanOrEqual(6 * 3_600);
    expect(soon.ranges.seconds.p90).toBeLessThanOrEqual(6 * 3_600);
    expect(soon.ranges.sure).toBeGreaterThanOrEqual(0.9);
    // The search is within 2% of the best.
    expect(late.usd).toBeLessThanOrEqual(1.02 * soon.usd);
    const { code, stdout } = await plan("--sample", "--tokens=1e15", "--deadline=1h");
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^There is no plan: nothing that can be rented fits\.\n\n\d+ offers left out: the deadline cannot be met with it\.$/m,
    );
  });

  test.each([[[]], [["--budget=1", "--tokens=1"]], [["--deadline=1h"]]])("%j is refused", async (args) => {
    expect(await plan(...args)).toEqual({
      code: 1,
      stdout: "",
      stderr: "cotrain: Give either --budget, with or without --deadline, or --tokens with a --deadline.\n",
    });
  });
});

describe("a plan", () => {
  test("in words and as a table", async () => {
    const { stdout } = await plan("--sample", "--budget=50");
    const [first = "", second = ""] = stdout.split("\n");
    expect(first).toMatch(
      /^\d+ machines? with \d+ GPUs? of 1 cloud for [\d:]+: 50\.00 USD, [\d.]+ G effective tokens \([\d.]+ G as they are counted\), [\d.]+ USD for 10\^9\.$/,
    );
    expect(second).toMatch(/^A round takes [\d:]+, of it \d+% training\.$/);
    expect(stdout).toMatch(
      /^In nine draws of ten the money lasts for at least [\d:]+ and trains at least [\d.]+ G tokens\.$/m,
    );
    expect(stdout).toMatch(
      /^of 100 draws not above it +10 +50 +90\ntime +([\d:]+ *){3}\neffective tokens .*\nUSD +(50\.00 *){3}$/m,
    );
    expect((await plan("--sample", "--budget=50", "--deadline=24h")).stdout).toMatch(
      /^Of 1000 draws 9\d\d keep to the budget\. Nine of ten cost at most [\d.]+ USD and train at least [\d.]+ G tokens\.$/m,
    );
    expect((await plan("--sample", "--tokens=2e8", "--deadline=6h")).stdout).toMatch(
      /^Of 1000 draws \d+ keep to the deadline\. Nine of ten take at most [\d:]+ and [\d.]+ USD\.$/m,
    );
    expect(stdout).toMatch(
      /^machine +USD\/h +steps +share of tokens +tokens for a USD more +what stops its bill +offer$/m,
    );
    expect(stdout).toContain("ROCm, for which there is no build");
    expect(stdout).toMatch(/^7 providers not asked: "npx cotrain market offers" says what each wants\.$/m);
  });

  test("takes no more GPUs than are allowed, and wishes as `market offers` does", async () => {
    expect(gpus(await planned("--budget=500", "--deadline=12h", "--most-gpus=2"))).toBeLessThanOrEqual(2);
    const secure = await planned("--budget=50", "--gpu=RTX 40", "--tier=community");
    expect(secure.machines.every(({ machine }) => machine.includes("RTX 40"))).toBe(true);
  });

  test("of a larger model leaves out what has no memory for it", async () => {
    const { skipped } = await planned("--preset=1b", "--budget=500", "--deadline=48h");
    expect(Object.values(skipped)).toContain("memory of a GPU: 8 GB, needs 22");
  });

  test("has rounds by the steps, and by the coordinator's link", async () => {
    const [short, long] = [
      await planned("--budget=20", "--gpu=4090", "--inner-steps=100"),
      await planned("--budget=20", "--gpu=4090", "--inner-steps=1000"),
    ];
    expect(long.computeSeconds / short.computeSeconds).toBeCloseTo(10, 6);
    const slow = await planned("--budget=20", "--gpu=4090", "--inner-steps=100", "--hub-link=10");
    expect(slow.roundSeconds).toBeGreaterThan(short.roundSeconds + 100);
  });

  test("pays for the coordinator", async () => {
    const [free, dear] = [await planned("--budget=20", "--hub-cost=0"), await planned("--budget=20", "--hub-cost=5")];
    expect(dear.effectiveTokens).toBeLessThan(free.effectiveTokens);
  });

  test("says why an offer is not in it, or that it is", async () => {
    const { machines, skipped } = await planned("--budget=50");
    const why = async (id: string) =>
      (await plan("--sample", "--budget=50", `--why-not=${id}`)).stdout.trim().split("\n").at(-1);
    expect(await why(machines[0]?.offer ?? "")).toBe(`${machines[0]?.offer}: it is in the plan.`);
    expect(await why("sample:24")).toBe(`sample:24: ${skipped["sample:24"]}.`);
    expect((await plan("--budget=50", "--why-not=vast:0")).stderr).toContain('Nobody lists an offer "vast:0" now.');
    const wished = await plan("--sample", "--budget=50", "--gpu=RTX 40", "--why-not=sample:1");
    expect(wished.stdout).toMatch(/^sample:1: GPU: 1x RTX 3060 \d+ GB, wanted RTX 40\.$/m);
  });

  test("of a mode has what the mode allows", async () => {
    const { machines, skipped } = await planned("--budget=100", "--deadline=24h", "--mode=secure");
    expect(machines.length).toBeGreaterThan(0);
    expect(skipped["sample:1"]).toBe("tier: community, and the mode is secure");
    const { code, stdout } = await plan("--sample", "--budget=100", "--mode=loose");
    expect(code).toBe(1);
    expect(stdout).toContain("no loose cluster of eight GPUs can be made");
  });

  test("has no sample in it unless that is asked for", async () => {
    const { code, stdout } = await plan("--budget=50");
    expect(code).toBe(1);
    expect(stdout).toContain("offers left out: a sample, not to be rented.");
  });
});

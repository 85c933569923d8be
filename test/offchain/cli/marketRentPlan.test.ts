/** `cotrain market rent PLAN`: what was planned is kept, quoted again, and rented as it was, or not at all. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { type Listed, type RentalServer, rentalServer } from "./rentalServer.ts";
import { cotrain, cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;
const rowOf = (id: string, gpu: string, usd: number, gpus = 1): Listed => ({
  id,
  gpu,
  gpus,
  usd_per_hour: String(usd),
});

let listed: Listed[];
let rental: RentalServer;
let directory: string;

beforeEach(async () => {
  vi.unstubAllEnvs();
  directory = temporaryDirectory();
  writeFileSync(join(directory, "start.sh"), "echo begins\n");
  listed = [rowOf("m1", "RTX 4090", 1.2), rowOf("m2", "RTX 4090", 1.2), rowOf("m3", "A40", 40)];
  rental = await rentalServer(() => listed);
});

const at = () => [
  `--cache=${join(directory, "cache")}`,
  `--keys=${join(directory, "keys")}`,
  `--endpoint=fake=${rental.server.url}`,
];
const planning = (...more: readonly string[]): string[] => [
  "market",
  "plan",
  "--provider=fake",
  "--budget=4",
  "--deadline=2h",
  "--hub-link=10000",
  ...at(),
  ...more,
];
const renting = (...more: readonly string[]): string[] => [
  "market",
  "rent",
  ...at(),
  `--leases=${join(directory, "leases")}`,
  "--every=300ms",
  ...more,
];
const orders = () => [`--image=${IMAGE}`, `--start=${join(directory, "start.sh")}`, "--accept-no-backstop"];

interface Told {
  readonly id: string;
  readonly usd: number;
  readonly machines: readonly { readonly offer: string }[];
}
async function planned(...more: readonly string[]): Promise<Told> {
  const { code, stdout, stderr } = await cotrainHere(planning("--json", ...more));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Told;
}
const offered = (...more: readonly string[]) => cotrainHere(renting(...more));

describe("a plan", () => {
  test("is told with its name, which shows its machines at the prices of now", async () => {
    const { stdout } = await cotrainHere(planning());
    const id = /^For [\d:]+ it can be rented: npx cotrain market rent (p[0-9a-f]{16})$/m.exec(stdout)?.[1] ?? "";
    const { machines } = await planned();
    expect(machines.map(({ offer }) => offer)).toEqual(["fake:m1", "fake:m2"]);
    const shown = await offered(id);
    expect(shown.code).toBe(0);
    expect(shown.stdout.match(/first choice .*RTX 4090 .*fake:m[12]$/gm)).toHaveLength(2);
    expect(shown.stdout).toContain("Nothing was rented: that takes --yes.");
    expect(rental.machines).toEqual([]);
  });

  test("has no name where it has samples, or somebody asks about one offer", async () => {
    const { stdout } = await cotrainHere(planning("--why-not=fake:m3"));
    expect(stdout).not.toContain("market rent");
    const sample = await cotrainHere(["market", "plan", "--offline", "--sample", "--budget=9", ...at().slice(0, 2)]);
    expect(sample.stdout).toMatch(/^It cannot be rented: it has samples in it\.$/m);
  });

  test("that has become dearer by more than is allowed is not rented", async () => {
    const { id } = await planned();
    listed = [rowOf("m1", "RTX 4090", 1.2), rowOf("m2", "RTX 4090", 1.33)];
    expect(verdictOf(await offered(id, "--yes", ...orders()))).toEqual(
      refusal(1, /^The plan costs 2\.5300 USD an hour now and not 2\.4000, which is more than 5% above it/),
    );
    expect((await offered(id, "--dearer=6")).code).toBe(0);
    listed = [rowOf("m1", "RTX 4090", 1.2), rowOf("m2", "RTX 4090", 1.21)];
    expect((await offered(id, "--dearer=0")).code).toBe(1);
    expect((await offered(id)).code).toBe(0);
    expect(rental.machines).toEqual([]);
  });

  test.each([
    [
      "is not listed any more",
      () => listed.slice(1),
      /^1 of 2 machines cannot be rented as they were planned: fake:m1 is not listed any more/,
    ],
    [
      "is another machine",
      () => [rowOf("m1", "RTX 3090", 1.2), ...listed.slice(1)],
      /fake:m1 is 1x RTX 3090 24 GB now/,
    ],
  ])("of which a machine %s is not rented", async (_, now, sentence) => {
    const { id } = await planned();
    listed = now();
    expect(verdictOf(await offered(id, "--yes", ...orders()))).toEqual(refusal(1, sentence));
    expect(rental.machines).toEqual([]);
  });

  test("is refused when its time is over, when it was changed, and where it was not made", async () => {
    const { id } = await planned("--valid=1ms");
    expect(verdictOf(await offered(id))).toEqual(refusal(1, new RegExp(`^Plan ${id} was good until `)));
    const { id: good } = await planned();
    const file = join(directory, "cache", "plans", `${good}.json`);
    const text = readFileSync(file, "utf8");
    const changed = text.replace('"perHour":"1200000"', '"perHour":"9200000"');
    expect(changed).not.toBe(text);
    writeFileSync(file, changed);
    expect(verdictOf(await offered(good))).toEqual(refusal(1, `Plan ${good} is not as it was made here: plan anew.`));
    // Under another's name, although its seal is its own.
    writeFileSync(file, text);
    writeFileSync(join(directory, "cache", "plans", `${id}.json`), text);
    expect(verdictOf(await offered(id))).toEqual(refusal(1, `Plan ${id} is not as it was made here: plan anew.`));
    for (const name of ["p0123456789abcdef", "../../x", "p"])
      expect(verdictOf(await offered(name))).toEqual(refusal(1, `There is no plan "${name}" here`));
    expect(readdirSync(join(directory, "keys"))).toEqual(["plans.key"]);
  });

  test("says what is rented: wishes beside it are refused", async () => {
    const { id } = await planned();
    expect(verdictOf(await offered(id, "--gpu=4090"))).toEqual(
      refusal(1, "A plan says what is rented: leave out --gpu."),
    );
    expect(verdictOf(await offered(id, "--count=2"))).toEqual(refusal(1, "leave out --count."));
    expect(verdictOf(await offered(id, "--max-price=2"))).toEqual(refusal(1, "leave out --max-price."));
    expect(verdictOf(await offered(id, "--minimum=3"))).toEqual(refusal(1, "--minimum cannot be above --count."));
  });
});

test(
  "a plan is rented as it is, up to an amount without a question, at the prices that it may have",
  { timeout: 300_000 },
  async () => {
    const { id } = await planned();
    // More than may be spent without a question, where nobody can be asked.
    expect((await offered(id, "--confirm-above=1", ...orders())).stdout).toContain("Nothing was rented");
    expect(rental.machines).toEqual([]);
    // Cheaper ones of another kind stand beside it.
    listed = [rowOf("cheap", "RTX 3060", 0.01), ...listed];
    let isSent = false;
    const { code } = await cotrain(renting(id, "--confirm-above=4", ...orders()), {
      onStderr: (stderr, child) => {
        if (isSent || (stderr.match(/ is joined$/gm)?.length ?? 0) < 2) return;
        isSent = true;
        child.kill("SIGINT");
      },
    });
    expect(code).toBe(0);
    expect(rental.alive()).toEqual([]);
    expect(new Set(rental.machines.map(({ ordered }) => ordered["offer"]))).toEqual(new Set(["m1", "m2"]));
    expect(rental.machines.map(({ ordered }) => ordered["maximum_usd_per_hour"])).toEqual(["1.260000", "1.260000"]);
  },
);

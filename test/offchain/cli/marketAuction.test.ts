/** `--auction`: offers of auctions count at what others paid and so many percent, are told as limits, and a plan holds its own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { fakeServer } from "../market/fakeServer.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

let paid: number;
let directory: string;
let url: string;

beforeEach(async () => {
  vi.unstubAllEnvs();
  directory = temporaryDirectory();
  paid = 1.2;
  const model = { vendor: "nvidia", model: "rtx4090", ram: "24Gi", interface: "PCIe", availability: { available: 3 } };
  const price = () => ({ currency: "USD", med: paid });
  ({ url } = await fakeServer({
    routes: { "GET /v1/gpu-prices": () => ({ body: { models: [{ ...model, price: price() }] } }) },
  }));
});

const plain = (text: string): string => text.replaceAll(/\s+/g, " ");
const ID = "akash:nvidia/rtx4090/24Gi/PCIe";
const market = (command: string, ...more: readonly string[]) =>
  cotrainHere([
    "market",
    command,
    `--cache=${join(directory, "cache")}`,
    `--keys=${join(directory, "keys")}`,
    `--endpoint=akash=${url}`,
    "--max-age=1ms",
    ...more,
  ]);
const leases = () => `--leases=${join(directory, "leases")}`;
const planning = ["--provider=akash", "--budget=9", "--deadline=2h", "--hub-link=10000"];

describe("offers", () => {
  test("do not win without it, and say so", async () => {
    const { stdout } = await market("offers", "--provider=akash");
    expect(stdout).toContain("not: what others paid: --auction makes it a limit");
    expect(stdout).not.toContain("at most");
  });

  test("are told as limits with it, and as a document", async () => {
    const { stdout } = await market("offers", "--provider=akash", "--auction=25");
    expect(stdout).toMatch(/at most 1\.5000 +at most 1\.5000 /);
    expect(stdout).not.toContain("not:");
    const document = await market("offers", "--provider=akash", "--auction=25", "--json");
    expect(JSON.parse(document.stdout)).toMatchObject({
      offers: [{ id: ID, wins: true, atMost: true, perGpuHour: "1500000", price: { firm: true, auction: true } }],
    });
    const prices = await market("prices", "--provider=akash", "--auction=25");
    expect(prices.stdout).toContain("at most 1.5000");
  });

  test("are not what is rented without it, which says what they take", async () => {
    const said =
      "Nothing that can be rented fits. Machines of an auction, such as Akash, take a limit: --auction PERCENT.";
    const shown = await market("rent", "--provider=akash", "--budget=9", leases());
    expect(plain(shown.stdout)).toContain(said);
    expect((await market("rent", "--provider=akash", "--budget=9", leases(), "--auction=25")).stdout).not.toContain(
      "Nothing that can be rented fits.",
    );
  });

  test("of alternatives are those of which one can be rented", async () => {
    const which = "--any-of=gpu=4090,maxPrice=1.4; gpu=4090";
    for (const [percent, found] of [
      [10, "1.3200"],
      [25, "1.5000"],
    ] as const)
      expect((await market("offers", "--provider=akash", `--auction=${percent}`, which)).stdout).toContain(
        `at most ${found}`,
      );
  });
});

describe("a plan", () => {
  test("counts with the limit, and its renting keeps to it whatever others pay by then", async () => {
    const none = await market("plan", ...planning, leases());
    expect(none.stdout).toContain("what others paid: --auction makes it a limit");
    const { stdout } = await market("plan", ...planning, leases(), "--auction=25");
    expect(stdout).toContain("at most 1.");
    expect(plain(stdout)).toMatch(/\d of \d at an auction: a bid is taken up to the price/);
    const id = /market rent (p[0-9a-f]{16})$/m.exec(stdout)?.[1] ?? "";
    paid = 5;
    const shown = await market("rent", id, leases());
    expect(shown.stdout).toMatch(/first choice +1x RTX 4090 PCIe 24 GB +at most 1\.5000 +prepaid/);
    expect(verdictOf(await market("rent", id, leases(), "--auction=30"))).toEqual(
      refusal(1, "A plan says what is rented: leave out --auction."),
    );
  });

  test("of a file has it in its market", async () => {
    const file = join(directory, "run.yaml");
    const wished = "run:\n  preset: 0.1m\nmarket:\n  provider: [akash]\n  budget: 9\n";
    writeFileSync(file, `${wished}  auction: 50\n`);
    const shown = await market("rent", "-f", file, leases());
    expect(shown.stdout).toMatch(/first choice .*at most 1\.8000/);
    expect(plain(shown.stdout)).toContain("1 machine for up to 24:00:00, at most 1.8000 USD an hour");
    expect(plain(shown.stdout)).toContain("1 of 1 at an auction");
    writeFileSync(file, `${wished}  auction: cheap\n`);
    expect(verdictOf(await market("rent", "-f", file, leases()))).toEqual(refusal(1, /line 6: auction must be /));
  });
});

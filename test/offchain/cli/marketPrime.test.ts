/**
 * Machines of Prime Intellect, which starts nothing on them, rented by `cotrain market rent` as processes: they are told over SSH what
 * they are to do, once, also where who rented them is killed at that moment.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, test, vi } from "vitest";

import { adapterOf } from "../market/asking.ts";
import { fakeServer } from "../market/fakeServer.ts";
import { primeItem, SECRET } from "../market/providers.ts";
import { type Cloud, createCloud } from "../market/renting/cloud.ts";
import { prime } from "../market/renting/dialects/prime.ts";
import { type OwnBox, ownBox } from "../market/renting/ownBox.ts";
import { cotrain, type Ended, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;

let box: OwnBox;
let directory: string;
let cloud: Cloud;
let url: string;

beforeEach(async () => {
  box = ownBox();
  directory = temporaryDirectory();
  writeFileSync(join(directory, "start.sh"), "echo begins\n");
  writeFileSync(join(directory, "key"), "a private key\n");
  writeFileSync(join(directory, "key.pub"), `ssh-ed25519 ${"A".repeat(68)} me@box\n`);
  // Docker runs what it is told.
  box.write("hook", "sh .cotrain-rented/ct-*/start.sh >>said\n");
  cloud = createCloud({ now: Date.now }, prime.idOf);
  Object.assign(cloud, { bootFor: 1_000, killFor: 100 } satisfies Partial<Cloud>);
  const item = primeItem({
    cloudId: "n3-H100x8",
    gpuType: "H100_80GB",
    socket: "PCIe",
    provider: "hyperstack",
    dataCenter: "CANADA-1",
    country: "CA",
    gpuCount: 8,
    stockStatus: "Available",
    disk: { defaultCount: 100, maxCount: 3_000 },
    prices: { onDemand: 15.2, currency: "USD" },
  });
  ({ url } = await fakeServer({
    key: ["authorization", `Bearer ${SECRET}`],
    routes: {
      ...prime.routes(cloud),
      "GET /api/v1/availability/gpus": () => ({ body: { items: [item], totalCount: 1 } }),
    },
  }));
});

const at = () => [
  `--leases=${join(directory, "leases")}`,
  `--endpoint=prime=${url}/api/v1`,
  "--provider=prime",
  "--every=1s",
  `--keys=${join(directory, "keys")}`,
];
const order = () => [
  "rent",
  "--budget=200",
  "--accept-no-backstop",
  "--yes",
  `--image=${IMAGE}`,
  `--start=${join(directory, "start.sh")}`,
  `--cache=${join(directory, "cache")}`,
];
const keys = () => [`--ssh-key=${join(directory, "key.pub")}`, `--identity=${join(directory, "key")}`];
const market = (args: readonly string[], path = box.path): Promise<Ended> =>
  cotrain(["market", ...args, ...at()], {
    environment: { PATH: path, [adapterOf("prime").key?.variable ?? ""]: SECRET },
  });
const hasSaid = () => vi.waitFor(() => expect(box.read("said")).toBe("begins\n"), { timeout: 60_000 });

test("before anything is spent it is said what is missing to start them", { timeout: 300_000 }, async () => {
  expect(verdictOf(await market(order()))).toEqual(
    refusal(
      1,
      "Machines of Prime Intellect are started over SSH: name the public key that they let in, --ssh-key FILE, or leave them out, --without prime.",
    ),
  );
  expect(verdictOf(await market([...order(), ...keys()], directory))).toEqual(
    refusal(1, "There is no program ssh here, which starts what its provider does not."),
  );
  expect(verdictOf(await market([...order(), ...keys().slice(0, 1), "--identity=/nowhere/key"]))).toEqual(
    refusal(1, "The private key /nowhere/key cannot be read."),
  );
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(directory, "other")]);
  expect(
    verdictOf(await market([...order(), ...keys().slice(0, 1), `--identity=${join(directory, "other")}`])),
  ).toEqual(refusal(1, "is not the private half of the key that machines let in."));
  expect(cloud.machines).toEqual([]);
});

test(
  "its script runs, once, although who rented it was killed before that was noted; it is ended as others are",
  { timeout: 600_000 },
  async () => {
    box.write("fault", `rm "${box.home}/fault"; HOME="${box.home}" sh >/dev/null; kill -9 $PPID; exit 0\n`);
    const { code, stderr } = await market([...order(), ...keys()]);
    expect({ code, stderr }).toMatchObject({ code: null });
    await hasSaid();
    expect(stderr).not.toContain("is joined");
    const [machine, ...others] = cloud.machines;
    expect(others).toEqual([]);
    const { label } = machine!;
    const starts = join(directory, "leases/starts");
    expect(readdirSync(starts)).toEqual([`${label}.sh`]);

    const after = await market(["reconcile", "--once", ...keys().slice(1)]);
    expect(after.stderr).toContain(`${label} at prime is joined`);
    expect(readdirSync(starts)).toEqual([]);
    await hasSaid();
    // Neither what it is to do nor a key is an argument; the key's name is.
    const words = box.read("arguments");
    expect(words).toContain(`-i ${join(directory, "key")} -- 203.0.113.30 sh -s`);
    expect(words).not.toMatch(/begins|base64|a private key/);

    expect(await market(["terminate", "--all"])).toMatchObject({ code: 0 });
    const listed = await cotrain(["market", "list", "--all", "--json", ...at().slice(0, 1)]);
    const [lease] = (JSON.parse(listed.stdout) as { leases: readonly Record<string, unknown>[] }).leases;
    expect(lease).toMatchObject({ label, state: "gone" });
    expect(machine?.endsAt).toBeDefined();
  },
);

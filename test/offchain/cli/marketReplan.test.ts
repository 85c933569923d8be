/** `cotrain market replan`: what is rented, as it was measured, against what is offered now, and the word that it leaves. */
import { join } from "node:path";

import { beforeEach, expect, test } from "vitest";

import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import { openLedger } from "../../../offchain/src/market/leases/ledger.ts";
import { waitingRequests } from "../../../offchain/src/market/leases/place.ts";
import { type ClusterSpec, type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import { flopsOf } from "../../../offchain/src/market/speed.ts";
import { fakeServer } from "../market/fakeServer.ts";
import { clusterOf, kinds } from "../market/leases/world.ts";
import { offerOf } from "../market/offers.ts";
import { type Listed, rentalServer } from "./rentalServer.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

const gpu = gpuOf("RTX 4090") ?? offerOf().gpu;
const full = flopsOf(gpu) ?? 0;

let directory: string;
let url: string;
let listed: Listed[];

beforeEach(async () => {
  directory = temporaryDirectory();
  listed = [{ id: "m9", gpu: "RTX 4090", gpus: 1, usd_per_hour: "1.2" }];
  url = (await rentalServer(() => listed)).server.url;
});

/** A ledger whose machines train, each at a share of what is expected of its GPU. */
async function ledgerOf(
  shares: readonly number[],
  clusters: readonly string[] = ["c1"],
  account = "fake",
  change: Partial<ClusterSpec> = {},
): Promise<void> {
  const now = Date.now();
  const ledger = await openLedger(join(directory, "leases"), () => now);
  const leases = shares.map((share, slot): Lease => ({
    ...newLease,
    label: `ct-0a1b2c3d-0000000${slot}-1`,
    cluster: "c1",
    slot,
    attempt: 1,
    account,
    identity: "owner",
    offer: `${account}:m${slot}`,
    machine: "1x RTX 4090 24 GB",
    host: `${account}:m${slot}`,
    state: "joined",
    since: now,
    sentAt: now,
    joinedAt: now,
    perHour: 1_200_000n,
    maximum: 1_300_000n,
    terms: kinds[0]!,
    listed: { gpu, count: 1, tier: "secure", upstream: "fake", charge: "on-demand" },
    measured: { flops: share * full, up: null, down: null },
  }));
  const row = { slots: 3, budget: 200_000_000n, endsAt: now + 86_400_000, ...change };
  const kept = { rentedAt: now, assembled: true, stopping: null, warned: 0 };
  await ledger.read();
  await ledger.append({
    type: "measured",
    at: now,
    rows: {
      clusters: Object.fromEntries(clusters.map((id) => [id, { ...clusterOf({ ...row, id }), ...kept }])),
      leases: Object.fromEntries(leases.map((lease) => [lease.label, lease])),
    },
  });
  await ledger.close();
}

const replan = (...more: readonly string[]) => replanOf("--provider=fake", `--endpoint=fake=${url}`, ...more);
const replanOf = (...more: readonly string[]) =>
  cotrainHere([
    "market",
    "replan",
    `--cache=${join(directory, "cache")}`,
    `--keys=${join(directory, "keys")}`,
    `--leases=${join(directory, "leases")}`,
    ...more,
  ]);
const of = async (...more: readonly string[]): Promise<string> => (await replan(...more)).stdout;
const plain = (text: string): string => text.replaceAll(/\s+/g, " ");
const requests = async () => (await waitingRequests(join(directory, "leases"))).map(({ request }) => request);
const slow = "ct-0a1b2c3d-00000002-1";

test("says which machine it would let go, for which, and why, and does nothing without a word", async () => {
  await ledgerOf([1, 1, 0.05]);
  const { code, stdout } = await replan();
  expect(code).toBe(0);
  expect(plain(stdout)).toContain(`${slow} (1x RTX 4090 24 GB, `);
  expect(plain(stdout)).toMatch(
    /is let go: 1x RTX 4090 24 GB of fake:m9 takes its place\. With what is left \d+\.\d% more is trained, what the change costs counted: 10\^9 effective tokens cost \d+\.\d\d USD then and not \d+\.\d\d, and a round lasts \d+ s and not \d+\. Nothing was replaced: that takes --yes\./,
  );
  expect(await requests()).toEqual([]);
});

test("with a word it leaves it to the process that keeps the leases, with the price that may be", async () => {
  await ledgerOf([1, 1, 0.05]);
  const { stdout } = await replan("--yes", "--drain=5m", "--json", "c1");
  expect(JSON.parse(stdout)).toMatchObject({ cluster: "c1", changes: [{ label: slow, offer: "fake:m9" }], done: true });
  expect(await requests()).toEqual([
    {
      type: "replace",
      label: slow,
      wish: { offer: "fake:m9", machine: "1x RTX 4090 24 GB", maximumPerHour: "1260000" },
      words: "A new plan: fake:m9 takes its place.",
      drainMs: 300_000,
    },
  ]);
});

test("at an auction a machine counts at the limit that its cluster was rented with, and may cost no more", async () => {
  const model = { vendor: "nvidia", model: "rtx4090", ram: "24Gi", interface: "PCIe", availability: { available: 3 } };
  const body = { models: [{ ...model, price: { currency: "USD", med: 0.96 } }] };
  const { url: auction } = await fakeServer({ routes: { "GET /v1/gpu-prices": () => ({ body }) } });
  const wishes = async (change: Partial<ClusterSpec>) => {
    directory = temporaryDirectory();
    await ledgerOf([1, 1, 0.05], ["c1"], "akash", change);
    await replanOf("--provider=akash", `--endpoint=akash=${auction}`, "--inner-steps=5000", "--yes");
    return (await requests()).map((request) => request?.type === "replace" && request.wish);
  };
  const wish = {
    offer: "akash:nvidia/rtx4090/24Gi/PCIe",
    machine: "1x RTX 4090 PCIe 24 GB",
    maximumPerHour: "1200000",
  };
  expect(await wishes({ auction: 25 })).toEqual([wish]);
  expect(await wishes({})).not.toContainEqual(expect.objectContaining({ offer: wish.offer }));
});

test("where all do what is expected nothing is to be replaced", async () => {
  await ledgerOf([1, 1, 1]);
  const { code, stdout } = await replan("--yes");
  expect({ code, stdout: plain(stdout) }).toEqual({
    code: 0,
    stdout: "Nothing is to be replaced: no change is worth what it costs. ",
  });
  expect(await requests()).toEqual([]);
});

test("offers of accounts that nobody rented from are left to themselves", async () => {
  await ledgerOf([1, 1, 0.05]);
  listed = [];
  const { stdout } = await replan("--json");
  const { changes } = JSON.parse(stdout) as { changes: { offer: string | null }[] };
  expect(changes.every(({ offer }) => offer === null)).toBe(true);
});

test("one of several clusters must be named, and one that is there", async () => {
  await ledgerOf([1, 1, 1], ["c1", "c2"]);
  expect((await replan()).stderr).toContain("Several clusters are rented: name one of market cost.");
  expect((await replan("c3")).stderr).toContain("No such cluster is rented: name one of market cost.");
});

test("model, rounds, coordinator and kind of cluster are those that are given", async () => {
  await ledgerOf([1, 1, 0.05]);
  const usual = await of();
  expect(await of("--preset=20m")).not.toBe(usual);
  expect(await of("--inner-steps=50")).not.toBe(usual);
  expect(await of("--hub-link=10")).not.toBe(usual);
  expect(await of("--hub-cost=50")).not.toBe(usual);
  expect(await of("--most-gpus=2")).not.toBe(usual);
  expect(await of("--mode=fabric")).not.toBe(usual);
});

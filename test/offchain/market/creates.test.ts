/** What became of creates that were tried counts where a cluster is planned, beside what providers say of their stock. */
import { describe, expect, test } from "vitest";

import { presetOf } from "../../../offchain/src/engine/index.ts";
import { createsIn } from "../../../offchain/src/market/creates.ts";
import { firstChoices } from "../../../offchain/src/market/firstChoice.ts";
import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import { type DoomReason, type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import { machineText, type Offer } from "../../../offchain/src/market/offer.ts";
import { assumptions, machineOf } from "../../../offchain/src/market/planner/machines.ts";
import { trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import { kinds } from "./leases/world.ts";
import { NOW, offerOf } from "./offers.ts";

const DAY = 86_400_000;
const run = trainingRunOf(presetOf("150m").model, 65_536, 100);
const gpu = gpuOf("RTX 3090");
if (gpu === undefined) throw new RangeError("RTX 3090");
const offer = offerOf({ gpu, provider: "vast", stock: "in stock" });

/** A create of so long ago, by what became of it: the reason of its end before it joined, or that it joined. */
const tried = (became: DoomReason | "joined" | "open", ago = DAY, of: Partial<Offer> = {}): Lease => ({
  ...newLease,
  label: "",
  cluster: "c1",
  slot: 0,
  attempt: 1,
  account: of.provider ?? "vast",
  identity: "owner",
  offer: "vast:1",
  machine: machineText({ gpu: of.gpu ?? gpu, count: of.count ?? 1 }),
  host: "vast:1",
  state: became === "joined" ? "joined" : became === "open" ? "creating" : "gone",
  since: NOW - ago,
  sentAt: NOW - ago,
  perHour: 0n,
  maximum: 0n,
  terms: kinds[0]!,
  ...(became === "joined" ? { joinedAt: NOW - ago } : {}),
  ...(became === "joined" || became === "open" ? {} : { doomed: { reason: became, words: "", at: NOW } }),
});
const of = (...leases: readonly Lease[]) =>
  createsIn({ leases: Object.fromEntries(leases.map((lease, index) => [String(index), lease])) }, NOW);
const missing = (...leases: readonly Lease[]): number => {
  const machine = machineOf(offer, run, { now: NOW, sample: false, createsOf: of(...leases) });
  if (typeof machine === "string") throw new RangeError(machine);
  return machine.missing;
};

describe("creates that were tried", () => {
  test("failed where none came or none joined, and not where one joined, whatever became of it", () => {
    const lost = { ...tried("joined"), state: "gone", doomed: { reason: "preempted", words: "", at: NOW } } as const;
    const creates = of(tried("refused"), tried("provisioning"), tried("failed"), tried("joined"), lost);
    expect(creates(offer)).toEqual({ tried: 5, failed: 3 });
  });

  test("say nothing where they are open, or were given up here", () => {
    expect(of(tried("open"), tried("stopped"), tried("budget"), tried("unsent"))(offer)).toBeUndefined();
  });

  test("are those of the provider and the GPU, whatever their number on a machine", () => {
    const other = gpuOf("RTX 4090");
    const creates = of(tried("refused", DAY, { provider: "runpod" }), tried("refused", DAY, { gpu: other! }));
    expect(creates(offer)).toBeUndefined();
    expect(of(tried("refused", DAY, { count: 4 }))(offer)).toEqual({ tried: 1, failed: 1 });
  });

  test("are forgotten after two weeks, and no more than the newest 32 count", () => {
    expect(of(tried("refused", 15 * DAY))(offer)).toBeUndefined();
    const many = Array.from({ length: 40 }, (_, index) => tried(index < 32 ? "joined" : "refused", DAY + index));
    expect(of(...many)(offer)).toEqual({ tried: 32, failed: 0 });
  });
});

describe("the chance that a create finds none", () => {
  const told = assumptions.missing["in stock"];

  test("is by the stock alone where none was tried", () => {
    expect(missing()).toBe(told);
  });

  test("grows with those that failed and shrinks with those that came", () => {
    expect(missing(tried("refused"))).toBeCloseTo((4 * told + 1) / 5);
    expect(missing(tried("refused"), tried("joined"))).toBeCloseTo((4 * told + 1) / 6);
    expect(missing(tried("joined"))).toBeLessThan(told);
  });

  test("stays below one, so that the offer is not lost for ever", () => {
    expect(missing(...Array.from({ length: 200 }, () => tried("refused")))).toBeLessThanOrEqual(0.9);
  });
});

const HOURS = 3_600;
const cents = (perHour: number, of: Partial<Offer>): Offer =>
  offerOf({
    stock: "in stock",
    price: { charge: "on-demand", perHour: BigInt(perHour) * 10_000n, firm: true },
    ...of,
  });
const cheap = cents(30, { id: "vast:1", provider: "vast", gpu });
const other = cents(32, { id: "runpod:1", provider: "runpod", gpu });
const failed = Array.from({ length: 9 }, () => tried("refused"));
const first = (offers: readonly Offer[], seconds: number, ...leases: readonly Lease[]) =>
  firstChoices(offers, of(...leases), seconds).map(({ id }) => id);

describe("what is rented first without a plan", () => {
  test("is the cheapest, where nothing was tried or what was tried came", () => {
    expect(first([other, cheap], 4 * HOURS)).toEqual(["vast:1", "runpod:1"]);
    expect(first([other, cheap], 4 * HOURS, tried("joined"))).toEqual(["vast:1", "runpod:1"]);
  });

  test("is another where creates of the cheapest lately came to none, unless it is much dearer", () => {
    expect(first([cheap, other], 4 * HOURS, ...failed)).toEqual(["runpod:1", "vast:1"]);
    const dear = cents(60, { id: "runpod:1", provider: "runpod", gpu });
    expect(first([cheap, dear], 4 * HOURS, ...failed)).toEqual(["vast:1", "runpod:1"]);
  });

  test("counts what is waited for against the time for which it is rented", () => {
    // 70% come to none: 23 minutes in the mean.
    expect(first([cheap, other], 48 * HOURS, ...failed)).toEqual(["vast:1", "runpod:1"]);
    const dear = cents(300, { id: "runpod:1", provider: "runpod", gpu });
    expect(first([cheap, dear], 0.25 * HOURS, ...failed)).toEqual(["runpod:1", "vast:1"]);
  });

  test("is by a GPU's hour, and as it stands among those of one price", () => {
    const two = cents(60, { id: "vast:0", provider: "vast", gpu, count: 2 });
    expect(first([cheap, two], HOURS)).toEqual(["vast:1", "vast:0"]);
    expect(first([two, cheap], HOURS)).toEqual(["vast:0", "vast:1"]);
  });
});

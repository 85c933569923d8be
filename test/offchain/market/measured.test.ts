/** What the ledger knows of machines that were rented takes the place of what is assumed of them. */
import { describe, expect, test } from "vitest";

import { measuredIn } from "../../../offchain/src/market/measured.ts";
import { hostOf } from "../../../offchain/src/market/leases/slots.ts";
import { type Lease, type Measured, newLease } from "../../../offchain/src/market/leases/state.ts";
import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import { machineText, type Offer } from "../../../offchain/src/market/offer.ts";
import { machineOf } from "../../../offchain/src/market/planner/machines.ts";
import { trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import { presetOf } from "../../../offchain/src/engine/index.ts";
import { kinds } from "./leases/world.ts";
import { NOW, offerOf } from "./offers.ts";

const run = trainingRunOf(presetOf("150m").model, 65_536, 100);
const rtx = (change: Partial<Offer> = {}): Offer => {
  const gpu = gpuOf("RTX 3090");
  if (gpu === undefined) throw new RangeError("RTX 3090");
  return offerOf({ gpu, provider: "vast", machineId: "m1", ...change });
};
const leaseOf = (offer: Offer, measured: Measured | undefined, since = NOW): Lease => ({
  ...newLease,
  label: `ct-${offer.id}-${since}`,
  cluster: "c1",
  slot: 0,
  attempt: 1,
  account: offer.provider,
  identity: "owner",
  offer: offer.id,
  machine: machineText(offer),
  host: hostOf(offer),
  state: "gone",
  since,
  perHour: 0n,
  maximum: 0n,
  terms: kinds[0]!,
  ...(measured && { measured }),
});
const bookOf = (...leases: readonly Lease[]) => ({
  leases: Object.fromEntries(leases.map((lease) => [lease.label, lease])),
});
const linked = (flops: number): Measured => ({ flops, up: 1_000_000, down: 2_000_000 });

describe("what is known of a machine", () => {
  test("is what it was measured to do last, with its link, under whatever offer", () => {
    const known = measuredIn(bookOf(leaseOf(rtx(), linked(1e13)), leaseOf(rtx(), linked(2e13), NOW + 1)));
    expect(known(rtx({ id: "vast:77", count: 2 }))).toEqual({ ...linked(2e13), of: "this machine" });
  });

  test("is the middle of others with such GPUs, without a link, whatever their number on a machine", () => {
    const others = [3e13, 1e13, 2e13].map((flops, index) =>
      leaseOf(rtx({ id: `vast:${index}`, machineId: `m${index + 2}`, count: index + 1 }), linked(flops)),
    );
    const known = measuredIn(bookOf(...others));
    expect(known(rtx())).toEqual({ flops: 2e13, up: null, down: null, of: "such GPUs" });
  });

  test("is no more than the maker says of its GPU, whoever measured it", () => {
    const known = measuredIn(bookOf(leaseOf(rtx(), linked(9e15))));
    expect(known(rtx())).toMatchObject({ flops: 71e12, of: "this machine" });
    expect(known(rtx({ machineId: "m2" }))).toMatchObject({ flops: 71e12, of: "such GPUs" });
  });

  test("is of a community machine what that did, and says nothing of others with the GPUs that its owner names", () => {
    const lent = rtx({ provider: "community" });
    const known = measuredIn(bookOf(leaseOf(lent, linked(1e10))));
    expect(known(lent)).toMatchObject({ flops: 1e10, of: "this machine" });
    expect(known(rtx())).toBeUndefined();
    expect(known(rtx({ provider: "community", machineId: "m2" }))).toBeUndefined();
  });

  test("is nothing where no such GPU was measured", () => {
    const known = measuredIn(bookOf(leaseOf(rtx(), undefined), leaseOf(offerOf(), linked(1e14))));
    expect(known(rtx())).toBeUndefined();
  });

  test("is not taken from another host of the same machine's name", () => {
    const known = measuredIn(bookOf(leaseOf(rtx({ upstream: "other" }), linked(1e13))));
    expect(known(rtx())?.of).toBe("such GPUs");
  });
});

const machine = (offer: Offer, ...leases: readonly Lease[]) => {
  const found = machineOf(offer, run, { now: NOW, sample: false, measuredOf: measuredIn(bookOf(...leases)) });
  if (typeof found === "string") throw new RangeError(found);
  return found;
};

describe("the planner", () => {
  test("takes speed and link of a machine that was measured, for each of its GPUs", () => {
    const two = rtx({ count: 2 });
    expect(machine(two, leaseOf(two, linked(1e13)))).toMatchObject({
      speed: (2 * 1e13) / run.flopPerToken,
      up: 1_000_000,
      down: 2_000_000,
    });
  });

  test("takes the speed of such GPUs and the link that is told, and what is assumed where nothing is known", () => {
    const other = leaseOf(rtx({ machineId: "m9" }), linked(1e13));
    expect(machine(rtx(), other)).toMatchObject({ speed: 1e13 / run.flopPerToken, up: 125_000 * 1_000 });
    expect(machine(rtx(), leaseOf(offerOf(), linked(1e13)))).toEqual(machine(rtx()));
  });

  test("takes the link that is told where too little went to measure it", () => {
    const slow = leaseOf(rtx(), { flops: 1e13, up: null, down: 5 });
    expect(machine(rtx(), slow)).toMatchObject({ up: 125_000 * 1_000, down: 5 });
  });
});

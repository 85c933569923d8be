/** How reliable a community machine is, by what became of it here. */
import { describe, expect, test } from "vitest";

import { reliabilityIn } from "../../../offchain/src/market/community/reliability.ts";
import { hostOf } from "../../../offchain/src/market/leases/slots.ts";
import { type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import { machineText, type Offer } from "../../../offchain/src/market/offer.ts";
import { kinds } from "./leases/world.ts";
import { NOW, offerOf } from "./offers.ts";

const PERIOD = 300_000;
const PRICE = 1_200_000n;
const machine = (owner: string, key: string, id = "community:1"): Offer =>
  offerOf({ id, provider: "community", upstream: owner, machineId: key });

/** A lease of so many periods, of which so many were paid. */
const leaseOf = (offer: Offer, periods: number, paid: number, change: Partial<Lease> = {}): Lease => ({
  ...newLease,
  label: `ct-${offer.id}-${periods}-${paid}`,
  cluster: "c1",
  slot: 0,
  attempt: 1,
  account: offer.provider,
  identity: "renter",
  offer: offer.id,
  machine: machineText(offer),
  host: hostOf(offer),
  state: "gone",
  since: NOW,
  perHour: PRICE,
  maximum: PRICE,
  terms: kinds[0]!,
  answeredAt: NOW,
  joinedAt: NOW,
  goneAt: NOW + periods * PERIOD + 900_000,
  doomed: { reason: "stopped", words: "", at: NOW + periods * PERIOD },
  billed: (PRICE * BigInt(paid)) / 12n,
  ...change,
});
const bookOf = (...leases: readonly Lease[]) => ({
  leases: Object.fromEntries(leases.map((lease) => [lease.label, lease])),
});

describe("a community machine's reliability", () => {
  const [offer, other] = [machine("0xowner", "0xkey"), machine("0xowner", "0xother")];

  test("is low before it was rented, also of another key of a good owner's", () => {
    expect(reliabilityIn(undefined)(offer)).toBe(250_000);
    expect(reliabilityIn(bookOf(leaseOf(offer, 96, 96)))(other)).toBe(250_000);
    expect(reliabilityIn(bookOf(leaseOf(offer, 96, 96)))(machine("0xanother", "0xkey"))).toBe(250_000);
  });

  test("grows with each period that was paid, under whatever offer, and falls with each that was not", () => {
    const again = machine("0xowner", "0xkey", "community:2");
    expect(reliabilityIn(bookOf(leaseOf(offer, 12, 12)))(again)).toBe(812_500);
    expect(reliabilityIn(bookOf(leaseOf(offer, 12, 12), leaseOf(again, 16, 3)))(offer)).toBe(500_000);
    // What was finished after its end was asked for is no more than all.
    expect(reliabilityIn(bookOf(leaseOf(offer, 12, 14)))(offer)).toBe(812_500);
  });

  test("falls with a machine that took a lease and never worked; others' accounts and open leases say nothing", () => {
    const idle = leaseOf(offer, 4, 0, { joinedAt: null });
    expect(reliabilityIn(bookOf(idle))(offer)).toBe(125_000);
    const open = leaseOf(offer, 12, 0, { state: "joined", billed: null });
    expect(reliabilityIn(bookOf(open, { ...idle, account: "vast" }))(offer)).toBe(250_000);
  });
});

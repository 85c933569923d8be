/** What a lease of a community machine is, as its renter keeps it: to the machine, and to whoever looks after leases. */
import type { LeaseView, RenterWord } from "@cotrain/sdk/protocol";

import type { Instance, InstanceState } from "../base/renting.ts";
import type { Rented } from "./tenancy.ts";

/** A worker that was heard of within this, ms, is alive. */
const ALIVE = 10_000;

const stateOf: Readonly<Record<Rented["state"], InstanceState>> = {
  asked: "creating",
  opening: "creating",
  open: "running",
  ending: "ending",
  over: "gone",
};

export const isAlive = ({ member, heardMs }: LeaseView): boolean => member && heardMs !== null && heardMs <= ALIVE;

export const depositOf = ({ asked }: Rented): bigint => BigInt(asked.offer.deposit);
export const owedOf = ({ voucher }: Rented): bigint => BigInt(voucher?.voucher.cumulative ?? 0);

export const wordOf = (rented: Rented): RenterWord => ({
  terms: rented.terms,
  asked: rented.asked,
  passes: rented.state === "open" ? rented.passes : [],
  voucher: rented.voucher,
  end: rented.state === "ending" || rented.state === "over",
});

export const instanceOf = (rented: Rented): Instance => ({
  id: rented.leaseId,
  label: rented.label,
  state: stateOf[rented.state],
  words: rented.words === "" ? rented.state : rented.words,
  perHour: BigInt(rented.perHour),
  createdAt: rented.createdAt,
});

/** What a lease is before anything came of it. */
export const newRented = {
  state: "asked",
  channel: "none",
  voucher: null,
  paidMs: 0,
  aliveAt: null,
  alive: 0,
  words: "",
} as const;

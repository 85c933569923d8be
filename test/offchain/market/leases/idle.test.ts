/** Machines that have no work: when one is idle, who is told, and when it is ended. */
import { describe, expect, test } from "vitest";

import type { Alarm, LeaseEffect, LeaseEvent } from "../../../../offchain/src/market/leases/events.ts";
import { applied, changesOf } from "../../../../offchain/src/market/leases/ledger.ts";
import { step } from "../../../../offchain/src/market/leases/machine.ts";
import {
  type Book,
  type Cluster,
  emptyKept,
  type Lease,
  leasesOf,
  newLease,
  openBook,
} from "../../../../offchain/src/market/leases/state.ts";
import { NOW } from "../offers.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./world.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const terms = { ...kinds[0]!, minimumSeconds: 600 };

const leaseOf = (slot: number, change: Partial<Lease> = {}): Lease => ({
  ...newLease,
  label: `ct-${INSTALLATION}-0000000${slot}-1`,
  cluster: "c1",
  slot,
  attempt: 1,
  account: "cloud",
  identity: "owner",
  offer: "cloud:1",
  machine: "RTX 4090",
  host: "cloud:1",
  state: "joined",
  since: NOW,
  perHour: 100_000n,
  maximum: 100_000n,
  instance: `i${slot}`,
  shown: true,
  terms,
  sentAt: NOW,
  answeredAt: NOW,
  joinedAt: NOW,
  beatAt: NOW,
  ...change,
});

/** So many machines of a run, which are heard of each minute. */
function stage(
  slots: number,
  idle: Cluster["idle"] | null = { after: HOUR, ends: false },
  change: Partial<Lease> = {},
) {
  const cluster: Cluster = {
    ...clusterOf({ slots, ...(idle === null || idle === undefined ? {} : { idle }) }),
    rentedAt: NOW,
    assembled: true,
    stopping: null,
    warned: 0,
  };
  const leases = Array.from({ length: slots }, (_, slot) => leaseOf(slot, change));
  let book: Book = {
    ...openBook(INSTALLATION, emptyKept),
    clusters: { c1: cluster },
    leases: Object.fromEntries(leases.map((lease) => [lease.label, lease])),
  };
  let at = NOW;
  const alarms: Alarm[] = [];
  const asked: LeaseEffect[] = [];
  let entries = 0;
  type Untimed = LeaseEvent extends infer E ? (E extends LeaseEvent ? Omit<E, "at"> : never) : never;
  const tell = (event: Untimed): void => {
    const next = step(book, { ...event, at }, rules);
    if (Object.keys(changesOf(book, next.book)).length > 0) entries += 1;
    book = next.book;
    for (const effect of next.effects)
      if (effect.type === "alarm") alarms.push(effect);
      else asked.push(effect);
  };
  return {
    /** Each minute of a time it is heard which machines have work; nobody is heard of where that is null. */
    pass: (ms: number, working: readonly boolean[] | null) => {
      for (const end = at + ms; at < end;) {
        at += MINUTE;
        for (const [slot, works] of (working ?? []).entries())
          tell({ type: "beat", label: leases[slot]!.label, ...(works ? {} : { idle: true }) });
        tell({ type: "tick" });
      }
    },
    /** Time in which no process kept the leases, after which another one does. */
    reopen: (ms: number) => {
      at += ms;
      const kept = JSON.stringify(changesOf(emptyKept, book), (_, value: unknown) =>
        typeof value === "bigint" ? value.toString() : value,
      );
      book = openBook(INSTALLATION, applied(emptyKept, JSON.parse(kept)));
      tell({ type: "opened" });
    },
    alarms: () => alarms.filter(({ what }) => what === "idle"),
    states: () => leasesOf(book).map(({ state, doomed }) => doomed?.reason ?? state),
    lease: () => leasesOf(book)[0]!,
    cluster: () => book.clusters["c1"]!,
    asked,
    entries: () => entries,
  };
}

describe("a machine without work", () => {
  test("is told of once, with since when, after as long as its cluster says", () => {
    const { pass, alarms, states, lease } = stage(2);
    pass(30 * MINUTE, [true, true]);
    pass(58 * MINUTE, [false, true]);
    expect(alarms()).toEqual([]);
    pass(10 * MINUTE, [false, true]);
    const since = new Date(NOW + 31 * MINUTE).toISOString();
    expect(alarms()).toHaveLength(1);
    expect(alarms()[0]).toMatchObject({ what: "idle", cluster: "c1", label: lease().label });
    expect(alarms()[0]?.sentence).toContain(`goes on to cost. It has had no work since ${since}.`);
    pass(2 * HOUR, [false, true]);
    expect(alarms()).toHaveLength(1);
    expect(states()).toEqual(["joined", "joined"]);
  });

  test("is idle no more once it has some, and is told of anew", () => {
    const { pass, alarms, lease } = stage(1);
    pass(59 * MINUTE, [false]);
    pass(MINUTE, [true]);
    expect(lease().idle).toBeNull();
    pass(59 * MINUTE, [false]);
    expect(alarms()).toEqual([]);
    pass(5 * MINUTE, [false]);
    pass(MINUTE, [true]);
    pass(70 * MINUTE, [false]);
    expect(alarms()).toHaveLength(2);
  });

  test("is not while it boots, nor in the time that is paid at the least", () => {
    const { pass, lease } = stage(1, { after: 5 * MINUTE, ends: true });
    pass(9 * MINUTE, [false]);
    expect(lease()).toMatchObject({ state: "joined" });
    expect(lease().idle ?? null).toBeNull();
    pass(4 * MINUTE, [false]);
    expect(lease().idle).toMatchObject({ since: NOW + 10 * MINUTE });
    pass(4 * MINUTE, [false]);
    expect(lease().doomed?.reason).toBe("idle");
  });

  test("is nobody's matter where it joins no run", () => {
    const { pass, alarms, states } = stage(1, null);
    pass(5 * HOUR, [false]);
    expect([alarms(), states()]).toEqual([[], ["joined"]]);
  });

  test("is written down now and then, and not at each look", () => {
    const { pass, entries } = stage(1);
    pass(20 * MINUTE, [true]);
    const before = entries();
    pass(50 * MINUTE, [false]);
    expect(entries() - before).toBeLessThanOrEqual(27);
  });
});

describe("time in which nobody could see work", () => {
  test("does not count: a coordinator that was away makes no machine idle", () => {
    const { pass, alarms, lease } = stage(1);
    pass(50 * MINUTE, [false]);
    pass(8 * MINUTE, null);
    pass(50 * MINUTE, [false]);
    expect(alarms()).toEqual([]);
    expect(lease().idle?.since).toBe(NOW + 59 * MINUTE);
  });

  test("counts where it is a moment, also between two processes, and none is told twice", () => {
    const { pass, alarms, reopen } = stage(1);
    pass(50 * MINUTE, [false]);
    reopen(3 * MINUTE);
    pass(20 * MINUTE, [false]);
    expect(alarms()).toHaveLength(1);
    reopen(3 * MINUTE);
    pass(20 * MINUTE, [false]);
    expect(alarms()).toHaveLength(1);
  });

  test("does not where no process kept the leases", () => {
    const { pass, alarms, reopen } = stage(1);
    pass(50 * MINUTE, [false]);
    reopen(2 * HOUR);
    pass(50 * MINUTE, [false]);
    expect(alarms()).toEqual([]);
  });
});

describe("autostop", () => {
  const autostop = { after: HOUR, ends: true };

  test("ends an idle machine as any other, and rents none in its place", () => {
    const { pass, states, cluster, asked, alarms } = stage(2, autostop);
    pass(90 * MINUTE, [false, true]);
    expect(states()).toEqual(["idle", "joined"]);
    expect(alarms()[0]?.sentence).toContain("is idle and is ended.");
    expect(cluster()).toMatchObject({ stopping: null, again: { 0: null } });
    expect(asked.some(({ type }) => type === "terminate")).toBe(true);
    expect(asked.some(({ type }) => type === "quote" || type === "create")).toBe(false);
  });

  test("ends the cluster with the last of its machines", () => {
    const { pass, states, cluster } = stage(2, autostop);
    pass(90 * MINUTE, [false, true]);
    pass(90 * MINUTE, [false, false]);
    expect(states()).toEqual(["idle", "idle"]);
    expect(cluster().stopping).toMatchObject({ reason: "idle", words: "All its machines were idle." });
  });

  test("pays no further hour for a machine that it will have ended by then", () => {
    const paidBefore = { terms: { ...terms, prepaidSeconds: 7_200 } };
    const paysLonger = (idle: Cluster["idle"]) => {
      const { pass, asked } = stage(1, idle, paidBefore);
      pass(HOUR, [true]);
      pass(50 * MINUTE, [false]);
      return asked.filter(({ type }) => type === "extend").length;
    };
    expect(paysLonger({ after: 55 * MINUTE, ends: true })).toBe(0);
    expect(paysLonger({ after: 65 * MINUTE, ends: true })).toBe(1);
    expect(paysLonger({ after: 55 * MINUTE, ends: false })).toBe(1);
  });
});

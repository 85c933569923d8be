/** Planning again what is rented: what is measured counts, what a change costs counts too, and few machines are replaced at once. */
import { describe, expect, test } from "vitest";

import { presetOf } from "../../../offchain/src/engine/index.ts";
import { replanOf, type Running } from "../../../offchain/src/market/planner/again.ts";
import { expectedOf, hopeful } from "../../../offchain/src/market/planner/belief.ts";
import type { Machine } from "../../../offchain/src/market/planner/model.ts";
import { trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import { type Goal, outcomeOf, type Task } from "../../../offchain/src/market/planner/search.ts";
import { proposalOf } from "../../../offchain/src/market/replan.ts";
import { emptyKept, type Lease, newLease, openBook } from "../../../offchain/src/market/leases/state.ts";
import { machineText, type Offer } from "../../../offchain/src/market/offer.ts";
import { flopsOf } from "../../../offchain/src/market/speed.ts";
import { clusterOf, INSTALLATION, kinds } from "./leases/world.ts";
import { machine } from "./machine.ts";
import { NOW, offerOf } from "./offers.ts";

const DAY = 86_400;
const run = trainingRunOf(presetOf("150m").model, 65_536, 100);
const hub = { inRate: 1.25e9, outRate: 1.25e9, reduceSeconds: 5, cost: 50 };
const most: Goal = { kind: "most tokens", budget: 1e9, deadline: DAY };
const taskOf = (goal: Goal = most): Task => ({ run, hub, goal, mostGpus: 16 });
const named = (id: string, change: Partial<Machine> = {}): Machine => ({ ...machine, id, ...change });
const there = (id: string, change: Partial<Machine> = {}, leaving = 5_560): Running => ({
  machine: named(id, { ready: true, ...change }),
  leaving,
});
/** So many tokens that all of them are needed for a day. */
function dayOf(running: readonly Running[]): Task {
  const rate = outcomeOf(
    running.map((each) => each.machine),
    taskOf(),
  )?.cluster.rate;
  return taskOf({ kind: "least cost", tokens: 0.9 * (rate ?? 0) * DAY, deadline: DAY });
}
const fixed = { most: 3, margin: 0.03, machines: 3 };
const ids = (machines: readonly Machine[] = []) => machines.map(({ id }) => id).toSorted();
const slow = { speed: 5_000 };

const withSlower = (leaving: number) => [there("a"), there("b"), there("c", { speed: 40_000 }, leaving)];
const rateOf = (change: Partial<Machine>): number => outcomeOf([named("a", change)], taskOf())?.cluster.rate ?? 0;

describe("what is rented is planned again", () => {
  test("a machine that turns out slow is let go for one that is as others", () => {
    const plan = replanOf([there("a"), there("b"), there("c", slow)], [named("d"), named("e")], taskOf(), fixed);
    expect([ids(plan?.leaves), ids(plan?.takes).length]).toEqual([["c"], 1]);
    expect(plan?.saves).toBeGreaterThan(fixed.margin);
  });

  test("what is as good as the others stays", () => {
    expect(replanOf([there("a"), there("b"), there("c")], [named("d"), named("e")], taskOf(), fixed)).toBeUndefined();
  });

  test("a gain below the margin is no reason", () => {
    const running = [there("a"), there("b"), there("c")];
    const others = [named("d", { price: 540 })];
    const bounded = dayOf(running);
    expect(replanOf(running, others, bounded, { ...fixed, margin: 0 })?.takes).toHaveLength(1);
    expect(replanOf(running, others, bounded, fixed)).toBeUndefined();
  });

  test("time that is paid for and not used is counted", () => {
    const task = dayOf(withSlower(0));
    expect(ids(replanOf(withSlower(0), [named("d")], task, fixed)?.leaves)).toEqual(["c"]);
    expect(replanOf(withSlower(40e6), [named("d")], task, fixed)).toBeUndefined();
  });

  test("no more are taken at once than may be", () => {
    const running = ["a", "b", "c"].map((id) => there(id, slow));
    const others = ["d", "e", "f"].map((id) => named(id));
    expect(replanOf(running, others, taskOf(), { ...fixed, most: 1 })?.takes).toHaveLength(1);
    expect(replanOf(running, others, taskOf(), fixed)?.takes).toHaveLength(3);
  });

  test("and there are no more machines than places", () => {
    const others = ["d", "e", "f"].map((id) => named(id));
    const plan = replanOf([there("a"), there("b"), there("c", slow)], others, taskOf(), fixed);
    expect(plan?.after.cluster.members).toHaveLength(3);
    expect(
      replanOf([there("a"), there("b"), there("c", slow)], others, taskOf(), { most: 3, margin: 0.03 })?.after.cluster
        .members.length,
    ).toBeGreaterThan(3);
  });

  test("a run that would be late is made to be in time, though it costs more", () => {
    const rate = outcomeOf([named("a", { ready: true })], taskOf())?.cluster.rate ?? 0;
    const late = taskOf({ kind: "least cost", tokens: 1.5 * rate * DAY, deadline: DAY });
    const plan = replanOf([there("a")], [named("d", { price: 1_200 }), named("e", { price: 1_200 })], late);
    expect(plan?.sure).toEqual([0, 1]);
    expect(ids(plan?.leaves)).toEqual([]);
    expect(plan?.takes.length).toBeGreaterThan(0);
  });

  test("a machine that trains neither waits nor boots, until it dies", () => {
    const boots = { provisioning: 7_200, missing: 0.5 };
    expect(rateOf({ ...boots, ready: true })).toBeCloseTo(rateOf({ provisioning: 0, ready: true }), 3);
    expect(rateOf(boots)).toBeLessThan(0.95 * rateOf({ ...boots, ready: true }));
    const restless = { ...boots, deathRate: 1 / 3_600, ready: true };
    expect(rateOf(restless)).toBeLessThan(0.7 * rateOf({ ...restless, provisioning: 0, missing: 0 }));
  });
});

const seen = [1, 2, 3].map(() => ({ gpu: "RTX 4090 24 GB", cloud: "one", speed: 0.5, up: 0.25 }));
const afterSome = (count: number) => expectedOf(seen.slice(0, count), { gpu: "RTX 4090 24 GB", cloud: "one" });

describe("what is expected of others", () => {
  test("follows those with such GPUs and of that cloud, the more the more they are", () => {
    expect(afterSome(0)).toEqual({ speed: 1, up: 1, down: 1 });
    expect(afterSome(1).speed).toBeGreaterThan(afterSome(3).speed);
    expect(afterSome(3).speed).toBeGreaterThan(0.5);
    expect(afterSome(3).up).toBeLessThan(afterSome(1).up);
    // What nobody measured stays.
    expect(afterSome(3).down).toBe(1);
  });

  test("is drawn towards all where such were never seen", () => {
    const other = expectedOf(seen, { gpu: "A40 48 GB", cloud: "two" });
    const same = expectedOf(seen, { gpu: "RTX 4090 24 GB", cloud: "one" });
    expect([other.speed < 1, other.speed > same.speed, other.up < 1, other.up > same.up]).toEqual(Array(4).fill(true));
  });

  test("is somewhat better than the middle where it is only tried", () => {
    const { speed, up, down, price } = hopeful(machine);
    expect([speed > machine.speed, up > machine.up, down > machine.down, price === machine.price]).toEqual(
      Array(4).fill(true),
    );
  });
});

const offers = ["vast:1", "vast:2", "vast:3"].map((id) => offerOf({ id, usd: 2 }));
const fresh = offerOf({ id: "vast:9", usd: 2 });
const full = flopsOf(fresh.gpu) ?? 0;
const leaseOf = (offer: Offer, slot: number, flops: number | undefined, change: Partial<Lease> = {}): Lease => {
  const { gpu, count, tier, upstream, upMbps, downMbps } = offer;
  const listed = { gpu, count, tier, upstream, charge: "on-demand" as const };
  return {
    ...newLease,
    label: `ct-${slot}`,
    cluster: "c1",
    slot,
    attempt: 1,
    account: "vast",
    identity: "owner",
    offer: offer.id,
    machine: machineText(offer),
    host: offer.id,
    state: "joined",
    since: NOW - 3_600_000,
    sentAt: NOW - 4_000_000,
    joinedAt: NOW - 3_600_000,
    perHour: offer.price.perHour ?? 0n,
    maximum: 3_000_000n,
    terms: kinds[0]!,
    listed: { ...listed, ...(upMbps && { upMbps }), ...(downMbps && { downMbps }) },
    ...(flops !== undefined && { measured: { flops, up: null, down: null } }),
    ...change,
  };
};
const bookOf = (leases: readonly Lease[], most = 3_000_000n) => {
  const cluster = clusterOf({ slots: 3, budget: 500_000_000n, maximumPerHour: most });
  const row = { ...cluster, rentedAt: NOW, assembled: true, stopping: null, warned: 0 };
  return openBook(INSTALLATION, {
    ...emptyKept,
    clusters: { c1: row },
    leases: Object.fromEntries(leases.map((lease) => [lease.label, lease])),
  });
};
const flops = [full, full, full / 20];
const leases = (...changes: readonly Partial<Lease>[]) =>
  offers.map((offer, slot) => leaseOf(offer, slot, flops[slot], changes[slot]));
const proposed = (book: ReturnType<typeof bookOf>, others: readonly Offer[] = [fresh]) => {
  const found = proposalOf(book, "c1", others, taskOf(), NOW);
  return typeof found === "object" ? found.changes.map(({ lease, offer }) => [lease.label, offer?.id]) : found;
};
/** What the cluster does where its last machine is said to do such a share. */
const told = (share: number) => {
  const book = bookOf(offers.map((offer, slot) => leaseOf(offer, slot, slot === 2 ? share * full : full / 20)));
  const found = proposalOf(book, "c1", [fresh], taskOf(), NOW);
  return typeof found === "object" ? found.plan.before.cluster.rate : 0;
};

describe("a cluster of the ledger", () => {
  test("its slow machine is let go for one that is offered", () => {
    expect(proposed(bookOf(leases()))).toEqual([["ct-2", "vast:9"]]);
  });

  test("before any was measured nothing is said", () => {
    const book = bookOf(offers.map((offer, slot) => leaseOf(offer, slot, undefined)));
    expect(proposed(book)).toBe("none of its machines was measured yet");
  });

  test("what is dearer than a machine of it may be, or rented already, takes no place", () => {
    const dear = offerOf({ id: "vast:9", usd: 2.5 });
    expect(proposed(bookOf(leases()), [dear])).toEqual([["ct-2", "vast:9"]]);
    const refused = proposed(bookOf(leases(), 2_400_000n), [dear]);
    expect(refused).not.toEqual([["ct-2", "vast:9"]]);
    expect(proposed(bookOf(leases()), [offers[2]!])).not.toEqual([["ct-2", "vast:3"]]);
  });

  test("what lately came to no machine is tried after what may come to one", () => {
    const elsewhere = offerOf({ id: "runpod:9", provider: "runpod", usd: 2.02 });
    expect(proposed(bookOf(leases()), [fresh, elsewhere])).toEqual([["ct-2", "vast:9"]]);
    const refused = Array.from({ length: 20 }, (_, index) =>
      leaseOf(fresh, 3, undefined, {
        label: `ct-${10 + index}`,
        state: "gone",
        joinedAt: null,
        doomed: { reason: "refused", words: "", at: NOW },
      }),
    );
    expect(proposed(bookOf([...leases(), ...refused]), [fresh, elsewhere])).toEqual([["ct-2", "runpod:9"]]);
  });

  test("no machine of it is faster than its maker says, whoever measured it", () => {
    expect(told(1_000)).toBeCloseTo(told(100), 6);
    expect(told(1_000)).toBeGreaterThan(told(1));
  });

  test("nothing is said of machines of a ledger without their listing", () => {
    const [first, second, { listed: _, ...third }] = leases() as [Lease, Lease, Lease];
    expect(proposed(bookOf([first, second, third]))).toBe("ct-2: it was rented before listings were kept");
  });
});

/** What becomes of a lease, event by event: intents, ambiguity, absence, prices, budgets, backstops, and whose machines are touched. */
import { describe, expect, test } from "vitest";

import type { Instance } from "../../../../offchain/src/market/base/renting.ts";
import { labelOf } from "../../../../offchain/src/market/base/labels.ts";
import { billedSeconds, costOf, exposureOn, priceOfSeconds } from "../../../../offchain/src/market/leases/cost.ts";
import type { Alarm, LeaseEffect, LeaseEvent } from "../../../../offchain/src/market/leases/events.ts";
import { step } from "../../../../offchain/src/market/leases/machine.ts";
import { slotName } from "../../../../offchain/src/market/leases/slots.ts";
import {
  type Book,
  type ClusterSpec,
  emptyKept,
  type Lease,
  leasesOf,
  type Measured,
  mayJoin,
  openBook,
} from "../../../../offchain/src/market/leases/state.ts";
import type { Offer } from "../../../../offchain/src/market/offer.ts";
import { NOW, offerOf } from "../offers.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./world.ts";

const terms = kinds[0]!;
const PRICE = 1_000_000n;
const offer = (change: Partial<Offer> = {}) =>
  offerOf({
    id: "cloud:1",
    provider: "cloud",
    backstop: "own",
    price: { charge: "on-demand", perHour: PRICE, firm: true },
    ...change,
  });

type Untimed = LeaseEvent extends infer E ? (E extends LeaseEvent ? Omit<E, "at"> : never) : never;

/** A book that is told one event after the other, a second apart unless said otherwise. */
function scene(change: Partial<ClusterSpec> = {}, offers: readonly Offer[] = [offer()]) {
  let book: Book = openBook(INSTALLATION, emptyKept);
  let at = NOW;
  let effects: readonly LeaseEffect[] = [];
  const tell = (event: Untimed, ms = 1_000): readonly LeaseEffect[] => {
    at += ms;
    ({ book, effects } = step(book, { ...event, at }, rules));
    return effects.filter(({ type }) => type !== "alarm");
  };
  const list = (instances: readonly Instance[], ms = 1_000, identity = "owner") =>
    tell({ type: "listed", account: "cloud", identity, startedAt: at + ms, terms, instances }, ms);
  const get = (label: string, instance: Instance | null, identity = "owner") =>
    tell({ type: "got", label, account: "cloud", identity, startedAt: at + 1_000, instance });
  list([]);
  tell({ type: "rent", cluster: clusterOf({ slots: 1, ...change }), offers });
  return {
    tell,
    list,
    get,
    look: (ms = 1_000) => tell({ type: "tick" }, ms),
    book: () => book,
    lease: (index = 0): Lease => leasesOf(book)[index]!,
    states: () => leasesOf(book).map(({ state }) => state),
    alarms: () => effects.flatMap((effect): Alarm["what"][] => (effect.type === "alarm" ? [effect.what] : [])),
    restart: () => {
      book = { ...openBook(INSTALLATION, book) };
      tell({ type: "opened" });
    },
  };
}

const LABEL = labelOf({ installation: INSTALLATION, lease: slotName(INSTALLATION, "c1", 0), attempt: 1 });
const machine = (change: Partial<Instance> = {}): Instance => ({
  id: "i1",
  label: LABEL,
  state: "running",
  words: "up",
  perHour: PRICE,
  ...change,
});

/** A machine at work. */
function atWork(change: Partial<ClusterSpec> = {}, offers?: readonly Offer[]) {
  const all = scene(change, offers);
  all.look();
  all.tell({ type: "created", label: LABEL, instance: machine({ state: "creating" }) });
  all.list([machine()]);
  all.tell({ type: "beat", label: LABEL });
  return all;
}

describe("what a coordinator measured of a machine", () => {
  const told: Measured = { flops: 1e13, up: 1_000, down: null };

  test("is written down, and again only where it is another", () => {
    const { tell, lease } = atWork();
    const measured = (change: Partial<Measured> = {}) => {
      tell({ type: "measured", label: LABEL, measured: { ...told, ...change } });
      return lease().measured;
    };
    expect(lease().measured).toBeUndefined();
    expect(measured()).toEqual(told);
    expect(measured({ flops: 1.09e13, up: 1_099 })).toEqual(told);
    expect(measured({ flops: 1.11e13 })).toEqual({ ...told, flops: 1.11e13 });
    expect(measured({ flops: 1.11e13, up: 800 })).toMatchObject({ up: 800 });
    expect(measured({ flops: 1.11e13, up: 800, down: 5 })).toMatchObject({ down: 5 });
  });

  test("is not of one that is gone, or that nobody knows", () => {
    const { tell, list, look, book, lease, get } = atWork();
    tell({ type: "measured", label: "ct-00000000-00000000-1", measured: told });
    tell({ type: "end", label: LABEL, words: "", drainMs: 0 });
    look();
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([]);
    list([], terms.visibleWithin);
    get(LABEL, null);
    expect(lease().state).toBe("gone");
    tell({ type: "measured", label: LABEL, measured: told });
    expect(leasesOf(book()).map(({ measured }) => measured)).toEqual([undefined]);
  });
});

describe("a part of an account that does not answer", () => {
  const silent = [{ offer: "cloud:1", ids: "box@1/", error: undefined }];
  const listing = { type: "listed", account: "cloud", identity: "owner", terms, instances: [], silent } as const;

  test("says nothing of the machine on it", () => {
    const { tell, look, lease } = atWork();
    for (let times = 0; times < 3; times++) {
      tell({ ...listing, startedAt: lease().since + (times + 1) * terms.visibleWithin }, terms.visibleWithin);
      expect(look()).toEqual([]);
    }
    expect(lease()).toMatchObject({ state: "joined", unseen: null });
    // Nor of a create that is looked for.
    const sent = scene();
    sent.look();
    sent.restart();
    for (const after of [100_000, 200_000, 400_000]) sent.tell({ ...listing, startedAt: NOW + after }, 100_000);
    expect(sent.lease()).toMatchObject({ state: "ambiguous", unseen: null });
  });

  test("rents nothing, and others of the account do", () => {
    const other = offer({ id: "cloud:2" });
    const { tell, look, lease } = scene({ slots: 1 }, [offer(), other]);
    tell({ ...listing, startedAt: NOW + 2_000 });
    look();
    expect(lease()).toMatchObject({ offer: "cloud:2" });
    const alone = scene({ slots: 1 });
    alone.tell({ ...listing, startedAt: NOW + 2_000 });
    expect(alone.look()).toEqual([]);
    expect(alone.states()).toEqual([]);
    // It is back.
    alone.list([]);
    expect(alone.look()).toHaveLength(1);
  });
});

describe("a create", () => {
  test("is sent once, and asked for by the step that says so", () => {
    const { look, lease } = scene();
    expect(look()).toEqual([{ type: "create", label: LABEL }]);
    expect(lease()).toMatchObject({ state: "creating", identity: "owner", perHour: PRICE, attempt: 1 });
    expect(look()).toEqual([]);
  });

  test("whose process died is never sent again: it is looked for, and found", () => {
    const { look, list, restart, lease, states } = scene();
    look();
    restart();
    expect(lease().state).toBe("ambiguous");
    list([], 1_000);
    expect(look()).toEqual([]);
    list([machine()], 5_000);
    expect(lease()).toMatchObject({ state: "provisioning", instance: "i1", doomed: null });
    expect(states()).toHaveLength(1);
  });

  test("of which nobody knows is over after two complete listings as far apart as listings are late", () => {
    const { tell, look, list, states, lease } = scene();
    look();
    tell({ type: "ambiguous", label: LABEL, instance: null, words: "the time was up" });
    list([]);
    list([], terms.visibleWithin + rules.late - 1);
    expect(states()).toEqual(["ambiguous"]);
    list([], 1);
    expect(lease()).toMatchObject({ state: "gone", instance: null });
    expect(look()).toMatchObject([{ type: "create" }]);
    expect(lease(1)).toMatchObject({ attempt: 2, state: "creating" });
  });

  test("that appears after it was given up is ended, its token is refused, and the overlap is told", () => {
    const { tell, look, list, book, lease, alarms } = scene();
    look();
    tell({ type: "ambiguous", label: LABEL, instance: null, words: "" });
    list([]);
    list([], terms.visibleWithin + rules.late);
    look();
    expect(mayJoin(book(), LABEL)).toBe(false);
    list([machine()]);
    expect(alarms()).toEqual(["overlap"]);
    expect(lease()).toMatchObject({ state: "terminating", overlap: true, instance: "i1" });
    expect(lease(1).state).toBe("creating");
    expect(mayJoin(book(), LABEL)).toBe(false);
    expect(look()).toEqual([{ type: "terminate", label: LABEL }]);
  });

  test("that failed and names a machine is ended", () => {
    const { tell, look, lease } = scene();
    look();
    tell({ type: "ambiguous", label: LABEL, instance: "i7", words: "it failed to start" });
    expect(lease()).toMatchObject({ state: "terminating", instance: "i7" });
    expect(look()).toEqual([{ type: "terminate", label: LABEL }]);
  });

  test("that a stop overtakes is ended when it arrives", () => {
    const { tell, look, lease } = scene();
    look();
    tell({ type: "stop", cluster: "c1", reason: "stopped", words: "", drainMs: 0 });
    expect(lease().state).toBe("creating");
    tell({ type: "created", label: LABEL, instance: machine() });
    expect(lease().state).toBe("terminating");
  });

  test("that is refused is replaced by the next offer, and costs nothing", () => {
    const { tell, look, lease } = scene({}, [offer(), offer({ id: "cloud:2" })]);
    look();
    tell({ type: "refused", label: LABEL, what: "offer", words: "none left" });
    expect(costOf(lease(), NOW + 1e6)).toBe(0n);
    look();
    expect(lease(1)).toMatchObject({ offer: "cloud:2", state: "creating" });
  });

  test("comes before no listing of its account since the start", () => {
    const { look, restart, list } = scene();
    restart();
    expect(look()).toMatchObject([{ type: "quote" }]);
    expect(list([]) && look()).toMatchObject([{ type: "quote" }]);
  });
});

/** A machine that is to end. */
const ended = () => {
  const all = atWork();
  all.tell({ type: "end", label: LABEL, words: "", drainMs: 0 });
  expect(all.look()).toContainEqual({ type: "terminate", label: LABEL });
  return all;
};

describe("gone", () => {
  test("takes an accepted end, two listings and the provider's own word", () => {
    const { tell, list, look, get, lease } = ended();
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([]);
    list([], terms.visibleWithin - 1);
    expect(look(0)).toEqual([]);
    get(LABEL, null);
    expect(lease().state).toBe("terminating");
    list([]);
    expect(look()).toEqual([{ type: "get", label: LABEL }]);
    get(LABEL, null);
    expect(lease().state).toBe("gone");
  });

  test("is not what another key's empty listing says", () => {
    const { tell, list, get, lease, alarms } = ended();
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([], 1_000, "stranger");
    expect(alarms()).toEqual(["account"]);
    list([], terms.visibleWithin, "stranger");
    get(LABEL, null, "stranger");
    expect(lease()).toMatchObject({ state: "terminating", unseen: null });
  });

  test("is not what is heard of since", () => {
    const { tell, list, get, lease, alarms } = ended();
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([]);
    list([], terms.visibleWithin);
    tell({ type: "beat", label: LABEL });
    get(LABEL, null);
    expect(lease().state).toBe("terminating");
    list([]);
    list([], terms.visibleWithin);
    get(LABEL, null);
    expect(lease().state).toBe("gone");
    tell({ type: "beat", label: LABEL });
    expect(alarms()).toEqual(["overlap"]);
    expect(lease().state).toBe("terminating");
  });

  test("is never given up for: an end that is refused is asked for again", () => {
    const { tell, list, look, lease } = ended();
    for (let times = 0; times < 50; times++) {
      tell({ type: "asked", label: LABEL, answer: times % 2 === 0 ? "not yet" : "failed" });
      list([machine({ state: "creating" })]);
      expect(look(rules.askAgain)).toContainEqual({ type: "terminate", label: LABEL });
    }
    expect(lease().state).toBe("terminating");
  });

  test("of a machine that vanished is asked of its provider first", () => {
    const { list, look, get, lease, alarms } = atWork();
    list([]);
    list([], terms.visibleWithin);
    expect(look()).toEqual([{ type: "get", label: LABEL }]);
    get(LABEL, machine());
    expect(lease()).toMatchObject({ state: "joined", unseen: null });
    list([]);
    list([], terms.visibleWithin);
    get(LABEL, null);
    expect(alarms()).toEqual(["lost"]);
    expect(lease().state).toBe("terminating");
  });
});

describe("a machine is ended and replaced", () => {
  test.each(["stopped", "ending", "failed"] as const)("when its provider says that it is %s", (state) => {
    const { list, lease } = atWork();
    list([machine({ state })]);
    expect(lease().state).toBe("terminating");
  });

  test("but not for a word that nobody knows", () => {
    const { list, lease, alarms } = atWork();
    list([machine({ state: "unknown", words: "REBALANCING" })]);
    expect(alarms()).toEqual(["state"]);
    expect(lease().state).toBe("joined");
  });

  test("when it costs more than was quoted, at its creation and later", () => {
    const first = scene();
    first.look();
    first.tell({ type: "created", label: LABEL, instance: machine({ perHour: PRICE + PRICE / 10n }) });
    expect(first.alarms()).toEqual(["price"]);
    expect(first.lease().state).toBe("terminating");
    const later = atWork();
    later.list([machine({ perHour: PRICE + PRICE / 20n })]);
    expect(later.lease().state).toBe("joined");
    later.list([machine({ perHour: PRICE + PRICE / 20n + 1n })]);
    expect(later.lease()).toMatchObject({ state: "terminating", perHour: PRICE + PRICE / 20n + 1n });
  });

  test("when it does not come up in time, and its host is left alone", () => {
    const { tell, look, list, lease, book } = scene({}, [
      offer({ machineId: "m1" }),
      offer({ id: "cloud:2", machineId: "m1" }),
    ]);
    look();
    tell({ type: "created", label: LABEL, instance: machine({ state: "creating" }) });
    look(rules.provisioning);
    expect(lease().state).toBe("provisioning");
    expect(look(1)).toContainEqual({ type: "terminate", label: LABEL });
    expect(Object.keys(book().blocked)).toEqual([`host:${lease().host}`]);
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([], 1);
    list([], terms.visibleWithin);
    tell({ type: "got", label: LABEL, account: "cloud", identity: "owner", startedAt: NOW * 2, instance: null });
    tell({
      type: "quoted",
      cluster: "c1",
      offers: [offer({ machineId: "m1" }), offer({ id: "cloud:2", machineId: "m1" })],
    });
    look();
    expect(leasesOf(book())).toHaveLength(1);
  });

  test("when nothing is heard of it", () => {
    const { look, tell, alarms, lease } = atWork();
    look(rules.silence);
    expect(lease().state).toBe("joined");
    look(2);
    expect(alarms()).toEqual(["lost"]);
    expect(lease().state).toBe("terminating");
    tell({ type: "asked", label: LABEL, answer: "accepted" });
  });

  test("after its work where there is time for it", () => {
    const { tell, look, lease } = atWork();
    tell({ type: "end", label: LABEL, words: "", drainMs: 60_000 });
    look(59_999);
    expect(lease().state).toBe("draining");
    tell({ type: "drained", label: LABEL }, 0);
    expect(lease().state).toBe("terminating");
  });

  test("at once where its work would not fit the budget", () => {
    const { tell, look, lease, alarms } = atWork({ budget: 3_000_000n });
    tell({ type: "stop", cluster: "c1", reason: "stopped", words: "", drainMs: 86_400_000 });
    look(3_600_000);
    expect(lease().state).toBe("draining");
    look(2 * 3_600_000);
    expect(alarms()).toContain("budget");
    expect(lease().state).toBe("terminating");
  });

  test("that says of itself that it cannot work, and its host is left alone", () => {
    const { tell, look, list, lease, book, alarms } = scene();
    look();
    tell({ type: "created", label: LABEL, instance: machine() });
    list([machine()]);
    tell({ type: "unfit", label: LABEL, words: "No device of it trains." });
    expect(alarms()).toEqual(["lost"]);
    expect(lease()).toMatchObject({
      state: "terminating",
      doomed: { reason: "failed", words: "No device of it trains." },
    });
    expect(book().blocked[`host:${lease().host}`]?.why).toBe("No device of it trains.");
    tell({ type: "unfit", label: LABEL, words: "again" });
    expect(alarms()).toEqual([]);
  });
});

describe("money", () => {
  test("is counted by each provider's least time and grain, rounded up", () => {
    expect(billedSeconds({ minimumSeconds: 60, granularitySeconds: 60 }, 1)).toBe(60);
    expect(billedSeconds({ minimumSeconds: 0, granularitySeconds: 60 }, 60_001)).toBe(120);
    expect(billedSeconds({ minimumSeconds: 3_600, granularitySeconds: 1 }, 3_600_001)).toBe(3_601);
    expect(priceOfSeconds(1_000_000n, 1)).toBe(278n);
  });

  test("that a machine may cost until it is ended is in hand before it is intended", () => {
    const sure = scene({ budget: 1_000_000_000n });
    sure.look();
    const needed = exposureOn(sure.book(), "c1", NOW + 3_000, rules);
    expect(needed).toBeGreaterThan(0n);
    const enough = scene({ budget: needed });
    expect(enough.look()).toMatchObject([{ type: "create" }]);
    const short = scene({ budget: needed - 1n });
    expect(short.look()).toEqual([]);
    expect(short.alarms()).toEqual(["no offer"]);
    expect(short.look()).toEqual([]);
    expect(short.alarms()).toEqual([]);
    expect(short.states()).toEqual([]);
  });

  test("that is nearly spent ends the cluster", () => {
    const { look, lease, book, alarms, tell } = atWork({ budget: 2_000_000n });
    const told: string[] = [];
    for (let minutes = 0; minutes < 600 && lease().state === "joined"; minutes++) {
      tell({ type: "beat", label: LABEL });
      look(60_000);
      told.push(...alarms());
    }
    expect(book().clusters["c1"]?.stopping?.reason).toBe("budget");
    expect(exposureOn(book(), "c1", book().now - 60_000, rules)).toBeLessThanOrEqual(2_000_000n);
    expect(told).toContain("budget");
  });

  test("is what the provider charged once it says so; more than was counted is told", () => {
    const { tell, list, get, look, lease, alarms } = atWork();
    tell({ type: "end", label: LABEL, words: "", drainMs: 0 });
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([]);
    list([], terms.visibleWithin);
    get(LABEL, null);
    expect(look()).toContainEqual({ type: "bill", label: LABEL });
    tell({ type: "billed", label: LABEL, amount: 123n });
    expect(costOf(lease(), NOW + 1e9)).toBe(123n);
    expect(alarms()).toEqual([]);
    expect(look().filter(({ type }) => type === "bill")).toEqual([]);
  });

  test("of a machine that was never listed counts as what was in hand for it", () => {
    const { tell, look, list, get, lease } = scene();
    look();
    tell({ type: "ambiguous", label: LABEL, instance: "i7", words: "it failed to start" });
    tell({ type: "asked", label: LABEL, answer: "accepted" });
    list([], terms.visibleWithin);
    list([], terms.visibleWithin);
    get(LABEL, null);
    expect(lease()).toMatchObject({ state: "gone", perHour: 2n * PRICE });
  });

  test("of an offer above the cluster's maximum is not spent", () => {
    const { look, states } = scene({ maximumPerHour: PRICE - 1n });
    look();
    expect(states()).toEqual([]);
  });
});

describe("without a backstop", () => {
  // A key with which a machine might end itself ends nothing; nor does a deposit that is more than an hour.
  const kindsWithout = ["none", "scoped-key", "prepaid"] as const;

  test.each(kindsWithout)("(%s) nothing is rented but beside a watchdog that looked a moment ago", (backstop) => {
    const { look, tell, states } = scene({}, [offer({ backstop })]);
    expect(look()).toEqual([]);
    tell({ type: "watched", lookedAt: NOW - rules.watchdogFresh });
    expect(look()).toEqual([]);
    tell({ type: "watched", lookedAt: NOW });
    expect(look()).toMatchObject([{ type: "create" }]);
    expect(states()).toEqual(["creating"]);
  });

  test.each(kindsWithout)("(%s) or where that was accepted", (backstop) => {
    expect(scene({ acceptNoBackstop: true }, [offer({ backstop })]).look()).toMatchObject([{ type: "create" }]);
  });
});

describe("with a backstop", () => {
  const HOUR = 3_600_000;

  test("of hours that are paid before, a machine costs no more", () => {
    const hourly = offer({ backstop: "prepaid", granularitySeconds: 3_600 });
    expect(scene({}, [hourly]).look()).toMatchObject([{ type: "create" }]);
  });

  test("of a time, the whole time is in hand; beside a watchdog it is not", () => {
    const timed = [offer({ backstop: "provider-ttl" })];
    const endsAt = NOW + 10 * HOUR;
    // A watchdog would have it ended within minutes.
    const short = scene({ endsAt, budget: 9n * PRICE }, timed);
    expect(short.look()).toEqual([]);
    short.tell({ type: "watched", lookedAt: NOW });
    expect(short.look()).toMatchObject([{ type: "create" }]);
    expect(scene({ endsAt, budget: 10n * PRICE }, timed).look()).toMatchObject([{ type: "create" }]);
    expect(scene({ endsAt: null, budget: 10n * PRICE }, timed).look()).toEqual([]);
  });
});

describe("a label", () => {
  const stray = labelOf({ installation: INSTALLATION, lease: "deadbeef", attempt: 3 });

  test("of ours that the ledger does not know is told, left alone for a while, and ended", () => {
    const { list, look, alarms, lease } = scene({ maximumPerHour: 1n });
    list([machine({ id: "s1", label: stray })]);
    expect(alarms()).toEqual(["orphan"]);
    expect(lease()).toMatchObject({ state: "quarantined", cluster: null, instance: "s1" });
    look(rules.quarantine - 1);
    expect(lease().state).toBe("quarantined");
    expect(look(1)).toContainEqual({ type: "terminate", label: stray });
  });

  test("of ours may be adopted into a free slot", () => {
    const { list, tell, lease } = scene({ maximumPerHour: PRICE });
    list([machine({ id: "s1", label: stray })]);
    tell({ type: "adopt", label: stray, cluster: "c1" });
    expect(lease()).toMatchObject({ state: "provisioning", cluster: "c1", slot: 0 });
  });

  test("of another installation, or none, is nobody's business here", () => {
    const { list, states, alarms } = scene({ maximumPerHour: 1n });
    list([
      machine({ id: "o1", label: labelOf({ installation: "ffffffff", lease: "deadbeef", attempt: 1 }) }),
      machine({ id: "o2", label: "web-server" }),
      { id: "o3", state: "running", words: "up" },
    ]);
    expect(states()).toEqual([]);
    expect(alarms()).toEqual([]);
  });

  test("that two machines have is one machine's; the other is ended", () => {
    const { list, alarms, states, lease } = atWork();
    list([machine(), machine({ id: "i2" })]);
    expect(alarms()).toEqual(["overlap"]);
    expect(states()).toEqual(["joined", "terminating"]);
    expect(lease(1)).toMatchObject({ instance: "i2", overlap: true });
  });
});

test("a cluster without its minimum in time is ended whole", () => {
  const { look, tell, list, lease, states, book } = scene({ slots: 2, minimum: 2 }, [
    offer(),
    offer({ id: "cloud:2", machineId: "m" }),
  ]);
  look();
  tell({ type: "created", label: lease(0).label, instance: machine({ label: lease(0).label }) });
  tell({ type: "beat", label: lease(0).label });
  tell({ type: "refused", label: lease(1).label, what: "order", words: "no" });
  list([machine({ label: lease(0).label })]);
  for (let at = 0; at <= rules.assembly; at += rules.silence / 2) {
    tell({ type: "beat", label: lease(0).label });
    look(rules.silence / 2);
  }
  expect(book().clusters["c1"]?.stopping?.words).toBe("Too few machines.");
  expect(states().every((state) => ["terminating", "gone"].includes(state))).toBe(true);
});

test("a clock that is set back makes nothing younger", () => {
  const { tell, look, lease, book } = atWork();
  const { now } = book();
  tell({ type: "tick" }, -3_600_000);
  expect(book().now).toBe(now);
  look(3_600_000);
  expect(lease().state).toBe("joined");
});

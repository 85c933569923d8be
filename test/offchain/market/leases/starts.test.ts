/** Machines that are started over SSH: when that is tried, how often, and what a machine is on which it does not succeed. */
import { describe, expect, test } from "vitest";

import { createRandom } from "../../../../offchain/src/base/index.ts";
import { openKeeper } from "../../../../offchain/src/market/leases/keeper.ts";
import { applied, type Ledger } from "../../../../offchain/src/market/leases/ledger.ts";
import type { StartAnswer, Starter } from "../../../../offchain/src/market/leases/starter.ts";
import { type ClusterSpec, emptyKept, leasesOf, openBook } from "../../../../offchain/src/market/leases/state.ts";
import { NOW, offerOf } from "../offers.ts";
import { cloudOf, worldClock } from "./cloud.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./world.ts";

const MINUTE = 60_000;
const offers = [1, 2].map((id) =>
  offerOf({
    id: `cloud:${id}`,
    provider: "cloud",
    backstop: "none",
    price: { charge: "on-demand", perHour: 1_000_000n, firm: true },
  }),
);
const away: StartAnswer = { type: "unstarted", what: "again", words: "cloud-1 does not answer." };

/** A machine that runs, and what tries to start it come to. */
async function stage(answer: () => StartAnswer | Error, change: Partial<ClusterSpec> = {}) {
  const clock = worldClock(NOW);
  const cloud = cloudOf({
    name: "cloud",
    terms: { ...kinds[3]!, boots: 0, visibleWithin: 0 },
    clock,
    random: createRandom("starts"),
  });
  const rows: unknown[] = [];
  const alarms: string[] = [];
  const faults: string[] = [];
  /** What happened, in order. */
  const done: string[] = [];
  const ledger: Ledger = {
    read: () => Promise.resolve(openBook(INSTALLATION, rows.reduce<typeof emptyKept>(applied, emptyKept))),
    append: (entry) => Promise.resolve(void rows.push(structuredClone(entry.rows))),
  };
  let wanted: ((label: string) => boolean) | undefined;
  const starter: Starter = {
    keep: ({ label, script }) => Promise.resolve(void done.push(`keep ${label} ${script}`)),
    start: (label, { host }) => {
      done.push(`start ${label} ${host}`);
      const came = answer();
      return came instanceof Error ? Promise.reject(came) : Promise.resolve(came);
    },
    forget: (isWanted) => void (wanted = isWanted),
  };
  const account = cloud.account();
  const open = () =>
    openKeeper({
      ledger,
      accounts: [
        {
          ...account,
          create: (order) => {
            done.push(`create ${order.label}`);
            return account.create(order);
          },
        },
      ],
      starter,
      clock,
      rules,
      quote: () => Promise.resolve(offers),
      prepare: () => Promise.resolve({ image: "base", script: "true", environment: {} }),
      onAlarm: ({ sentence }) => void alarms.push(sentence),
      onFault: (sentence) => void faults.push(sentence),
    });
  let keeper = await open();
  await keeper.look();
  const cluster = clusterOf({ slots: 1, joins: "running", acceptNoBackstop: true, ...change });
  await keeper.tell({ type: "rent", cluster, offers });
  return {
    clock,
    alarms,
    faults,
    done,
    looks: async (count: number, every = MINUTE) => {
      for (let look = 0; look < count; look++) {
        await keeper.look();
        clock.pass(every);
      }
    },
    reopen: async () => void (keeper = await open()),
    tell: (event: Parameters<typeof keeper.tell>[0]) => keeper.tell(event),
    leases: () => leasesOf(keeper.book()),
    lease: () => leasesOf(keeper.book())[0]!,
    blocked: () => Object.keys(keeper.book().blocked),
    isKept: (label: string) => wanted?.(label),
  };
}

const started: StartAnswer = { type: "started" };

describe("a machine that is started over SSH", () => {
  test("is told what it is to do once it runs, by what was kept before its create, and is at work then", async () => {
    const { looks, done, lease, isKept } = await stage(() => started);
    await looks(2);
    // It runs, and that is not enough.
    expect([lease().state, lease().starting]).toEqual([
      "provisioning",
      { tries: 0, triedAt: null, doneAt: null, words: "" },
    ]);
    const { label } = lease();
    expect(isKept(label)).toBe(true);
    await looks(2);
    expect(done).toEqual([`keep ${label} true`, `create ${label}`, `start ${label} 203.0.113.9`]);
    expect([lease().state, isKept(label), isKept("another")]).toEqual(["joined", false, false]);
  });

  test("of a run is at work at its first heartbeat, noted as started or not, and has its time from its start on", async () => {
    const { looks, lease, tell, clock } = await stage(() => started, { joins: "heartbeat" });
    await looks(3);
    expect(lease()).toMatchObject({ state: "provisioning", starting: { tries: 1 } });
    clock.pass(rules.provisioning - 3 * MINUTE);
    await looks(1);
    expect(lease()).toMatchObject({ state: "provisioning", doomed: null });
    await tell({ type: "beat", label: lease().label });
    expect(lease().state).toBe("joined");
    const other = await stage(() => away, { joins: "heartbeat" });
    await other.looks(3);
    await other.tell({ type: "beat", label: other.lease().label });
    await other.looks(4);
    expect(other.lease()).toMatchObject({ state: "joined", starting: { tries: 1, doneAt: null } });
  });

  test("that cannot be started is tried so often and no more, has never been of use, and is replaced elsewhere", async () => {
    const { looks, leases, lease, done, alarms, faults, blocked } = await stage(() => away);
    await looks(2 + rules.startTries);
    const { label } = lease();
    expect(done.filter((each) => each.startsWith("start "))).toHaveLength(rules.startTries);
    const often = await stage(() => away);
    await often.looks(20, 1_000);
    expect(often.lease()).toMatchObject({ doomed: null, starting: { tries: 1, words: away.words } });
    expect(lease().doomed).toMatchObject({ reason: "failed", words: `It was not started: ${away.words}` });
    expect(blocked()).toEqual([`host:${offers[0]?.id}`]);
    expect(alarms).toEqual([
      `${label} at cloud could not be started over SSH: it is ended and replaced. ${away.words}`,
    ]);
    expect(faults[0]).toBe(`cloud, starting ${label}: ${away.words}`);
    await looks(6);
    expect(leases().map(({ offer, state }) => [offer, state])).toMatchObject([
      ["cloud:1", "gone"],
      ["cloud:2", expect.any(String)],
    ]);
  });

  test("whose try ended in a crash is asked at once by whoever comes after, and tried no more than others", async () => {
    const { looks, done, lease, reopen } = await stage(() => new Error("killed"));
    await looks(3);
    expect(lease()).toMatchObject({ state: "provisioning", starting: { tries: 1, doneAt: null } });
    for (let process = 1; process < 3 * rules.startTries; process++) {
      await reopen();
      await looks(1);
    }
    expect(done.filter((each) => each.startsWith("start "))).toHaveLength(rules.startTries);
    expect(lease().doomed).toMatchObject({ reason: "failed" });
  });

  test("that is not the one of before is ended at once", async () => {
    const { looks, lease, blocked } = await stage(() => ({
      type: "unstarted",
      what: "machine",
      words: "Another key.",
    }));
    await looks(3);
    expect([lease().doomed?.words, blocked()]).toEqual(["It was not started: Another key.", ["host:cloud:1"]]);
  });

  test("that takes no login of ours is tried as others, and then nothing more is rented there", async () => {
    const { looks, leases, lease, blocked } = await stage(() => ({
      type: "unstarted",
      what: "account",
      words: "Permission denied.",
    }));
    await looks(4);
    expect(lease()).toMatchObject({ state: "provisioning", starting: { words: "Permission denied." } });
    await looks(rules.startTries + 6);
    expect(leases()).toHaveLength(1);
    expect(blocked().toSorted()).toEqual(["account:cloud", "host:cloud:1"]);
  });

  test("and is taken away meanwhile is not told anything", async () => {
    const { looks, done, lease, tell } = await stage(() => started);
    await looks(2);
    await tell({ type: "end", label: lease().label, words: "By hand.", drainMs: 0 });
    await looks(2);
    expect(done.filter((each) => each.startsWith("start "))).toEqual([]);
  });
});

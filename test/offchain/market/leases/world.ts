/**
 * One seed's world: clouds, a ledger that outlives processes, a process that keeps the leases and is killed at any call, and a
 * watchdog. The ledger in memory has JSON in it as the real one has.
 */
import { canonicalJson } from "@cotrain/sdk/protocol";

import { createRandom, type Random } from "../../../../offchain/src/base/index.ts";
import type { RentedAccount } from "../../../../offchain/src/market/base/renting.ts";
import type { Alarm } from "../../../../offchain/src/market/leases/events.ts";
import { type Keeper, type KeeperModules, openKeeper } from "../../../../offchain/src/market/leases/keeper.ts";
import { applied, type Ledger } from "../../../../offchain/src/market/leases/ledger.ts";
import { defaultRules, type Rules } from "../../../../offchain/src/market/leases/rules.ts";
import type { Starter } from "../../../../offchain/src/market/leases/starter.ts";
import { type ClusterSpec, emptyKept, openBook } from "../../../../offchain/src/market/leases/state.ts";
import { createWatchdog } from "../../../../offchain/src/market/leases/watchdog.ts";
import type { Offer } from "../../../../offchain/src/market/offer.ts";
import { NOW, offerOf } from "../offers.ts";
import { type Cloud, cloudOf, type CloudTerms, type Machine, worldClock } from "./cloud.ts";

export const INSTALLATION = "0a1b2c3d";
export const rules: Rules = defaultRules;

/** Terms of three kinds of providers: by the second with late listings, by the minute with boots, by the hour. */
export const kinds: readonly CloudTerms[] = [
  {
    visibleWithin: 20_000,
    killWithin: 10_000,
    minimumSeconds: 0,
    granularitySeconds: 1,
    bootBilled: false,
    deletableWhileCreating: true,
    tellsBill: true,
    nameMax: 60,
    keepsLabel: true,
    startsBy: "provider",
    boots: 120_000,
  },
  {
    visibleWithin: 60_000,
    killWithin: 30_000,
    minimumSeconds: 60,
    granularitySeconds: 60,
    bootBilled: true,
    deletableWhileCreating: false,
    tellsBill: true,
    nameMax: 60,
    keepsLabel: true,
    startsBy: "provider",
    boots: 300_000,
  },
  {
    visibleWithin: 5_000,
    killWithin: 5_000,
    minimumSeconds: 3_600,
    granularitySeconds: 3_600,
    bootBilled: true,
    deletableWhileCreating: true,
    tellsBill: false,
    nameMax: 60,
    keepsLabel: true,
    startsBy: "provider",
    boots: 60_000,
  },
  // What its machines are to do is brought to them.
  {
    visibleWithin: 30_000,
    killWithin: 20_000,
    minimumSeconds: 0,
    granularitySeconds: 60,
    bootBilled: false,
    deletableWhileCreating: true,
    tellsBill: true,
    nameMax: 60,
    keepsLabel: true,
    startsBy: "ssh",
    boots: 180_000,
  },
];

export const clusterOf = (change: Partial<ClusterSpec> = {}): ClusterSpec => ({
  id: "c1",
  slots: 2,
  minimum: 1,
  budget: 20_000_000n,
  maximumPerHour: 5_000_000n,
  diskGb: 100,
  endsAt: null,
  joins: "heartbeat",
  acceptNoBackstop: false,
  ...change,
});

const nowhere = (): Promise<void> => Promise.resolve();
const nobody = (): void => undefined;

/** A call of a process: where it may be killed, and then as the process that calls. */
type Through = <T>(call: () => Promise<T>) => Promise<T>;

/** A process that is dead does nothing any more: what it waits for never comes. */
const never = (): Promise<never> => new Promise(() => undefined);

interface Process {
  readonly keeper: Keeper;
  isDead: boolean;
  /** Resolves when it is killed. */
  readonly killed: Promise<"killed">;
}

export interface World {
  readonly clock: ReturnType<typeof worldClock>;
  readonly clouds: readonly Cloud[];
  readonly random: Random;
  readonly alarms: Alarm[];
  /** The ledger, as text. */
  readonly entries: readonly string[];
  /** Chance that the process is killed at a call or an entry. */
  kills: number;
  /** Who keeps the leases, after a kill another process. */
  keeper(): Promise<Keeper>;
  /** Tells it something, or looks; false where it was killed meanwhile. */
  does(work: (keeper: Keeper) => Promise<void>): Promise<boolean>;
  killForEver(): void;
  watch(): Promise<void>;
  machines(): readonly { readonly cloud: Cloud; readonly machine: Machine }[];
}

export function worldOf(
  seed: string,
  terms: readonly CloudTerms[],
  offers: readonly Offer[],
  modules: Partial<KeeperModules> = {},
): World {
  const random = createRandom(seed);
  const clock = worldClock(NOW);
  const entries: string[] = [];
  /** What is kept of orders beside the ledger. */
  const kept = new Set<string>();
  const alarms: Alarm[] = [];
  let process: Process | undefined;
  let die = nobody;
  /** Where a process may be killed. Who is dead goes on never. */
  const mortal = (own: () => Process | undefined) => async (): Promise<void> => {
    if (own()?.isDead === true) await never();
    if (random.float() >= world.kills) return;
    die();
    await never();
  };
  const cloudsFor = (point: () => Promise<void>) =>
    terms.map((each, index) =>
      cloudOf({ name: `cloud${index}`, terms: each, clock, random: random.split(`cloud${index}`), point }),
    );
  // The point is that of the process which calls.
  let point = nowhere;
  const clouds = cloudsFor(() => point());
  const ledger = (dies: () => Promise<void>): Ledger => ({
    read: () => {
      const kept = entries.reduce((all, text) => applied(all, (JSON.parse(text) as { rows: unknown }).rows), emptyKept);
      return Promise.resolve(openBook(INSTALLATION, kept));
    },
    append: async (entry) => {
      await dies();
      entries.push(canonicalJson(entry));
      await dies();
    },
  });

  /** Starts machines over SSH, by the machine's id. */
  const starterFor = (through: Through): Starter => ({
    keep: ({ label }) => through(() => Promise.resolve(void kept.add(label))),
    start: (label, { user }) =>
      through(async () => {
        if (!kept.has(label)) return { type: "unstarted", what: "machine", words: "It is not kept." };
        try {
          for (const cloud of clouds) if (user.startsWith(`${cloud.name}-`)) await cloud.begin(user);
          return { type: "started" };
        } catch (error) {
          return { type: "unstarted", what: "again", words: String(error) };
        }
      }),
    forget: (isWanted) => {
      for (const label of kept) if (!isWanted(label)) kept.delete(label);
    },
  });

  /** Accounts of a process: every call is its own. */
  const accountsFor = (through: Through): RentedAccount[] =>
    clouds.map((cloud) => {
      const account = cloud.account();
      return {
        ...account,
        identity: () => through(() => account.identity()),
        create: (order) => through(() => account.create(order)),
        get: (id) => through(() => account.get(id)),
        list: () => through(() => account.list()),
        terminate: (id) => through(() => account.terminate(id)),
        bill: (instance) => through(() => account.bill(instance)),
      };
    });

  const open = async (): Promise<Process> => {
    let made: Process | undefined;
    const dies = mortal(() => made);
    let isDead = false;
    const killed = new Promise<"killed">((done) => {
      die = () => {
        isDead = true;
        if (made !== undefined) made.isDead = true;
        process = undefined;
        done("killed");
      };
    });
    const through: Through = async (call) => {
      await dies();
      point = dies;
      return call();
    };
    const keeper = await Promise.race([
      openKeeper({
        ledger: ledger(dies),
        accounts: accountsFor(through),
        starter: starterFor(through),
        clock,
        rules,
        quote: () => Promise.resolve(offers),
        prepare: () => Promise.resolve({ image: "base@sha256:0", script: "true", environment: {} }),
        watchdogAt: () => Promise.resolve(clock.now()),
        onAlarm: (alarm) => alarms.push(alarm),
        ...modules,
      }),
      killed,
    ]);
    if (keeper === "killed") return open();
    made = { keeper, isDead, killed };
    return made;
  };

  let beats = 0;
  const watchdog = createWatchdog({
    installation: INSTALLATION,
    accounts: clouds.map((cloud) => cloud.account()),
    clock,
    sign: () => Promise.resolve({ installation: INSTALLATION, count: beats }),
    patience: 180_000,
  });

  const world: World = {
    clock,
    clouds,
    random,
    alarms,
    entries,
    kills: 0,
    keeper: async () => {
      process ??= await open();
      return process.keeper;
    },
    does: async (work) => {
      const keeper = await world.keeper();
      const { killed } = process ?? { killed: never() };
      const result = await Promise.race([work(keeper), killed]);
      beats += 1;
      return result !== "killed";
    },
    killForEver: () => {
      die();
      point = nowhere;
      world.kills = 0;
    },
    watch: async () => {
      point = nowhere;
      await watchdog();
    },
    machines: () => clouds.flatMap((cloud) => cloud.machines.map((machine) => ({ cloud, machine }))),
  };
  return world;
}

/** So many offers of each cloud, at prices of a seed. */
export function offersFor(terms: readonly CloudTerms[], random: Random, count = 4): Offer[] {
  return terms.flatMap((each, cloud) =>
    Array.from({ length: count }, (_, index) =>
      offerOf({
        id: `cloud${cloud}:${index}`,
        provider: `cloud${cloud}`,
        providerId: String(index),
        backstop: "none",
        granularitySeconds: each.granularitySeconds,
        price: { charge: "on-demand", perHour: BigInt(100_000 + random.below(900_000)), firm: true },
        ...(random.below(2) === 0 ? { machineId: `m${index}` } : {}),
      }),
    ),
  );
}

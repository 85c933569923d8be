/**
 * A cloud in memory behind the port of rented accounts: machines that boot, are listed late, are taken away and are paid for by the
 * second, minute or hour on a meter of its own; and calls that fail in every way that a provider's can, before and after they did
 * something. Time passes by its calls alone.
 */
import { type Clock, type Random, RetryableError, UserError } from "../../../../offchain/src/base/index.ts";
import type { Instance, Order, RentedAccount, RentingTerms } from "../../../../offchain/src/market/base/renting.ts";

/** Time that passes where somebody waits, and at once. */
export interface WorldClock extends Clock {
  pass(ms: number): void;
}

export function worldClock(start: number): WorldClock {
  let now = start;
  return {
    now: () => now,
    monotonic: () => now - start,
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
    pass: (ms) => {
      now += ms;
    },
  };
}

export interface Machine {
  readonly id: string;
  readonly label: string;
  readonly perHour: bigint;
  readonly bornAt: number;
  readonly readyAt: number;
  readonly visibleAt: number;
  /** When its bill ends. */
  endsAt: number | undefined;
  paused: boolean;
  /** How often what it is to do has begun on it. */
  begun: number;
}

export interface CloudTerms extends RentingTerms {
  /** Ms of a boot, at the most. */
  readonly boots: number;
}

/** What may go wrong, in the order of a draw. */
type Fault =
  | "lost before"
  | "lost after"
  | "done late"
  | "busy"
  | "away before"
  | "away after"
  | "unreadable"
  | "error with an id"
  | "no capacity"
  | "none";

const FAULTS: readonly Fault[] = [
  "lost before",
  "lost after",
  "done late",
  "busy",
  "away before",
  "away after",
  "unreadable",
  "error with an id",
  "no capacity",
];
/** Of one kind of call, one after the other: what a budget keeps in hand is for so many. */
const MOST_IN_A_ROW = 3;
const TIMEOUT = 20_000;

export interface Cloud {
  readonly name: string;
  readonly terms: CloudTerms;
  readonly machines: readonly Machine[];
  /** Where the key of another owner is used instead. */
  strangeKey: boolean;
  /** Chance of a fault. */
  faults: number;
  /** Chance that a machine costs more than it was offered for. */
  dearer: number;
  account(): RentedAccount;
  /** What is brought to a machine over SSH; it takes the first. @throws where nobody knows what came of it */
  begin(id: string): Promise<void>;
  isAlive(machine: Machine): boolean;
  /** Taken away: paused, or gone. */
  preempt(machine: Machine, how: "paused" | "gone"): void;
  /** µUSD of a machine on the meter. */
  meter(machine: Machine): bigint;
}

export interface CloudOptions {
  readonly name: string;
  readonly terms: CloudTerms;
  readonly clock: WorldClock;
  readonly random: Random;
  /** What kills the caller, between what was done and its answer; resolves where it lives. */
  readonly point?: () => Promise<void>;
}

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

export function cloudOf({ name, terms, clock, random, point = () => Promise.resolve() }: CloudOptions): Cloud {
  const machines: Machine[] = [];
  const row = new Map<string, number>();
  let count = 0;

  const isAlive = ({ endsAt }: Machine): boolean => endsAt === undefined || clock.now() < endsAt;
  const until = (most: number): number => random.below(most + 1);

  const draw = (call: string): Fault => {
    const before = row.get(call) ?? 0;
    const fault = random.float() < cloud.faults && before < MOST_IN_A_ROW ? random.pick(FAULTS) : "none";
    row.set(call, fault === "none" ? 0 : before + 1);
    return fault;
  };

  /** A call with what goes wrong in it. @param creates whether an answer that is lost leaves open what was done */
  const calling = async <T>(call: string, creates: boolean, work: (late?: boolean) => T): Promise<T> => {
    await point();
    clock.pass(50 + until(950));
    const lost = (words: string): Error =>
      creates ? new UserError("PROVIDER_AMBIGUOUS", words) : new RetryableError("PROVIDER_AWAY", words);
    const fault = draw(call);
    switch (fault) {
      case "lost before":
        clock.pass(TIMEOUT);
        throw lost("the time was up");
      case "lost after":
        work();
        await point();
        clock.pass(TIMEOUT);
        throw lost("the time was up");
      case "done late":
        if (creates) work(true);
        clock.pass(TIMEOUT);
        throw lost("the time was up");
      case "busy":
        throw new RetryableError("PROVIDER_BUSY", "asked too often");
      case "away before":
        throw lost("status 503");
      case "away after":
        work();
        await point();
        throw lost("status 502");
      case "unreadable":
        work();
        await point();
        throw creates ? lost("no JSON") : new RetryableError("PROVIDER_UNREADABLE", "pages end before their total");
      case "error with an id": {
        const done = work();
        await point();
        const instance = typeof done === "object" && done !== null && "id" in done ? String(done.id) : "";
        throw creates
          ? new UserError("PROVIDER_AMBIGUOUS", "it failed to start", { details: { instance } })
          : lost("status 500");
      }
      case "no capacity":
        throw creates ? new RetryableError("PROVIDER_CAPACITY", "none left") : lost("status 504");
      default: {
        const done = work();
        await point();
        return done;
      }
    }
  };

  const sshOf = ({ id }: Machine) => ({ host: "203.0.113.9", port: 22, user: id });
  const shownOf = (machine: Machine): Instance => ({
    id: machine.id,
    label: machine.label,
    state:
      machine.endsAt !== undefined
        ? "ending"
        : machine.paused
          ? "stopped"
          : clock.now() < machine.readyAt
            ? "creating"
            : "running",
    words: machine.endsAt !== undefined ? "DELETING" : machine.paused ? "paused" : "up",
    perHour: machine.perHour,
    createdAt: machine.bornAt,
    ...(terms.startsBy === "ssh" && clock.now() >= machine.readyAt ? { ssh: sshOf(machine) } : {}),
  });
  const isShown = (machine: Machine): boolean => clock.now() >= machine.visibleAt && isAlive(machine);
  const visible = () => (cloud.strangeKey ? [] : machines.filter(isShown));

  const create = ({ label, offer }: Order, late = false): Instance => {
    const quote = offer.price.perHour ?? 0n;
    const bornAt = clock.now() + (late ? TIMEOUT + until(25_000) : 0);
    const machine: Machine = {
      id: `${name}-${++count}`,
      label,
      perHour: random.float() < cloud.dearer ? quote + (quote * BigInt(1 + random.below(100))) / 100n : quote,
      bornAt,
      readyAt: bornAt + until(terms.boots),
      visibleAt: bornAt + until(terms.visibleWithin),
      endsAt: undefined,
      paused: false,
      // What its provider starts begins with it.
      begun: terms.startsBy === "ssh" ? 0 : 1,
    };
    machines.push(machine);
    return shownOf(machine);
  };

  const terminate = (id: string) => {
    const machine =
      visible().find((each) => each.id === id) ?? machines.find((each) => each.id === id && !cloud.strangeKey);
    if (machine === undefined || machine.endsAt !== undefined) return "accepted" as const;
    if (!terms.deletableWhileCreating && clock.now() < machine.readyAt) return "not yet" as const;
    machine.endsAt = clock.now() + until(terms.killWithin);
    return "accepted" as const;
  };

  const meter = ({ bornAt, readyAt, endsAt, perHour }: Machine): bigint => {
    const from = terms.bootBilled ? bornAt : readyAt;
    const used = Math.ceil(Math.max(0, Math.min(clock.now(), endsAt ?? Infinity) - from) / 1_000);
    if (used === 0 && !terms.bootBilled) return 0n;
    const grains = Math.ceil(used / terms.granularitySeconds) * terms.granularitySeconds;
    return ceilDiv(perHour * BigInt(Math.max(terms.minimumSeconds, grains)), 3_600n);
  };

  const cloud: Cloud = {
    name,
    terms,
    machines,
    strangeKey: false,
    faults: 0,
    dearer: 0,
    isAlive,
    meter,
    begin: (id) =>
      calling("start", false, () => {
        const machine = machines.find((each) => each.id === id && isAlive(each));
        if (machine === undefined) throw new RetryableError("PROVIDER_AWAY", "no route to host");
        if (machine.begun === 0) machine.begun += 1;
      }),
    preempt: (machine, how) => {
      if (how === "paused") machine.paused = true;
      else machine.endsAt ??= clock.now();
    },
    account: () => ({
      name,
      title: name,
      terms,
      identity: () => calling("identity", false, () => (cloud.strangeKey ? "another owner" : "owner")),
      create: (order) => {
        if (cloud.strangeKey) return Promise.reject(new UserError("PROVIDER_FUNDS", "no funds"));
        return calling("create", true, (late) => create(order, late));
      },
      get: (id) =>
        calling(
          "get",
          false,
          () =>
            visible()
              .filter((each) => each.id === id)
              .map(shownOf)[0],
        ),
      list: () => calling("list", false, () => visible().map(shownOf)),
      terminate: (id) => calling("terminate", false, () => terminate(id)),
      bill: ({ id }) =>
        calling("bill", false, () => {
          const machine = machines.find((each) => each.id === id);
          return !terms.tellsBill || cloud.strangeKey || machine === undefined || isAlive(machine)
            ? undefined
            : meter(machine);
        }),
    }),
  };
  return cloud;
}

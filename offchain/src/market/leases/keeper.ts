/**
 * Keeps the leases: tells the machine what happens, writes down what it changes, and only then does what it asks for. Every look goes
 * over all accounts, one beside the other: ends what is to end, lists everything, asks for what is missing, and creates. No call is
 * repeated here; the next look is the repetition, and of a create there is none.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import pLimit from "p-limit";

import { type Clock, InternalError } from "../../base/index.ts";
import { listSeen, type Order, type RentedAccount } from "../base/renting.ts";
import type { Offer } from "../offer.ts";
import type { Alarm, Call, EventOf, LeaseEffect, LeaseEvent } from "./events.ts";
import { changesOf, type Ledger } from "./ledger.ts";
import { step } from "./machine.ts";
import { defaultRules, type Rules } from "./rules.ts";
import { waitsForStart } from "./starts.ts";
import type { Starter } from "./starter.ts";
import { type Book, type Cluster, isOpen, type Lease } from "./state.ts";

/** Machines that are started over SSH at once. */
const STARTS_AT_ONCE = 16;

/** An event without its time. */
type Untimed = LeaseEvent extends infer E ? (E extends LeaseEvent ? Omit<E, "at"> : never) : never;

/** What a machine is to do, which is not the leases' business. */
export type Prepared = Pick<Order, "image" | "script" | "environment" | "sshKey">;

export interface KeeperModules {
  readonly ledger: Ledger;
  readonly accounts: readonly RentedAccount[];
  readonly clock: Clock;
  readonly rules?: Rules;
  /** Offers of a cluster as they are now, the first choice first. */
  readonly quote: (cluster: Cluster) => Promise<readonly Offer[]>;
  readonly prepare: (lease: Lease, offer: Offer) => Promise<Prepared>;
  /** For accounts whose machines are started over SSH. */
  readonly starter?: Starter;
  /** When a watchdog last looked; undefined without one. */
  readonly watchdogAt?: () => Promise<number | undefined>;
  readonly onAlarm?: (alarm: Alarm) => void;
  /** A call that failed; it is asked again at the next look. */
  readonly onFault?: (sentence: string, error: unknown) => void;
}

export interface Keeper {
  book(): Book;
  /** Something happened. Durable when it resolves. @throws what the ledger throws; no more is kept then */
  tell(event: Untimed): Promise<void>;
  /** Looks at everything once. @throws as {@link tell} */
  look(): Promise<void>;
}

/** What an error of a create means: only what the provider refuses did not happen. */
function createFailed(
  error: unknown,
): Omit<EventOf<"refused">, "at" | "label"> | Omit<EventOf<"ambiguous">, "at" | "label"> {
  const code = error instanceof CotrainError ? error.code : "";
  const words = error instanceof Error ? error.message : "It failed.";
  const what = { PROVIDER_CAPACITY: "offer", PROVIDER_REFUSED: "order", PROVIDER_BUSY: "nothing", ORDER: "order" }[
    code
  ];
  if (what !== undefined) return { type: "refused", what: what as "offer", words };
  if (["PROVIDER_AUTH", "PROVIDER_FUNDS", "PROVIDER_QUOTA"].includes(code))
    return { type: "refused", what: "account", words };
  const instance = error instanceof CotrainError ? error.details?.["instance"] : undefined;
  return { type: "ambiguous", instance: typeof instance === "string" ? instance : null, words };
}

const hoursOf = (seconds: number): number => Math.ceil(seconds / 3_600);

/** Opens the ledger and takes over what another process left. */
export async function openKeeper(modules: KeeperModules): Promise<Keeper> {
  const keeper = new Keeping(modules, await modules.ledger.read());
  await keeper.tell({ type: "opened" });
  return keeper;
}

class Keeping implements Keeper {
  readonly #modules: KeeperModules;
  readonly #rules: Rules;
  /** The time of day at the opening: from then on time only passes, whoever sets the clock. */
  readonly #opened: number;
  #book: Book;
  /** Events are told one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(modules: KeeperModules, book: Book) {
    this.#modules = modules;
    this.#rules = modules.rules ?? defaultRules;
    this.#opened = modules.clock.now() - modules.clock.monotonic();
    this.#book = book;
  }

  book(): Book {
    return this.#book;
  }

  async tell(event: Untimed): Promise<void> {
    await this.#tell(event);
  }

  async look(): Promise<void> {
    const { accounts, starter, watchdogAt } = this.#modules;
    const lookedAt = await watchdogAt?.();
    if (lookedAt !== undefined) await this.#tell({ type: "watched", lookedAt });
    const calls = (await this.#tell({ type: "tick" })).filter((effect) => effect.type !== "alarm");
    for (const call of calls) if (call.type === "quote") await this.#quote(call.cluster);
    const starts = calls.flatMap((call) => (call.type === "start" ? [call.label] : []));
    const limit = pLimit(STARTS_AT_ONCE);
    await Promise.all([
      ...accounts.map((account) => this.#lookAt(account, calls)),
      ...starts.map((label) => limit(() => this.#start(label))),
    ]);
    starter?.forget((label) => this.#isToStart(label));
  }

  /** Whether what a machine is to do is still to be brought to it. */
  #isToStart(label: string): boolean {
    const lease = this.#book.leases[label];
    return lease !== undefined && isOpen(lease) && waitsForStart(lease);
  }

  async #start(label: string): Promise<void> {
    const { ssh, account, state, doomed } = this.#book.leases[label] ?? {};
    const { starter } = this.#modules;
    // It may have been taken away meanwhile.
    if (starter === undefined || !ssh || state !== "provisioning" || doomed !== null) return;
    const what = `${account}, starting ${label}`;
    const tried = await this.#ask(what, () => starter.start(label, ssh));
    if (tried === undefined) return;
    if (tried.answer.type === "unstarted") this.#modules.onFault?.(`${what}: ${tried.answer.words}`, undefined);
    await this.#tell({ ...tried.answer, label });
  }

  #now(): number {
    return Math.floor(this.#opened + this.#modules.clock.monotonic());
  }

  /** What failed once may have been written down or not: nothing is told after it, and whoever opens the ledger sees. */
  #tell(event: Untimed): Promise<readonly LeaseEffect[]> {
    const told = this.#last.then(() => this.#apply({ ...event, at: this.#now() }));
    this.#last = told;
    // Whoever told it hears of it.
    told.catch(() => undefined);
    return told;
  }

  async #apply(event: LeaseEvent): Promise<readonly LeaseEffect[]> {
    const { book, effects } = step(this.#book, event, this.#rules);
    const rows = changesOf(this.#book, book);
    if (Object.keys(rows).length > 0) await this.#modules.ledger.append({ type: event.type, at: book.now, rows });
    this.#book = book;
    for (const effect of effects) if (effect.type === "alarm") this.#modules.onAlarm?.(effect);
    return effects;
  }

  /** An answer, undefined where there is none. */
  async #ask<T>(what: string, call: () => Promise<T>): Promise<{ readonly answer: T } | undefined> {
    try {
      return { answer: await call() };
    } catch (error) {
      this.#fault(what, error);
      return undefined;
    }
  }

  #fault(what: string, error: unknown): void {
    this.#modules.onFault?.(`${what}: ${error instanceof Error ? error.message : "it failed."}`, error);
  }

  async #quote(id: string): Promise<void> {
    const cluster = this.#book.clusters[id];
    if (cluster === undefined) return;
    const found = await this.#ask(`offers of cluster ${id}`, () => this.#modules.quote(cluster));
    if (found !== undefined) await this.#tell({ type: "quoted", cluster: id, offers: found.answer });
  }

  /** What is to be done in one account: what ends before what begins. */
  async #lookAt(account: RentedAccount, calls: readonly Call[]): Promise<void> {
    const mine = <T extends Call["type"]>(type: T) =>
      calls.flatMap((call) => {
        const lease = call.type === type && "label" in call ? this.#book.leases[call.label] : undefined;
        return lease?.account === account.name ? [lease] : [];
      });
    const identity = (await this.#ask(`${account.title}, whose the key is`, () => account.identity()))?.answer;
    for (const lease of mine("terminate")) await this.#terminate(account, lease, identity);
    // Whose account it is must be known for all that follows.
    if (identity === undefined) {
      for (const { label } of mine("create"))
        await this.#tell({ type: "unsent", label, words: "Its account did not answer." });
      for (const { label } of mine("extend"))
        await this.#tell({ type: "unextended", label, words: "Its account did not answer." });
      return;
    }
    for (const lease of mine("extend")) await this.#extend(account, lease, identity);
    await this.#list(account, identity);
    for (const lease of mine("get")) await this.#get(account, lease, identity);
    for (const lease of mine("bill")) await this.#bill(account, lease);
    for (const lease of mine("create")) await this.#create(account, lease, identity);
  }

  async #terminate(
    account: RentedAccount,
    { label, instance, identity }: Lease,
    now: string | undefined,
  ): Promise<void> {
    if (instance === null) return;
    const asked = await this.#ask(`${account.title}, ending ${label}`, () => account.terminate(instance));
    // Another account has no such machine, and would say so.
    const answer = asked === undefined ? "failed" : identity === now ? asked.answer : "not yet";
    await this.#tell({ type: "asked", label, answer });
  }

  async #list(account: RentedAccount, identity: string): Promise<void> {
    const startedAt = this.#now();
    const listed = await this.#ask(`${account.title}, listing machines`, () => listSeen(account));
    if (listed === undefined) return;
    const { instances, silent } = listed.answer;
    for (const { error } of silent) this.#fault(`${account.title}, listing machines`, error);
    const { visibleWithin, killWithin, minimumSeconds, granularitySeconds, bootBilled, tellsBill } = account.terms;
    const { deletableWhileCreating, prepaidSeconds, deposit, startsBy } = account.terms;
    await this.#tell({
      type: "listed",
      account: account.name,
      identity,
      startedAt,
      instances,
      silent,
      terms: {
        visibleWithin,
        killWithin,
        minimumSeconds,
        granularitySeconds,
        bootBilled,
        tellsBill,
        deletableWhileCreating,
        ...(prepaidSeconds === undefined ? {} : { prepaidSeconds }),
        ...(deposit === undefined ? {} : { deposit }),
        ...(startsBy === "ssh" ? { startsBy } : {}),
      },
    });
  }

  async #extend(account: RentedAccount, lease: Lease, identity: string): Promise<void> {
    const { label, instance, terms, extendedSeconds = 0 } = lease;
    const { prepaidSeconds = 0 } = terms;
    const unextended = (words: string) => this.#tell({ type: "unextended", label, words });
    if (instance === null || account.extend === undefined || lease.identity !== identity)
      return void (await unextended("The key of its account is another's."));
    try {
      await account.extend(instance, hoursOf(prepaidSeconds), hoursOf(prepaidSeconds + extendedSeconds));
    } catch (error) {
      this.#fault(`${account.title}, paying ${label} for longer`, error);
      // Of what may have been done it counts as done.
      const failed = createFailed(error);
      if (failed.type === "refused") await unextended(failed.words);
    }
  }

  async #get(account: RentedAccount, { label, instance }: Lease, identity: string): Promise<void> {
    if (instance === null) return;
    const startedAt = this.#now();
    const got = await this.#ask(`${account.title}, looking for ${label}`, () => account.get(instance));
    if (got === undefined) return;
    const found = got.answer ?? null;
    await this.#tell({ type: "got", label, account: account.name, identity, startedAt, instance: found });
  }

  async #bill(account: RentedAccount, lease: Lease): Promise<void> {
    const { label, instance, words, perHour, createdAt } = lease;
    if (instance === null) return;
    const about = {
      id: instance,
      label,
      words,
      perHour,
      state: "gone",
      ...(createdAt === null ? {} : { createdAt }),
    } as const;
    const billed = await this.#ask(`${account.title}, the bill of ${label}`, () => account.bill(about));
    if (billed?.answer !== undefined) await this.#tell({ type: "billed", label, amount: billed.answer });
  }

  async #create(account: RentedAccount, sent: Lease, identity: string): Promise<void> {
    const { label } = sent;
    const lease = this.#book.leases[label];
    const cluster = this.#book.clusters[sent.cluster ?? ""];
    const offer = this.#book.quotes[sent.cluster ?? ""]?.offers.find(({ id }) => id === sent.offer);
    const unsent = (words: string) => this.#tell({ type: "unsent", label, words });
    // It was to end before it was sent, or nobody knows what to send.
    if (lease?.state !== "creating" || lease.doomed !== null)
      return void (await unsent("It was stopped before it was sent."));
    if (cluster === undefined || offer === undefined) return void (await unsent("Its offer is not there any more."));
    if (lease.identity !== identity) return void (await unsent("The key of its account is another's."));
    const prepared = await this.#ask(`what ${label} is to do`, () => this.#modules.prepare(lease, offer));
    if (prepared === undefined) return void (await unsent("What it is to do could not be told."));
    const { diskGb, endsAt } = cluster;
    const order: Order = {
      ...prepared.answer,
      label,
      offer,
      diskGb,
      maximumPerHour: lease.maximum,
      ...(endsAt === null ? {} : { endsAt }),
    };
    if (account.terms.startsBy === "ssh") {
      const { starter } = this.#modules;
      const kept = await this.#ask(`what ${label} is to do`, async () => {
        if (starter === undefined) throw new InternalError("STARTER_MISSING", "Nobody starts it over SSH.");
        await starter.keep(order, account.title);
      });
      if (kept === undefined) return void (await unsent("What it is to do could not be kept for it."));
    }
    try {
      const instance = await account.create(order);
      await this.#tell({ type: "created", label, instance });
    } catch (error) {
      this.#fault(`${account.title}, creating ${label}`, error);
      await this.#tell({ label, ...createFailed(error) });
    }
  }
}

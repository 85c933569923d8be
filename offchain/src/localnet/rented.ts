/**
 * Workers of a session that are rented (`--market demo`): a fake provider on this machine lets machines, and `market rent` rents them for the
 * run by the road of any other provider: keeper, ledger, passes, the coordinator's own software, heartbeats, the end. Who trains is
 * paid by the run; nobody pays for the machines.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";

import type { RunId } from "@cotrain/sdk/protocol";

import { type Clock, countOf, formatUsd, RetryableError } from "../base/index.ts";
import {
  type Book,
  costOf,
  type FakeTotals,
  hasLeases,
  isOpen,
  type Lease,
  leasesOf,
  leaveRequest,
  openLedger,
} from "../market/index.ts";
import type { Supervisor } from "../service/index.ts";

import type { LocalnetContext } from "./context.ts";
import type { SessionDisplay } from "./display.ts";
import type { LocalModel } from "./owners.ts";
import { fakeProviderProcess, PROVIDER, rentProcess, RENTING } from "./processes.ts";

/** How long machines may take to boot and to join, ms. */
const JOINING_MS = 900_000;
/** For workers to finish their round, and for machines to be seen to be gone. */
const DRAIN_MS = 60_000;
const ENDING_MS = 180_000;
const LOOK_MS = 500;

/** What was rented, and what became of it. */
export interface RentedReport {
  readonly machines: readonly {
    readonly label: string;
    readonly machine: string;
    readonly state: string;
    /** µUSD of an hour, and of the whole lease. */
    readonly perHour: bigint;
    readonly cost: bigint;
    /** What the provider says it charged; null where it has not told. */
    readonly billed: bigint | null;
    readonly why: string | null;
  }[];
  /** By the provider's own meter; undefined where it does not answer. */
  readonly meter: FakeTotals | undefined;
}

export interface RentedWorkers {
  /** Rents, and resolves when each machine has a worker that takes part. @throws RetryableError `MARKET_DEMO`; as a supervisor's start */
  begin(coordinator: string): Promise<void>;
  /** Ends all machines at the end of a round, and waits until they are gone. */
  end(display: Pick<SessionDisplay, "update">): Promise<RentedReport>;
}

interface RentedPlace extends Pick<LocalModel, "clock" | "signal"> {
  readonly context: LocalnetContext;
  readonly state: string;
  readonly supervisor: Supervisor;
  readonly runId: RunId;
  /** Wallets of who trains here, of which the first is the machines' beneficiary. */
  readonly trainers: readonly { readonly address: string }[];
  readonly display: Pick<SessionDisplay, "say" | "update">;
}

/** What a start does before the first round. */
export const startingText = ({ options: { market } }: Pick<LocalnetContext, "options">): string =>
  market === undefined
    ? "Starting coordinator, validators and workers"
    : "Starting coordinator and validators, and renting workers from a fake provider";

const isOver = (supervisor: Supervisor, name: string): boolean =>
  supervisor.status().some((each) => each.name === name && (each.state === "stopped" || each.state === "failed"));

/** What is known of leases, whoever keeps them; undefined before anything is. */
async function bookOf(directory: string, clock: Pick<Clock, "now">): Promise<Book | undefined> {
  if (!hasLeases(directory)) return undefined;
  const ledger = await openLedger(directory, () => clock.now());
  try {
    return await ledger.read();
  } finally {
    await ledger.close();
  }
}

const joined = (book: Book): readonly Lease[] => leasesOf(book).filter(({ state }) => state === "joined");
const nothingLeft = (book: Book): boolean => leasesOf(book).every((lease) => !isOpen(lease));

const reportOf = (book: Pick<Book, "leases">, now: number, meter: FakeTotals | undefined): RentedReport => ({
  machines: leasesOf(book).map((lease) => ({
    label: lease.label,
    machine: lease.machine,
    state: lease.state,
    perHour: lease.perHour,
    cost: costOf(lease, now),
    billed: lease.billed,
    why: lease.doomed?.words ?? null,
  })),
  meter,
});

/** Undefined where the line does not ask for it. */
export function rentedWorkers(place: RentedPlace): RentedWorkers | undefined {
  const { context, state, supervisor, runId, trainers, clock, signal, display } = place;
  const { market, workers: count } = context.options;
  const [trainer] = trainers;
  if (market === undefined || trainer === undefined) return undefined;
  const beneficiary = trainer.address;
  const directory = join(state, "market");
  const leases = join(directory, "leases");
  let provider = "";

  const look = (): Promise<Book | undefined> => bookOf(leases, clock);

  /** Looks until it holds of the book. @returns whether it did in time */
  async function until(holds: (book: Book) => boolean, milliseconds: number): Promise<boolean> {
    const last = clock.monotonic() + milliseconds;
    while (clock.monotonic() < last) {
      const over = isOver(supervisor, RENTING);
      const book = await look();
      if (book !== undefined && holds(book)) return true;
      if (over) return false;
      await clock.sleep(LOOK_MS, signal);
    }
    return false;
  }

  /** How many have not joined, which the screen says. */
  function missingOf(book: Book): number {
    const missing = Math.max(0, count - joined(book).length);
    display.update({ waitsFor: missing === 0 ? [] : [`${countOf(missing, "machine")} to join`] });
    return missing;
  }

  async function begin(coordinator: string): Promise<void> {
    // What a session before rented ended with its provider, which was a process of it.
    rmSync(directory, { recursive: true, force: true });
    const { program } = context;
    const { details } = await supervisor.start(fakeProviderProcess(program, { directory, count }));
    provider = String(details["url"]);
    const lasts = context.options.for + 2 * JOINING_MS;
    const wish = { directory, state, coordinator, runId, beneficiary, provider, count, lasts, drain: DRAIN_MS };
    await supervisor.start(rentProcess(program, wish));
    if (!(await until((book) => missingOf(book) === 0, JOINING_MS)))
      throw new RetryableError(
        "MARKET_DEMO",
        `Machines of the fake provider did not join the run: see ${RENTING}.log and ${PROVIDER}.log among the logs, and those in ${directory}.`,
      );
    const book = await look();
    const leased = book === undefined ? [] : joined(book);
    const hour = leased.reduce((sum, { perHour }) => sum + perHour, 0n);
    display.say([
      `Rented from the fake provider, for ${formatUsd(hour)} make-believe USD an hour: ${countOf(leased.length, "machine")} (${leased.map(({ label }) => label).join(", ")})`,
    ]);
  }

  async function end(screen: Pick<SessionDisplay, "update">): Promise<RentedReport> {
    screen.update({ activity: "Ending the rented machines", goal: ENDING_MS });
    for (const cluster of Object.keys((await look())?.clusters ?? {}))
      await leaveRequest(leases, { type: "stop", cluster, drainMs: DRAIN_MS });
    await until((book) => nothingLeft(book) && isOver(supervisor, RENTING), ENDING_MS);
    return reportOf((await look()) ?? { leases: {} }, clock.now(), await totalsAt(provider));
  }

  return { begin, end };
}

/** What the fake provider's meter says; it is a process of ours. */
async function totalsAt(url: string): Promise<FakeTotals | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return answer.ok ? ((await answer.json()) as FakeTotals) : undefined;
  } catch {
    return undefined;
  }
}

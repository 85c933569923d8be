/**
 * The book at rest: an event log, whose entries have the rows that a step changed as they are since. What is read back are those
 * rows, whatever rules they came about under, less what is old (forgetting.ts). An entry is durable before anything that it asks for is done, and cannot be appended by
 * a process that another has followed.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { makeDirectories } from "../../base/node/index.ts";
import { createEventLog, eventLogMigrations, type EventLogSchema, openDatabase } from "../../service/index.ts";
import { withoutOld } from "./forgetting.ts";
import { type Book, emptyKept, type Kept, openBook, sections } from "./state.ts";

/** Rows that changed, by section. */
export type Changes = { readonly [S in keyof Kept]?: Kept[S] };

/** One entry of the ledger. */
interface Entry {
  /** Of the event that led to it. */
  readonly type: string;
  readonly at: number;
  readonly rows: Changes;
}

export interface Ledger {
  /** What was written down, whose labels are this installation's. */
  read(): Promise<Book>;
  /** Durable when it resolves. @throws RetryableError `EVENT_LOG_MOVED` where another process keeps it since, `DISK_FULL` */
  append(entry: Entry): Promise<void>;
}

/** What differs between two books. */
export function changesOf(before: Kept, after: Kept): Changes {
  const changes: Record<string, Record<string, unknown>> = {};
  for (const section of sections) {
    if (before[section] === after[section]) continue;
    const rows = Object.entries(after[section]).filter(([key, row]) => before[section][key] !== row);
    if (rows.length > 0) changes[section] = Object.fromEntries(rows);
  }
  return changes;
}

/** Fields that hold money, which JSON has as decimal text. */
const MONEY: ReadonlySet<string> = new Set(["perHour", "maximum", "billed", "budget", "maximumPerHour", "deposit"]);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Rows as they were before they were JSON. */
function revived(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      MONEY.has(key) && typeof each === "string" ? BigInt(each) : revived(each),
    ]),
  );
}

/** The book after an entry. */
export function applied(kept: Kept, rows: unknown): Kept {
  const changes = revived(rows) as Changes;
  return Object.fromEntries(
    sections.map((section) => [section, { ...kept[section], ...changes[section] }]),
  ) as unknown as Kept;
}

type Stored = { readonly type: string; readonly at: number } & (
  | { readonly type: "founded"; readonly installation: string }
  | { readonly rows: Changes }
);

/** Of the entries' form, and of what the rows mean. */
const VERSIONS = { runId: "leases", schemaVersion: 1, logicVersion: 1 } as const;
/** Entries that an opening reads; after more of them it keeps all rows together, so that the next is quick. */
const SNAPSHOT_EVERY = 500;

export interface StoredLedger extends Ledger {
  /** All that ever was written down, that which {@link read} leaves out too. */
  whole(): Promise<Book>;
  /** All that happened to leases, the oldest first. */
  history(): AsyncIterable<Entry>;
  close(): Promise<void>;
}

/**
 * Opens the ledger of a directory, makes it when missing.
 * @throws UserError `DATABASE_CORRUPTED`, `DATABASE_NEWER`, `EVENT_LOG_CORRUPTED`, `PATH_UNWRITABLE`; RetryableError `DISK_FULL`,
 *   `DATABASE_BUSY`
 */
export async function openLedger(directory: string, now: () => number): Promise<StoredLedger> {
  makeDirectories(directory, 0o700);
  // Labels of machines that run lead here: there is no remedy in putting it aside.
  const remedy = `restore ${directory} from a copy, and look at your accounts for machines whose names begin with ct-`;
  const database = await openDatabase<EventLogSchema>(join(directory, "leases.db"), eventLogMigrations, { remedy });
  const log = createEventLog<Stored>(database, VERSIONS);
  let { seq } = await log.head();
  const write = async (event: Stored): Promise<void> => {
    await log.append(seq, [event]);
    seq += 1;
  };
  const latest = () => log.latestSnapshot<{ installation: string; kept: unknown }>(VERSIONS.logicVersion);
  /** @param from where all was last kept together */
  const bookFrom = async (from: Awaited<ReturnType<typeof latest>>) => {
    let last = from?.seq ?? 0;
    let installation = from?.state.installation ?? "";
    let kept = from === undefined ? emptyKept : applied(emptyKept, from.state.kept);
    for await (const row of log.read(last)) {
      if ("installation" in row.event) installation = row.event.installation;
      else kept = applied(kept, row.event.rows);
      last = row.seq;
    }
    return { last, book: openBook(installation, kept) };
  };
  return {
    read: async () => {
      if (seq === 0) await write({ type: "founded", at: now(), installation: randomBytes(4).toString("hex") });
      const snapshot = await latest();
      const { last, book: all } = await bookFrom(snapshot);
      seq = Math.max(seq, last);
      const book = withoutOld(all, now());
      const { installation, leases, clusters, accounts, blocked } = book;
      if (seq - (snapshot?.seq ?? 0) > SNAPSHOT_EVERY)
        await log.saveSnapshot(seq, VERSIONS.logicVersion, {
          installation,
          kept: { leases, clusters, accounts, blocked },
        });
      return book;
    },
    whole: async () => (await bookFrom(undefined)).book,
    append: async ({ type, at, rows }) => {
      await write({ type, at, rows });
    },
    history: async function* history() {
      for await (const { event } of log.read()) {
        if (!("installation" in event)) yield { ...event, rows: revived(event.rows) as Changes };
      }
    },
    close: () => database.close(),
  };
}

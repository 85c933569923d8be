/**
 * A run's own time, in ms since 1970: the wall clock's where the two were last compared, moved on by a clock that nobody can
 * set. How far it has come is written down every few seconds, so that what is waited for is as far away after a restart,
 * however long that took and whatever the wall clock says then.
 */
import type { Clock } from "../base/index.ts";
import type { Migration, Queryable } from "../service/index.ts";

interface ClockTable {
  run_id: string;
  at: number;
}

export interface ClockSchema {
  coordinator_clocks: ClockTable;
}

export const clockMigrations: readonly Migration[] = [
  {
    name: "coordinator-clocks-1",
    up: async (db) => {
      await db.schema
        .createTable("coordinator_clocks")
        .addColumn("run_id", "text", (column) => column.notNull().primaryKey())
        .addColumn("at", "bigint", (column) => column.notNull())
        .execute();
    },
  },
];

/** Parted by more than this, the wall clock was set; less is how clocks drift and are corrected all the time. */
const STEP_MS = 1_000;

export interface RunClock {
  now(): number;
  /** What the wall clock says, when it was set since the two were compared. */
  stepped(): number | undefined;
  /** Goes on from `at`. */
  rebase(at: number): void;
}

export function createRunClock(clock: Clock, start: number): RunClock {
  let base = start;
  let since = clock.monotonic();
  const now = (): number => base + Math.floor(clock.monotonic() - since);
  return {
    now,
    stepped: () => {
      const wall = clock.now();
      return Math.abs(wall - now()) > STEP_MS ? wall : undefined;
    },
    rebase: (at) => {
      base = at;
      since = clock.monotonic();
    },
  };
}

/** How far the run's time had come when it was last written down. */
export async function readClock<S extends ClockSchema>(db: Queryable<S>, runId: string): Promise<number> {
  const row = await narrowed(db)
    .selectFrom("coordinator_clocks")
    .select("at")
    .where("run_id", "=", runId)
    .executeTakeFirst();
  return row?.at ?? 0;
}

export async function writeClock<S extends ClockSchema>(db: Queryable<S>, runId: string, at: number): Promise<void> {
  await narrowed(db)
    .insertInto("coordinator_clocks")
    .values({ run_id: runId, at })
    .onConflict((conflict) => conflict.column("run_id").doUpdateSet({ at }))
    .execute();
}

/** Kysely is invariant in its schema; here it is about one table. */
const narrowed = <S extends ClockSchema>(db: Queryable<S>): Queryable<ClockSchema> =>
  db as unknown as Queryable<ClockSchema>;

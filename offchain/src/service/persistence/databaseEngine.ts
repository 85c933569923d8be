/** What an engine of databases does. The door to all of them is database.ts. */
import type { Kysely, Transaction } from "kysely";

import type { Clock } from "../../base/index.ts";
import type { Logger } from "../processes/logging.ts";
import type { DiskGate } from "./diskGate.ts";

export interface Database<Schema> {
  /** Its path, or what may be shown of its URL. */
  readonly file: string;
  readonly kysely: Kysely<Schema>;
  /** While the disk is full every write is refused with `DISK_FULL`, untried; this says so and when to come again. */
  readonly disk: DiskGate;
  /** Number of the file system that it is on, as `stat` says; undefined where that is not this machine's. */
  readonly device: number | undefined;
  /**
   * Runs `work` in one transaction (BEGIN IMMEDIATE), committed when it resolves and rolled back when it rejects. Inside,
   * use the transaction it is handed only: a query on `kysely` would wait for the transaction, and so forever.
   */
  transaction<T>(work: (trx: Transaction<Schema>) => Promise<T>): Promise<T>;
  /** Closes the file; harmless when called again. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** How long a query waits for another process's lock, in ms; default 5,000. */
  readonly busyTimeout?: number;
  /** Imperative clause in the errors for a damaged file, and for one of a newer version. */
  readonly remedy?: string;
  /** For the pauses while the disk is full. */
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/**
 * Opens a database, creates it when missing; its schema is the door's matter.
 * @param at a path, or the engine's own URL
 */
export type DatabaseEngine = <Schema>(
  at: string,
  options: DatabaseOptions,
) => Database<Schema> | Promise<Database<Schema>>;

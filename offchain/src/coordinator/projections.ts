/**
 * Tables beside the log that grow with the run, so that the state need not: every checkpoint, what was acknowledged, and the
 * payload blobs that will be deleted. Written in the transaction that appends the event they follow from.
 */
import type { Kysely } from "kysely";

import { type Digest, digestOfJson, type HeadHash, type Hex, type RunId } from "@cotrain/sdk/protocol";
import type { Database, EventLogSchema, Migration, Queryable } from "../service/index.ts";
import type { ReceiptAccepted, RunEvent } from "./machine/events.ts";
import type { RunState } from "./machine/state.ts";
import { clockMigrations, type ClockSchema, writeClock } from "./runClock.ts";

export interface CheckpointTable {
  run_id: string;
  round: number;
  digest: string;
  params_version: number;
  receipts: string | null;
  head: string;
  sequence: number;
  transaction: string | null;
  block: number | null;
  /** Its shards were deleted. */
  pruned: number;
}

export interface PayloadTable {
  run_id: string;
  round: number;
  digest: string;
}

/** Rounds below `round` are covered by an active root since `at`, ms of the run's own time, which moves with it when that is set. */
interface SettledTable {
  run_id: string;
  round: number;
  at: number;
}

/** What the acknowledgement of a receipt says beside the receipt. */
interface ReceiptTable {
  run_id: string;
  receipt_hash: string;
  tokens: number;
  accepted_at: number;
}

export interface CoordinatorSchema extends EventLogSchema, ClockSchema {
  coordinator_checkpoints: CheckpointTable;
  coordinator_payloads: PayloadTable;
  coordinator_settled: SettledTable;
  coordinator_receipts: ReceiptTable;
}

export const coordinatorMigrations: readonly Migration[] = [
  ...clockMigrations,
  {
    name: "coordinator-1",
    up: async (db) => {
      await db.schema
        .createTable("coordinator_checkpoints")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("round", "integer", (column) => column.notNull())
        .addColumn("digest", "text", (column) => column.notNull())
        .addColumn("params_version", "integer", (column) => column.notNull())
        .addColumn("receipts", "text")
        .addColumn("head", "text", (column) => column.notNull())
        .addColumn("sequence", "integer", (column) => column.notNull())
        .addColumn("transaction", "text")
        .addColumn("block", "integer")
        .addColumn("pruned", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("coordinator_checkpoints_pk", ["run_id", "round"])
        .execute();
      await db.schema
        .createTable("coordinator_payloads")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("round", "integer", (column) => column.notNull())
        .addColumn("digest", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("coordinator_payloads_pk", ["run_id", "round", "digest"])
        .execute();
    },
  },
  {
    name: "coordinator-2",
    up: async (db) => {
      await db.schema
        .createTable("coordinator_settled")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("round", "integer", (column) => column.notNull())
        .addColumn("at", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("coordinator_settled_pk", ["run_id", "round"])
        .execute();
    },
  },
  {
    name: "coordinator-3",
    up: async (db) => {
      await db.schema
        .createIndex("coordinator_payloads_digest")
        .on("coordinator_payloads")
        .columns(["digest", "run_id", "round"])
        .execute();
    },
  },
  {
    name: "coordinator-4",
    up: async (db) => {
      await db.schema
        .createTable("coordinator_receipts")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("receipt_hash", "text", (column) => column.notNull())
        .addColumn("tokens", "bigint", (column) => column.notNull())
        .addColumn("accepted_at", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("coordinator_receipts_pk", ["run_id", "receipt_hash"])
        .execute();
    },
  },
];

/** The first round whose receipts no active root covers, and whose checkpoint before it validators still read. */
export function firstOpenRound({ heads, settledEpoch, round }: RunState): number {
  const open = heads.find(({ anchor, sequence }) => sequence > 0 && (!anchor || anchor.epoch > settledEpoch));
  // A head's round counts completed rounds: its receipts are of the round before.
  return open ? open.round - 1 : round;
}

/** What one event adds. @param state after the event */
export async function project(
  trx: Queryable<CoordinatorSchema>,
  event: RunEvent,
  before: RunState | null,
  state: RunState,
): Promise<void> {
  const runId = state.facts.runId;
  switch (event.type) {
    case "RunCreated":
    case "CheckpointStored": {
      const entry = state.heads.at(-1);
      if (!entry) return;
      await trx
        .insertInto("coordinator_checkpoints")
        .values({
          run_id: runId,
          round: entry.round,
          digest: entry.checkpoint,
          params_version: entry.paramsVersion,
          receipts: event.type === "CheckpointStored" ? event.receipts : null,
          head: entry.head,
          sequence: entry.sequence,
          transaction: entry.anchor?.transaction ?? null,
          block: entry.anchor?.block ?? null,
          pruned: 0,
        })
        .execute();
      return;
    }
    case "HeadAnchored":
      await trx
        .updateTable("coordinator_checkpoints")
        .set({ transaction: event.anchor.transaction, block: event.anchor.block })
        .where("run_id", "=", runId)
        .where("sequence", "=", event.sequence)
        .execute();
      return;
    case "HeadReverted":
      await trx
        .updateTable("coordinator_checkpoints")
        .set({ transaction: null, block: null })
        .where("run_id", "=", runId)
        .where("sequence", ">", event.sequence)
        .execute();
      return;
    case "FragmentAccepted":
    case "ReceiptAccepted": {
      if (event.type === "FragmentAccepted" && event.stays) return;
      const digest = event.type === "FragmentAccepted" ? event.digest : digestOfJson(event.header);
      await trx
        .insertInto("coordinator_payloads")
        .values({ run_id: runId, round: before?.round ?? state.round, digest })
        .onConflict((conflict) => conflict.columns(["run_id", "round", "digest"]).doNothing())
        .execute();
      if (event.type === "ReceiptAccepted") await projectReceipt(trx, event, state);
      return;
    }
    case "RootActivated":
      await trx
        .insertInto("coordinator_settled")
        .values({ run_id: runId, round: firstOpenRound(state), at: event.at })
        .onConflict((conflict) => conflict.columns(["run_id", "round"]).doNothing())
        .execute();
      // What counts from now on may be asked for at once.
      await writeClock(trx, runId, event.at);
      return;
    case "ClockStepped":
      await trx
        .updateTable("coordinator_settled")
        .set((row) => ({ at: row("at", "+", event.at - event.was) }))
        .where("run_id", "=", runId)
        .execute();
      return;
    case "RootReverted":
      await trx
        .deleteFrom("coordinator_settled")
        .where("run_id", "=", runId)
        .where("round", ">", firstOpenRound(state))
        .execute();
      return;
    default:
  }
}

async function projectReceipt(
  trx: Queryable<CoordinatorSchema>,
  { receipt, receiptHash }: ReceiptAccepted,
  state: RunState,
): Promise<void> {
  const accepted = state.current?.work[receipt.worker]?.receipt;
  if (accepted?.receiptHash !== receiptHash) return;
  const { tokens, acceptedAt } = accepted;
  await trx
    .insertInto("coordinator_receipts")
    .values({ run_id: state.facts.runId, receipt_hash: receiptHash, tokens, accepted_at: acceptedAt })
    .execute();
}

export interface CheckpointRow {
  readonly round: number;
  readonly digest: Digest;
  readonly paramsVersion: number;
  /** Digest of the ReceiptsFile. */
  readonly receipts: Digest | null;
  readonly head: HeadHash;
  readonly sequence: number;
  readonly transaction: Hex | null;
  readonly block: number | null;
  readonly pruned: boolean;
}

/** Reads and housekeeping over the tables of one run. */
export interface Projections {
  /** So many checkpoints by ascending round. */
  checkpoints(from: number, most: number): Promise<CheckpointRow[]>;
  checkpoint(round: number): Promise<CheckpointRow | undefined>;
  /** Checkpoints whose shards are still there. */
  unpruned(): Promise<CheckpointRow[]>;
  /** Manifests of checkpoints of other runs whose shards are still there. */
  unprunedOfOthers(): Promise<Digest[]>;
  markPruned(rounds: readonly number[]): Promise<void>;
  /** Payload blobs of rounds below `round` that no later round and no other run has. */
  payloadsBefore(round: number): Promise<Digest[]>;
  /** Whether a payload blob belongs to some round, of whatever run. */
  hasPayload(digest: Digest): Promise<boolean>;
  /** Whether it belongs to a round of this run below `round`, or to another run. */
  hasEarlierPayload(digest: Digest, round: number): Promise<boolean>;
  forgetPayloadsBefore(round: number): Promise<void>;
  /**
   * The round below which all are covered by roots that have been active for `ms`; 0 for none. By the run's own time as it
   * was last written down, so that neither a clock that is set nor one that is about to be makes it more than it was.
   */
  settledFor(ms: number): Promise<number>;
  /** What the acknowledgement of a receipt says, of whatever round; undefined when it was not accepted. */
  accepted(receiptHash: Hex): Promise<{ readonly tokens: number; readonly acceptedAt: number } | undefined>;
}

export function createProjections(database: Database<CoordinatorSchema>, runId: RunId): Projections {
  const db: Kysely<CoordinatorSchema> = database.kysely;
  const all = () => db.selectFrom("coordinator_checkpoints").selectAll().where("run_id", "=", runId);
  return {
    checkpoints: async (from, most) =>
      (await all().where("round", ">=", from).orderBy("round").limit(most).execute()).map(toRow),
    checkpoint: async (round) => {
      const row = await all().where("round", "=", round).executeTakeFirst();
      return row && toRow(row);
    },
    unpruned: async () => (await all().where("pruned", "=", 0).orderBy("round").execute()).map(toRow),
    unprunedOfOthers: async () => {
      const rows = await db
        .selectFrom("coordinator_checkpoints")
        .select("digest")
        .distinct()
        .where("run_id", "!=", runId)
        .where("pruned", "=", 0)
        .execute();
      return rows.map((row) => row.digest as Digest);
    },
    markPruned: async (rounds) => {
      if (rounds.length === 0) return;
      await db
        .updateTable("coordinator_checkpoints")
        .set({ pruned: 1 })
        .where("run_id", "=", runId)
        .where("round", "in", [...rounds])
        .execute();
    },
    payloadsBefore: async (round) => {
      const rows = await db
        .selectFrom("coordinator_payloads as p")
        .select("p.digest")
        .distinct()
        .where("p.run_id", "=", runId)
        .where("p.round", "<", round)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom("coordinator_payloads as other")
                .select("other.digest")
                .whereRef("other.digest", "=", "p.digest")
                .where((or) => or.or([or("other.run_id", "!=", runId), or("other.round", ">=", round)])),
            ),
          ),
        )
        .execute();
      return rows.map((row) => row.digest as Digest);
    },
    hasPayload: async (digest) => {
      const row = await db
        .selectFrom("coordinator_payloads")
        .select("round")
        .where("digest", "=", digest)
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },
    hasEarlierPayload: async (digest, round) => {
      const row = await db
        .selectFrom("coordinator_payloads")
        .select("round")
        .where("digest", "=", digest)
        .where((eb) => eb.or([eb("run_id", "!=", runId), eb("round", "<", round)]))
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },
    forgetPayloadsBefore: async (round) => {
      for (const table of ["coordinator_payloads", "coordinator_settled"] as const)
        await db.deleteFrom(table).where("run_id", "=", runId).where("round", "<", round).execute();
    },
    settledFor: async (ms) => {
      const row = await db
        .selectFrom("coordinator_settled as settled")
        .innerJoin("coordinator_clocks as clocks", "clocks.run_id", "settled.run_id")
        .select("settled.round")
        .where("settled.run_id", "=", runId)
        .whereRef("settled.at", "<=", (row) => row("clocks.at", "-", ms))
        .orderBy("settled.round", "desc")
        .limit(1)
        .executeTakeFirst();
      return row?.round ?? 0;
    },
    accepted: async (receiptHash) => {
      const row = await db
        .selectFrom("coordinator_receipts")
        .selectAll()
        .where("run_id", "=", runId)
        .where("receipt_hash", "=", receiptHash)
        .executeTakeFirst();
      return row && { tokens: row.tokens, acceptedAt: row.accepted_at };
    },
  };
}

const toRow = (row: CheckpointTable): CheckpointRow => ({
  round: row.round,
  digest: row.digest as Digest,
  paramsVersion: row.params_version,
  receipts: row.receipts as Digest | null,
  head: row.head as HeadHash,
  sequence: row.sequence,
  transaction: row.transaction as Hex | null,
  block: row.block,
  pruned: row.pruned === 1,
});

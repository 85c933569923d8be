/** Form of the tables beside the log, and how a database gets them. */
import type { EventLogSchema, Migration } from "../service/index.ts";
import { clockMigrations, type ClockSchema } from "./runClock.ts";

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

/** See shards.ts. */
interface ShardTable {
  run_id: string;
  /** The checkpoint's, below 0 for a document. */
  round: number;
  digest: string;
}

interface PayloadTable {
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

/** Members that asked to have claimed for whom they work for; see claimDuty.ts. */
interface ClaimTable {
  run_id: string;
  worker: string;
  account: string;
  /** Ms since 1970. */
  asked_at: number;
  /** Whether something was claimed for it. */
  claimed: number;
}

export interface CoordinatorSchema extends EventLogSchema, ClockSchema {
  coordinator_checkpoints: CheckpointTable;
  coordinator_shards: ShardTable;
  coordinator_payloads: PayloadTable;
  coordinator_settled: SettledTable;
  coordinator_receipts: ReceiptTable;
  coordinator_claims: ClaimTable;
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
  {
    name: "coordinator-5",
    up: async (db) => {
      await db.schema
        .createTable("coordinator_shards")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("round", "integer", (column) => column.notNull())
        .addColumn("digest", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("coordinator_shards_pk", ["digest", "run_id", "round"])
        .execute();
    },
  },
  {
    name: "coordinator-6",
    up: async (db) => {
      await db.schema
        .createTable("coordinator_claims")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("worker", "text", (column) => column.notNull())
        .addColumn("account", "text", (column) => column.notNull())
        .addColumn("asked_at", "bigint", (column) => column.notNull())
        .addColumn("claimed", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("coordinator_claims_pk", ["run_id", "worker"])
        .execute();
    },
  },
];

/** The receipt journal in a database. */
import type { Hex, PayloadHeader, ReceiptReply } from "@cotrain/sdk/protocol";
import { type Kysely, sql } from "kysely";

import type { Clock } from "../../base/index.ts";
import { type Migration, openDatabase } from "../../service/index.ts";
import type { SignedReceipt } from "../receipt.ts";
import type { ReceiptJournal, ReceiptRow } from "../receiptJournal.ts";

interface ReceiptTables {
  receipts: {
    receipt_hash: string;
    run_id: string;
    round: number;
    receipt: string;
    signature: string;
    header: string;
    sent_at: number;
    ack: string | null;
    ack_signature: string | null;
    outcome: number | null;
    tokens: number | null;
  };
}

const migrations: readonly Migration[] = [
  {
    name: "receipts-1",
    up: async (db: Kysely<unknown>) => {
      await sql`create table receipts (
        receipt_hash text primary key,
        run_id text not null,
        round integer not null,
        receipt text not null,
        signature text not null,
        header text not null,
        sent_at integer not null,
        ack text,
        ack_signature text,
        outcome integer
      ) strict`.execute(db);
      await sql`create index receipts_by_round on receipts (run_id, round)`.execute(db);
    },
  },
  {
    // The next process may train another build, by whose batch they are not to be counted.
    name: "receipts-2",
    up: async (db: Kysely<unknown>) => {
      await sql`alter table receipts add column tokens integer`.execute(db);
    },
  },
];

/** Acknowledgements that are asked for at a time. */
const ASKED_AGAIN = 4;

const toRow = (row: ReceiptTables["receipts"]): ReceiptRow => ({
  receipt: JSON.parse(row.receipt) as SignedReceipt["receipt"],
  signature: row.signature as Hex,
  receiptHash: row.receipt_hash as Hex,
  header: JSON.parse(row.header) as PayloadHeader,
  ack:
    row.ack === null || row.ack_signature === null
      ? null
      : { ack: JSON.parse(row.ack) as ReceiptReply["ack"], signature: row.ack_signature as Hex },
  outcome: row.outcome,
  tokens: row.tokens,
});

async function unanswered(kysely: Kysely<ReceiptTables>, runId: string, untold: boolean): Promise<ReceiptRow[]> {
  const newest = kysely
    .selectFrom("receipts")
    .select("receipt_hash")
    .where("run_id", "=", runId)
    .orderBy("round", "desc")
    .orderBy("sent_at", "desc")
    .limit(untold ? 1 : 0);
  const rows = await kysely
    .selectFrom("receipts")
    .selectAll()
    .where("run_id", "=", runId)
    .where("ack", "is", null)
    .where((row) => row.or([row("outcome", "is not", null), row("receipt_hash", "in", newest)]))
    .orderBy("round", "desc")
    .limit(ASKED_AGAIN)
    .execute();
  return rows.map(toRow);
}

/** Opens the journal. @throws as `openDatabase` of the service room */
export async function openReceiptJournal(file: string, clock: Clock): Promise<ReceiptJournal> {
  const database = await openDatabase<ReceiptTables>(file, migrations, {
    remedy: "move the file away; the receipts in it are then no longer at hand",
  });
  const { kysely } = database;
  return {
    sent: async ({ receipt, signature, receiptHash }, header, tokens) => {
      await kysely
        .insertInto("receipts")
        .values({
          receipt_hash: receiptHash,
          run_id: receipt.runId,
          round: Number(receipt.round),
          receipt: JSON.stringify(receipt),
          signature,
          header: JSON.stringify(header),
          sent_at: clock.now(),
          ack: null,
          ack_signature: null,
          outcome: null,
          tokens,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    acknowledged: async (receiptHash, reply) => {
      await kysely
        .updateTable("receipts")
        .set({ ack: JSON.stringify(reply.ack), ack_signature: reply.signature })
        .where("receipt_hash", "=", receiptHash)
        .execute();
    },
    ended: async (receiptHash, outcome) => {
      const { numUpdatedRows } = await kysely
        .updateTable("receipts")
        .set({ outcome })
        .where("receipt_hash", "=", receiptHash)
        .where("outcome", "is", null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    unanswered: (runId, untold) => unanswered(kysely, runId, untold),
    list: async (runId) => {
      const rows = await kysely
        .selectFrom("receipts")
        .selectAll()
        .where("run_id", "=", runId)
        .orderBy("round")
        .orderBy("sent_at")
        .execute();
      return rows.map(toRow);
    },
    close: () => database.close(),
  };
}

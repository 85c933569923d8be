/**
 * The statements of one validator: each is on the disk before anybody sees it, and a second one that would contradict it is
 * never signed, whatever happened in between. Two contradicting signatures of one key are proof for slashing. A journal knows what it
 * holds alone: one that is new, of a key that is not, says nothing about what was on the chain when it began.
 */
import { canonicalJson, type Hex, verdictKey, type WireStruct } from "@cotrain/sdk/protocol";
import { type Kysely, sql } from "kysely";

import { type Clock, InternalError, systemClock, UserError } from "../base/index.ts";
import type { Database, Migration } from "../service/index.ts";

/** One row. `value` is what must not differ between two statements of one key. */
interface StatementTable {
  key: string;
  kind: string;
  /** The head that a verdict is about, the model of an attestation. */
  subject: string;
  value: string;
  json: string;
  signature: string;
  signed_at: number;
  accepted_at: number | null;
}
/** Since when a key has this journal. */
interface BirthTable {
  /** Its address, lower-case. */
  account: string;
  /** The chain's newest block then; null where the key had never signed. */
  block: number | null;
  noted_at: number;
}
export interface StatementSchema {
  statements: StatementTable;
  births: BirthTable;
}

export const statementMigrations: readonly Migration[] = [
  {
    name: "statements-1",
    up: async (db) => {
      await db.schema
        .createTable("statements")
        .addColumn("key", "text", (column) => column.primaryKey())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("subject", "text", (column) => column.notNull())
        .addColumn("value", "text", (column) => column.notNull())
        .addColumn("json", "text", (column) => column.notNull())
        .addColumn("signature", "text", (column) => column.notNull())
        .addColumn("signed_at", "bigint", (column) => column.notNull())
        .addColumn("accepted_at", "bigint")
        .execute();
      await db.schema.createIndex("statements_subject").on("statements").columns(["subject"]).execute();
      await db.schema.createIndex("statements_unsent").on("statements").columns(["kind", "accepted_at"]).execute();
    },
  },
  {
    name: "births-1",
    up: async (db) => {
      await db.schema
        .createTable("births")
        .addColumn("account", "text", (column) => column.primaryKey())
        .addColumn("block", "bigint")
        .addColumn("noted_at", "bigint", (column) => column.notNull())
        .execute();
      // A journal in which a key has signed before this was noted has all that it signed.
      await sql`insert into births (account, block, noted_at)
        select lower(json_extract(json, '$.validator')), null, min(signed_at) from statements
        where kind = 'verdict' group by 1`.execute(db);
    },
  },
];

/** A statement and its signature. */
export interface Statement<T> {
  readonly key: string;
  readonly struct: T;
  readonly signature: Hex;
}

export interface Statements {
  /** Whether a block was there when this journal of a key that had signed before began: nothing is signed about it. */
  isBefore(block: number): boolean;
  /**
   * The verdict of its key: the one signed before if there is one, else this one, signed and written down.
   * @throws UserError `EQUIVOCATION_REFUSED` when another value was signed before
   */
  verdict(verdict: WireStruct<"Verdict">, sign: () => Promise<Hex>): Promise<Statement<WireStruct<"Verdict">>>;
  /**
   * The same for an attestation; its key is what the contract compares.
   * @throws UserError `EQUIVOCATION_REFUSED`, `BEFORE_JOURNAL` where it names a block that {@link isBefore} the journal
   */
  attestation(
    attestation: WireStruct<"Attestation">,
    sign: () => Promise<Hex>,
  ): Promise<Statement<WireStruct<"Attestation">>>;
  knownAttestation(attestation: WireStruct<"Attestation">): Promise<Statement<WireStruct<"Attestation">> | undefined>;
  /** Verdicts that the coordinator has not accepted yet, oldest first. */
  unsent(): Promise<Statement<WireStruct<"Verdict">>[]>;
  /** Verdicts about a head. */
  about(head: Hex): Promise<Statement<WireStruct<"Verdict">>[]>;
  accepted(key: string): Promise<void>;
}

/** Equal in all but root, total and epochDigest contradict. */
const attestationKey = (attestation: WireStruct<"Attestation">): string =>
  [
    "attestation",
    attestation.kind,
    attestation.modelId,
    attestation.index,
    attestation.fromEpoch,
    attestation.toEpoch,
    attestation.previousRoot,
    attestation.head,
    attestation.setVersion,
    attestation.blockNumber,
    attestation.blockHash,
    attestation.deadline,
  ].join(":");
const attestationValue = ({ root, total, epochDigest, runId }: WireStruct<"Attestation">): string =>
  [root, total, epochDigest, runId].join(":");

/** Key of a verdict in the journal. */
const keyOfVerdict = (verdict: WireStruct<"Verdict">): string => `verdict:${verdictKey(verdict)}`;

const toStatement = <T>(row: StatementTable): Statement<T> => ({
  key: row.key,
  struct: JSON.parse(row.json) as T,
  signature: row.signature as Hex,
});

async function find<T>(
  db: Kysely<StatementSchema>,
  key: string,
): Promise<(Statement<T> & { readonly value: string }) | undefined> {
  const row = await db.selectFrom("statements").selectAll().where("key", "=", key).executeTakeFirst();
  return row && { ...toStatement<T>(row), value: row.value };
}

interface Ledger {
  readonly db: Kysely<StatementSchema>;
  readonly clock: Clock;
}

async function state<T>(
  { db, clock }: Ledger,
  row: Pick<StatementTable, "kind" | "key" | "subject" | "value">,
  struct: T,
  sign: () => Promise<Hex>,
): Promise<Statement<T>> {
  const { key, value } = row;
  const before = await find<T>(db, key);
  if (!before) {
    const signature = await sign();
    // The database decides: of two that come here at once, one is written.
    await db
      .insertInto("statements")
      .values({ ...row, json: canonicalJson(struct), signature, signed_at: clock.now(), accepted_at: null })
      .onConflict((conflict) => conflict.column("key").doNothing())
      .execute();
  }
  const written = await find<T>(db, key);
  if (!written) throw new InternalError("STATEMENT_LOST", `Statement ${key} was not written.`);
  if (written.value !== value)
    throw new UserError(
      "EQUIVOCATION_REFUSED",
      `Another value was signed before for ${key}: ${written.value}, now ${value}. Nothing is signed.`,
      { details: { key, before: written.value, now: value } },
    );
  return written;
}

export interface BirthOptions {
  /** The key's address. */
  readonly account: string;
  /** Its operator says that it has never signed. */
  readonly first: boolean;
  /** The chain's newest block. */
  readonly tip: () => Promise<{ readonly block: number }>;
  readonly clock?: Clock;
}

/**
 * Where a key's journal begins, noted once, before anything is signed: what an earlier journal of it signed nobody knows here.
 * @returns the chain's newest block then; undefined where the key had never signed before
 */
export async function birthOf<Schema extends StatementSchema>(
  database: Database<Schema>,
  { account, first, tip, clock = systemClock }: BirthOptions,
): Promise<number | undefined> {
  const db = database.kysely as unknown as Kysely<StatementSchema>;
  const key = account.toLowerCase();
  const find = () => db.selectFrom("births").select("block").where("account", "=", key).executeTakeFirst();
  if (!(await find())) {
    const block = first ? null : (await tip()).block;
    await db
      .insertInto("births")
      .values({ account: key, block, noted_at: clock.now() })
      .onConflict((conflict) => conflict.column("account").doNothing())
      .execute();
  }
  const noted = await find();
  if (!noted) throw new InternalError("STATEMENT_LOST", `The beginning of ${account}'s journal was not written.`);
  return noted.block ?? undefined;
}

export interface StatementsOptions {
  /** Where the key's journal begins: {@link birthOf}. */
  readonly born?: number | undefined;
  readonly clock?: Clock;
}

export function openStatements<Schema extends StatementSchema>(
  database: Database<Schema>,
  { born, clock = systemClock }: StatementsOptions = {},
): Statements {
  const isBefore = (block: number): boolean => born !== undefined && block <= born;
  const db = database.kysely as unknown as Kysely<StatementSchema>;
  const ledger: Ledger = { db, clock };
  return {
    isBefore,
    verdict: (verdict, sign) => {
      const { head: subject, value } = verdict;
      return state(ledger, { kind: "verdict", key: keyOfVerdict(verdict), subject, value }, verdict, sign);
    },
    attestation: async (attestation, sign) => {
      const block = Number(attestation.blockNumber);
      if (isBefore(block))
        throw new UserError(
          "BEFORE_JOURNAL",
          `It names block ${block}, and this key's journal of signatures began at block ${born}: what it signed before is not known.`,
        );
      const row = { key: attestationKey(attestation), value: attestationValue(attestation) };
      return state(ledger, { kind: "attestation", subject: attestation.modelId, ...row }, attestation, sign);
    },
    knownAttestation: (attestation) => find(db, attestationKey(attestation)),
    unsent: async () => {
      const rows = await db
        .selectFrom("statements")
        .selectAll()
        .where("kind", "=", "verdict")
        .where("accepted_at", "is", null)
        .orderBy("signed_at")
        .execute();
      return rows.map((row) => toStatement(row));
    },
    about: async (head) => {
      const rows = await db
        .selectFrom("statements")
        .selectAll()
        .where("kind", "=", "verdict")
        .where("subject", "=", head)
        .execute();
      return rows.map((row) => toStatement(row));
    },
    accepted: async (key) => {
      await db.updateTable("statements").set({ accepted_at: clock.now() }).where("key", "=", key).execute();
    },
  };
}

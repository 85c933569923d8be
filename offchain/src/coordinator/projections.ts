/**
 * Tables beside the log that grow with the run, so that the state need not: every checkpoint and its shards, what was acknowledged,
 * and the payload blobs that will be deleted. Written in the transaction that appends the event they follow from.
 */
import type { Kysely } from "kysely";

import { type Digest, digestOfJson, type HeadHash, type Hex, type RunId } from "@cotrain/sdk/protocol";
import type { Database, Queryable } from "../service/index.ts";
import type { EventType, MovedHead, ReceiptAccepted, RunEvent } from "./machine/events.ts";
import type { RunState } from "./machine/state.ts";
import { firstOpenRound } from "./openRound.ts";
import type { CheckpointTable, CoordinatorSchema } from "./projectionTables.ts";
import { projectRollback } from "./projectedRollback.ts";
import { writeClock } from "./runClock.ts";
import { forgetShards, hasShard, noteDocument, projectShard } from "./shards.ts";
import { unnamedBy } from "./unnamed.ts";
import { projectUnnamed, UNNAMED, unnamedOf, type UnnamedPayloads } from "./unnamedPayloads.ts";

/** What an event adds, by its type. */
type Projected = {
  readonly [K in EventType]?: (
    trx: Queryable<CoordinatorSchema>,
    event: Extract<RunEvent, { readonly type: K }>,
    state: RunState,
    before: RunState | null,
  ) => Promise<unknown>;
};

const projectAnchor = (
  trx: Queryable<CoordinatorSchema>,
  { anchor, sequence }: Pick<MovedHead, "anchor" | "sequence">,
  { facts }: RunState,
) =>
  trx
    .updateTable("coordinator_checkpoints")
    .set({ transaction: anchor.transaction, block: anchor.block })
    .where("run_id", "=", facts.runId)
    .where("sequence", "=", sequence)
    .execute();

const projected: Projected = {
  RunCreated: async (trx, { checkpoint }, state) => {
    await projectCheckpoint(trx, null, state);
    for (const shard of checkpoint.fragments) await projectShard(trx, shard, checkpoint.round, state);
  },
  SyncReduced: async (trx, { shard, round }, state) => {
    if (shard) await projectShard(trx, shard, round + 1, state);
  },
  CheckpointStored: (trx, { receipts }, state) => projectCheckpoint(trx, receipts, state),
  HeadAnchored: projectAnchor,
  HeadReverted: (trx, { sequence }, { facts }) =>
    trx
      .updateTable("coordinator_checkpoints")
      .set({ transaction: null, block: null })
      .where("run_id", "=", facts.runId)
      .where("sequence", ">", sequence)
      .execute(),
  HeadsMoved: async (trx, { heads }, state) => {
    for (const head of heads) await projectAnchor(trx, head, state);
  },
  RolledBack: projectRollback,
  FragmentAccepted: async (trx, { stays, digest }, state, before) => {
    if (!stays) await projectPayload(trx, digest, before ?? state);
  },
  ReceiptAccepted: async (trx, event, state, before) => {
    await projectPayload(trx, digestOfJson(event.header), before ?? state);
    await projectReceipt(trx, event, state);
  },
  RootActivated: async (trx, { at, epoch, root }, state) => {
    const { runId } = state.facts;
    const record = state.epochs.findLast((each) => each.epoch === epoch && each.root === root);
    // While it can still be posted, that it is active may be a lie of who holds its posting back.
    const deadline = Number(record?.computed?.attestation.deadline ?? 0) * 1_000;
    await trx
      .insertInto("coordinator_settled")
      .values({ run_id: runId, round: firstOpenRound(state), at: Math.max(at, deadline) })
      .onConflict((conflict) => conflict.columns(["run_id", "round"]).doNothing())
      .execute();
    // What counts from now on may be asked for at once.
    await writeClock(trx, runId, at);
  },
  ClockStepped: (trx, event, { facts: { runId } }) =>
    trx
      .updateTable("coordinator_settled")
      .set((row) => ({ at: row("at", "+", event.at - event.was) }))
      .where("run_id", "=", runId)
      .execute(),
  RootReverted: (trx, _event, state) =>
    trx
      .deleteFrom("coordinator_settled")
      .where("run_id", "=", state.facts.runId)
      .where("round", ">", firstOpenRound(state))
      .execute(),
};

/** What one event adds. @param state after the event */
export async function project(
  trx: Queryable<CoordinatorSchema>,
  event: RunEvent,
  before: RunState | null,
  state: RunState,
): Promise<void> {
  const add = projected[event.type] as
    | ((...given: [Queryable<CoordinatorSchema>, RunEvent, RunState, RunState | null]) => Promise<unknown>)
    | undefined;
  await add?.(trx, event, state, before);
  await projectUnnamed(trx, unnamedBy(before, state), state);
}

/** The newest head's. */
async function projectCheckpoint(
  trx: Queryable<CoordinatorSchema>,
  receipts: Digest | null,
  state: RunState,
): Promise<void> {
  const entry = state.heads.at(-1);
  if (!entry) return;
  await trx
    .insertInto("coordinator_checkpoints")
    .values({
      run_id: state.facts.runId,
      round: entry.round,
      digest: entry.checkpoint,
      params_version: entry.paramsVersion,
      receipts,
      head: entry.head,
      sequence: entry.sequence,
      transaction: entry.anchor?.transaction ?? null,
      block: entry.anchor?.block ?? null,
      pruned: 0,
    })
    .execute();
}

const projectPayload = (trx: Queryable<CoordinatorSchema>, digest: Digest, { facts, round }: RunState) =>
  trx
    .insertInto("coordinator_payloads")
    .values({ run_id: facts.runId, round, digest })
    .onConflict((conflict) => conflict.columns(["run_id", "round", "digest"]).doNothing())
    .execute();

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

interface CheckpointRow {
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
export interface Projections extends UnnamedPayloads {
  /** So many checkpoints by ascending round. */
  checkpoints(from: number, most: number): Promise<CheckpointRow[]>;
  checkpoint(round: number): Promise<CheckpointRow | undefined>;
  /** Checkpoints whose shards are still there. */
  unpruned(): Promise<CheckpointRow[]>;
  /** Manifests of checkpoints of other runs whose shards are still there. */
  unprunedOfOthers(): Promise<Digest[]>;
  markPruned(rounds: readonly number[]): Promise<void>;
  /** Whether a blob is a shard of a checkpoint or a document, see shards.ts. */
  hasShard(digest: Digest): Promise<boolean>;
  /** Of a document that is about to be put. */
  noteDocument(digest: Digest): Promise<unknown>;
  /** Payload blobs of rounds below `round` that no later round, no other run and no checkpoint has. */
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

type Part<K extends keyof Projections> = Pick<Projections, K>;

function checkpointsOf(
  db: Kysely<CoordinatorSchema>,
  runId: RunId,
): Part<"checkpoints" | "checkpoint" | "unpruned" | "unprunedOfOthers" | "markPruned" | "hasShard" | "noteDocument"> {
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
      await forgetShards(db, runId, rounds);
    },
    hasShard: (digest) => hasShard(db, digest),
    noteDocument: (digest) => noteDocument(db, runId, digest),
  };
}

function payloadsOf(
  db: Kysely<CoordinatorSchema>,
  runId: RunId,
): Part<"payloadsBefore" | "hasPayload" | "hasEarlierPayload"> {
  return {
    payloadsBefore: async (round) => {
      const rows = await db
        .selectFrom("coordinator_payloads as p")
        .select("p.digest")
        .distinct()
        .where("p.run_id", "=", runId)
        .where("p.round", "<", round)
        .where("p.round", "!=", UNNAMED)
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
        .where((eb) =>
          eb.not(
            eb.exists(
              eb.selectFrom("coordinator_shards as s").select("s.digest").whereRef("s.digest", "=", "p.digest"),
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
        .where("round", "!=", UNNAMED)
        .where((eb) => eb.or([eb("run_id", "!=", runId), eb("round", "<", round)]))
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}

function settledOf(
  db: Kysely<CoordinatorSchema>,
  runId: RunId,
): Part<"forgetPayloadsBefore" | "settledFor" | "accepted"> {
  return {
    forgetPayloadsBefore: async (round) => {
      for (const table of ["coordinator_payloads", "coordinator_settled"] as const)
        await db
          .deleteFrom(table)
          .where("run_id", "=", runId)
          .where("round", "<", round)
          .where("round", "!=", UNNAMED)
          .execute();
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

export function createProjections({ kysely: db }: Database<CoordinatorSchema>, runId: RunId): Projections {
  return { ...checkpointsOf(db, runId), ...payloadsOf(db, runId), ...settledOf(db, runId), ...unnamedOf(db, runId) };
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

/**
 * Which blobs are shards that a checkpoint names, or that the closing round's will: from when they are made until the checkpoint's
 * are deleted. And documents that the coordinator makes (publishing.ts), which stay. Somebody may have foretold one and sent it as a
 * payload; it does not go with that.
 */
import type { Kysely } from "kysely";

import type { Digest, RunId } from "@cotrain/sdk/protocol";

import type { Database, Logger, Queryable } from "../service/index.ts";
import { BlobError, type BlobStore, readManifest } from "../storage/index.ts";
import type { RunState } from "./machine/state.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";

/** In place of a checkpoint's round: a document. */
const DOCUMENT = -1;

const note = (db: Queryable<CoordinatorSchema>, runId: RunId, round: number, digest: string): Promise<unknown> =>
  db
    .insertInto("coordinator_shards")
    .values({ run_id: runId, round, digest })
    .onConflict((conflict) => conflict.columns(["digest", "run_id", "round"]).doNothing())
    .execute();

/** @param round the checkpoint's */
export const projectShard = (
  trx: Queryable<CoordinatorSchema>,
  { digest }: { readonly digest: string },
  round: number,
  { facts }: RunState,
): Promise<unknown> => note(trx, facts.runId, round, digest);

export const noteDocument = (db: Kysely<CoordinatorSchema>, runId: RunId, digest: Digest): Promise<unknown> =>
  note(db, runId, DOCUMENT, digest);

interface NotingModules {
  readonly database: Database<CoordinatorSchema>;
  readonly blobs: BlobStore;
  readonly logger: Logger;
}

/** Notes what was made before there was the table: in a database of an earlier version it begins empty. */
export async function noteEarlierShards({ database, blobs, logger }: NotingModules, state: RunState): Promise<void> {
  const { facts, current } = state;
  const checkpoints = await database.kysely
    .selectFrom("coordinator_checkpoints as c")
    .select(["c.round", "c.digest"])
    .where("c.run_id", "=", facts.runId)
    .where("c.pruned", "=", 0)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom("coordinator_shards as s")
            .select("s.digest")
            .whereRef("s.run_id", "=", "c.run_id")
            .whereRef("s.round", "=", "c.round"),
        ),
      ),
    )
    .execute();
  for (const { round, digest } of checkpoints) {
    try {
      const { fragments } = await readManifest(blobs, digest as Digest);
      await database.transaction(async (trx) => {
        for (const shard of fragments) await projectShard(trx, shard, round, state);
      });
    } catch (error) {
      // A checkpoint whose manifest is lost keeps no run from going on.
      if (!(error instanceof BlobError)) throw error;
      logger.warn({ err: error, round }, "the shards of a checkpoint could not be noted");
    }
  }
  for (const { shard } of current?.syncs ?? []) {
    if (shard && current && !(await hasShard(database.kysely, shard.digest as Digest)))
      await projectShard(database.kysely, shard, current.round + 1, state);
  }
}

/** Of whatever run. */
export async function hasShard(db: Kysely<CoordinatorSchema>, digest: Digest): Promise<boolean> {
  const named = db.selectFrom("coordinator_shards").select("round").where("digest", "=", digest);
  return (await named.limit(1).executeTakeFirst()) !== undefined;
}

/** Those of checkpoints whose shards were deleted. */
export const forgetShards = (
  db: Kysely<CoordinatorSchema>,
  runId: RunId,
  rounds: readonly number[],
): Promise<unknown> =>
  db
    .deleteFrom("coordinator_shards")
    .where("run_id", "=", runId)
    .where("round", "in", [...rounds])
    .execute();

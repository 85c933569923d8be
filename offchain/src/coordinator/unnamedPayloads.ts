/** Rows of payload blobs that nothing of a run names any more (unnamed.ts), until they are deleted. */
import type { Kysely } from "kysely";

import type { Digest, RunId } from "@cotrain/sdk/protocol";

import type { Queryable } from "../service/index.ts";
import type { RunState } from "./machine/state.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";
import { hasShard } from "./shards.ts";

/** In place of a payload's round: nothing names it any more. */
export const UNNAMED = -1;

export interface UnnamedPayloads {
  /** Uploads that nothing of this run named when they were left behind. */
  unnamed(): Promise<Digest[]>;
  /** Whether a payload blob belongs to some round or to a checkpoint, or another run has yet to let go of it. */
  isNamed(digest: Digest): Promise<boolean>;
  forgetUnnamed(digests: readonly Digest[]): Promise<void>;
}

/** Takes uploads out of the open round. A blob that is no payload stays. */
export async function projectUnnamed(
  trx: Queryable<CoordinatorSchema>,
  digests: readonly Digest[],
  { facts: { runId }, round }: RunState,
): Promise<void> {
  for (const digest of digests) {
    const row = { run_id: runId, round, digest };
    const { numDeletedRows } = await trx
      .deleteFrom("coordinator_payloads")
      .where((eb) => eb.and(row))
      .executeTakeFirstOrThrow();
    if (numDeletedRows > 0n)
      await trx
        .insertInto("coordinator_payloads")
        .values({ ...row, round: UNNAMED })
        .onConflict((conflict) => conflict.columns(["run_id", "round", "digest"]).doNothing())
        .execute();
  }
}

export function unnamedOf(db: Kysely<CoordinatorSchema>, runId: RunId): UnnamedPayloads {
  return {
    unnamed: async () => {
      const rows = await db
        .selectFrom("coordinator_payloads")
        .select("digest")
        .where("run_id", "=", runId)
        .where("round", "=", UNNAMED)
        .execute();
      return rows.map((row) => row.digest as Digest);
    },
    isNamed: async (digest) => {
      const row = await db
        .selectFrom("coordinator_payloads")
        .select("round")
        .where("digest", "=", digest)
        .where((eb) => eb.or([eb("run_id", "!=", runId), eb("round", "!=", UNNAMED)]))
        .limit(1)
        .executeTakeFirst();
      return row !== undefined || hasShard(db, digest);
    },
    forgetUnnamed: async (digests) => {
      for (const digest of digests)
        await db
          .deleteFrom("coordinator_payloads")
          .where((eb) => eb.and({ run_id: runId, round: UNNAMED, digest }))
          .execute();
    },
  };
}

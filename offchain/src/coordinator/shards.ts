/**
 * Which blobs are shards that a checkpoint names, or that the closing round's will: from when they are made until the checkpoint's
 * are deleted. Somebody may have foretold one and sent it as a payload; it does not go with that.
 */
import type { Kysely } from "kysely";

import type { Digest, RunId } from "@cotrain/sdk/protocol";

import type { Queryable } from "../service/index.ts";
import type { RunState } from "./machine/state.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";

/** @param round the checkpoint's */
export const projectShard = (
  trx: Queryable<CoordinatorSchema>,
  { digest }: { readonly digest: string },
  round: number,
  { facts }: RunState,
): Promise<unknown> =>
  trx
    .insertInto("coordinator_shards")
    .values({ run_id: facts.runId, round, digest })
    .onConflict((conflict) => conflict.columns(["digest", "run_id", "round"]).doNothing())
    .execute();

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

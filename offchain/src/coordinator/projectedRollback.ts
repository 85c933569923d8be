/** What a rollback changes in the tables beside the log: checkpoints that were lost leave them, and their shards are let go of. */
import type { Queryable } from "../service/index.ts";
import type { RolledBack } from "./machine/events.ts";
import type { RunState } from "./machine/state.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";
import { firstOpenRound } from "./openRound.ts";
import { projectShard } from "./shards.ts";
import { UNNAMED } from "./unnamedPayloads.ts";

type Tables = Queryable<CoordinatorSchema>;

/** Deletes the rows of rounds beyond the checkpoint that stands; what of their shards nothing else names is deleted after them. */
async function dropCheckpoints(trx: Tables, state: RunState): Promise<void> {
  const { facts, round, checkpoint } = state;
  const { runId } = facts;
  const shards = await trx
    .selectFrom("coordinator_shards")
    .select("digest")
    .distinct()
    .where("run_id", "=", runId)
    .where("round", ">", round)
    .execute();
  for (const table of ["coordinator_shards", "coordinator_checkpoints"] as const)
    await trx.deleteFrom(table).where("run_id", "=", runId).where("round", ">", round).execute();
  for (const shard of checkpoint.fragments) await projectShard(trx, shard, round, state);
  await trx
    .updateTable("coordinator_checkpoints")
    .set({ pruned: 0 })
    .where("run_id", "=", runId)
    .where("round", "=", round)
    .execute();
  for (const { digest } of shards)
    await trx
      .insertInto("coordinator_payloads")
      .values({ run_id: runId, round: UNNAMED, digest })
      .onConflict((conflict) => conflict.columns(["run_id", "round", "digest"]).doNothing())
      .execute();
}

/** @param state after it */
export async function projectRollback(
  trx: Tables,
  _event: RolledBack,
  state: RunState,
  before: RunState | null,
): Promise<void> {
  const { runId } = state.facts;
  if (before && state.round < before.round) await dropCheckpoints(trx, state);
  // Those that follow behind the rollback are other links now.
  for (const { round, head, sequence, anchor } of state.heads)
    if (!anchor)
      await trx
        .updateTable("coordinator_checkpoints")
        .set({ head, sequence, transaction: null, block: null })
        .where("run_id", "=", runId)
        .where("round", "=", round)
        .execute();
  await trx
    .deleteFrom("coordinator_settled")
    .where("run_id", "=", runId)
    .where("round", ">", firstOpenRound(state))
    .execute();
}

/**
 * Claims for accounts that ask for it: what their work earned waits in the contract, has no votes and shares in no revenue until
 * somebody claims it, and anybody may, since the account alone is paid. The poster pays the gas, so it claims for nobody unless it was
 * told from how many shares on: then so many claims come at most of what an epoch mints, however many keys a worker has. One
 * transaction at a time, so that heads and roots wait for one at most.
 */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { type Address, digestOfJson, type ModelId, type RunId } from "@cotrain/sdk/protocol";

import { formatShares } from "../base/index.ts";
import type { Owed } from "../chain/index.ts";
import type { Earned } from "./rewards.ts";
import type { RunModules } from "./run.ts";

/** Askers that are kept; the oldest for whom nothing was ever claimed makes room. */
export const MOST_ASKERS = 4_096;
/** Accounts of one transaction, and leaves of an account in it: a few million gas, and far below 128 KiB. */
const AT_ONCE = 8;
const LEAVES_AT_ONCE = 16;

export interface ClaimDuty {
  /** What an account must be owed, share wei. */
  readonly from: bigint;
  /** A member asks for the account that it works for, or does no more. */
  ask(worker: Address, account: Address, wanted: boolean): Promise<void>;
  /** Claims for those that are owed enough. Rejects when the chain is away. @param earned undefined: no root is active yet */
  look(earned: Earned | undefined): Promise<void>;
}

type DutyModules = Pick<RunModules, "chain" | "clock" | "database" | "logger">;

const sumOf = (leaves: readonly Pick<ClaimLeaf, "amount">[]): bigint =>
  leaves.reduce((sum, { amount }) => sum + amount, 0n);

/** Who asked, in a table beside the log. */
function createAskers(runId: RunId, { clock, database }: Pick<DutyModules, "clock" | "database">) {
  const { kysely: db } = database;
  const own = () => db.selectFrom("coordinator_claims").where("run_id", "=", runId);
  return {
    put: async (worker: Address, account: Address): Promise<void> => {
      const row = { run_id: runId, worker, account, asked_at: clock.now(), claimed: 0 };
      await db
        .insertInto("coordinator_claims")
        .values(row)
        .onConflict((conflict) => conflict.columns(["run_id", "worker"]).doUpdateSet({ account }))
        .execute();
      const { count } = await own()
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .executeTakeFirstOrThrow();
      if (count <= MOST_ASKERS) return;
      const oldest = own()
        .select("worker")
        .orderBy("claimed")
        .orderBy("asked_at")
        .limit(count - MOST_ASKERS);
      await db.deleteFrom("coordinator_claims").where("run_id", "=", runId).where("worker", "in", oldest).execute();
    },
    drop: async (worker: Address): Promise<void> => {
      await db.deleteFrom("coordinator_claims").where("run_id", "=", runId).where("worker", "=", worker).execute();
    },
    accounts: async (): Promise<Address[]> =>
      (await own().select("account").distinct().orderBy("account").execute()).map(({ account }) => account as Address),
    paid: async (accounts: readonly Address[]): Promise<void> => {
      await db
        .updateTable("coordinator_claims")
        .set({ claimed: 1 })
        .where("run_id", "=", runId)
        .where("account", "in", [...accounts])
        .execute();
    },
  };
}

export function createClaimDuty(
  { modelId, runId }: { readonly modelId: ModelId; readonly runId: RunId },
  from: bigint,
  modules: DutyModules,
): ClaimDuty {
  const { chain, logger } = modules;
  const askers = createAskers(runId, modules);
  /** The root under which an account was owed too little. */
  const looked = new Map<Address, number>();
  let sending = false;
  /** What was said of why it failed: what lasts is said once. */
  let said: string | undefined;

  async function owedTo(account: Address, { index, leavesOf }: Earned): Promise<Owed | undefined> {
    const leaves = await chain.unpaidOf(modelId, { account, leaves: await leavesOf(account) });
    if (sumOf(leaves) >= from && leaves.length > 0) return { account, leaves: leaves.slice(0, LEAVES_AT_ONCE) };
    looked.set(account, index);
    return undefined;
  }

  async function claim(claims: readonly Owed[], index: number): Promise<void> {
    try {
      const key = digestOfJson(claims.map(({ account, leaves }) => [account, ...leaves.map(({ index }) => index)]));
      await chain.claimFor(modelId, claims, key);
      // Where a reorganisation takes it back it is claimed with what the next root grants.
      for (const { account, leaves } of claims) if (leaves.length < LEAVES_AT_ONCE) looked.set(account, index);
      await askers.paid(claims.map(({ account }) => account));
      const shares = formatShares(claims.reduce((sum, { leaves }) => sum + sumOf(leaves), 0n));
      logger.info({ accounts: claims.map(({ account }) => account), shares }, "claimed for who asked");
      said = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (said !== reason) logger.warn({ err: error }, "nothing was claimed for who asked, it is tried again");
      said = reason;
    }
  }

  return {
    from,
    ask: (worker, account, wanted) => (wanted ? askers.put(worker, account) : askers.drop(worker)),
    look: async (earned) => {
      if (!earned || sending) return;
      const claims: Owed[] = [];
      const due = (await askers.accounts()).filter((account) => (looked.get(account) ?? 0) < earned.index);
      for (const account of due) {
        const owed = await owedTo(account, earned);
        if (owed) claims.push(owed);
        if (claims.length === AT_ONCE) break;
      }
      if (claims.length === 0) return;
      // Looks do not wait for a transaction.
      sending = true;
      void claim(claims, earned.index).finally(() => (sending = false));
    },
  };
}

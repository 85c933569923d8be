/**
 * Claims for accounts that ask for it: what they earned waits in the contract, shares have no votes and share in no revenue until
 * somebody claims them, and anybody may, since the account alone is paid. The poster pays the gas, so it claims for nobody unless it was
 * told from how many shares, or how much revenue, on: then so many claims come at most of what an epoch mints, however many keys a worker
 * has. One transaction at a time, so that heads and roots wait for one at most.
 */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { type Address, digestOfJson, type ModelId, rewardKind, type RunId } from "@cotrain/sdk/protocol";

import { formatShares } from "../base/index.ts";
import type { Owed } from "../chain/index.ts";
import type { RevenueAccounts } from "../run/index.ts";
import type { Earned } from "./rewards.ts";
import type { RunModules } from "./run.ts";

/** Askers that are kept; the oldest for whom nothing was ever claimed makes room. */
export const MOST_ASKERS = 4_096;
/** Accounts of one transaction, and leaves of an account in it: a few million gas, and far below 128 KiB. */
const AT_ONCE = 8;
const LEAVES_AT_ONCE = 16;
/** How long nothing of a kind is looked for again while a vault is short, ms. */
const SHORT_FOR = 10 * 60_000;

/** What an account must be owed to have it claimed; of what is left out nothing is. */
export interface ClaimBounds {
  /** Share wei. */
  readonly shares?: bigint | undefined;
  /** In whole tokens. */
  readonly revenue?: { readonly from: number; readonly accounts: Pick<RevenueAccounts, "granted"> } | undefined;
}

export interface ClaimDuty {
  /** What an account must be owed of work, share wei. */
  readonly from: bigint | undefined;
  /** A member asks for the account that it works for, or does no more. */
  ask(worker: Address, account: Address, wanted: boolean): Promise<void>;
  /** Claims for those that are owed enough. Rejects when the chain is away. @param earned undefined: no root of work is active yet */
  look(earned: Earned | undefined): Promise<void>;
}

type DutyModules = Pick<RunModules, "chain" | "clock" | "database" | "logger">;

interface OfRun {
  readonly modelId: ModelId;
  readonly runId: RunId;
}

/** What active roots of a kind grant, paid or not. */
interface Granted {
  readonly least: bigint;
  readonly leavesOf: (account: Address) => readonly ClaimLeaf[] | Promise<readonly ClaimLeaf[]>;
  readonly text: (amount: bigint) => string;
}

/** What is to be claimed of one kind, under its newest root. */
interface Due extends Pick<Granted, "text"> {
  readonly kind: number;
  readonly index: number;
  readonly claims: readonly Owed[];
}

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

/** Whom it was looked for under which root of a kind: until the next there is nothing new for them. */
function createFinder(kind: number, { modelId }: OfRun, { chain }: Pick<DutyModules, "chain">) {
  const looked = new Map<Address, number>();
  return {
    notLooked: (accounts: readonly Address[], index: number): Address[] =>
      accounts.filter((account) => (looked.get(account) ?? 0) < index),
    find: async (accounts: readonly Address[], index: number, { least, leavesOf, text }: Granted): Promise<Due> => {
      const claims: Owed[] = [];
      for (const account of accounts) {
        const leaves = await chain.unpaidOf(modelId, { account, leaves: await leavesOf(account) }, kind);
        if (leaves.length > 0 && sumOf(leaves) >= least)
          claims.push({ account, leaves: leaves.slice(0, LEAVES_AT_ONCE) });
        else looked.set(account, index);
        if (claims.length === AT_ONCE) break;
      }
      return { kind, index, claims, text };
    },
    // Where a reorganisation takes it back it is claimed with what the next root grants.
    done: ({ claims, index }: Due): void => {
      for (const { account, leaves } of claims) if (leaves.length < LEAVES_AT_ONCE) looked.set(account, index);
    },
  };
}

/** What revenue owes those who asked; nothing while the model's vault is short, since what a claim would lack is lost for good. */
function createRevenueFinder(
  run: OfRun,
  { from, accounts }: NonNullable<ClaimBounds["revenue"]>,
  modules: DutyModules,
) {
  const { chain, clock, logger } = modules;
  const finder = createFinder(rewardKind.revenue, run, modules);
  let waitsUntil = 0;
  return {
    ...finder,
    due: async (askers: readonly Address[]): Promise<Due | undefined> => {
      if (clock.monotonic() < waitsUntil) return undefined;
      const index = (await chain.rootsOfKind(rewardKind.revenue).activeRoot(run.modelId))?.index ?? 0;
      const wanted = finder.notLooked(askers, index);
      if (wanted.length === 0) return undefined;
      const granted = await accounts.granted(run.modelId, wanted, from);
      if (granted.short === 0n) return finder.find(wanted, index, granted);
      waitsUntil = clock.monotonic() + SHORT_FOR;
      logger.warn({ short: granted.text(granted.short) }, "the vault is short: no revenue is claimed for who asked");
      return undefined;
    },
  };
}

function createSharesFinder(run: OfRun, least: bigint, modules: DutyModules) {
  const finder = createFinder(rewardKind.compute, run, modules);
  return {
    ...finder,
    due: async (askers: readonly Address[], earned: Earned | undefined): Promise<Due | undefined> => {
      if (!earned) return undefined;
      const { index, leavesOf } = earned;
      return finder.find(finder.notLooked(askers, index), index, { least, leavesOf, text: formatShares });
    },
  };
}

export function createClaimDuty(run: OfRun, { shares, revenue }: ClaimBounds, modules: DutyModules): ClaimDuty {
  const { chain, logger } = modules;
  const askers = createAskers(run.runId, modules);
  const finders = [
    ...(shares === undefined ? [] : [createSharesFinder(run, shares, modules)]),
    ...(revenue === undefined ? [] : [createRevenueFinder(run, revenue, modules)]),
  ];
  let sending = false;
  /** What was said of why it failed: what lasts is said once. */
  let said: string | undefined;

  async function claim(due: Due, done: (due: Due) => void): Promise<void> {
    const { claims, kind, text } = due;
    try {
      const key = digestOfJson(claims.map(({ account, leaves }) => [account, ...leaves.map(({ index }) => index)]));
      await chain.claimFor(run.modelId, claims, kind === rewardKind.compute ? key : `${kind}/${key}`, kind);
      done(due);
      await askers.paid(claims.map(({ account }) => account));
      const amount = text(claims.reduce((sum, { leaves }) => sum + sumOf(leaves), 0n));
      logger.info({ accounts: claims.map(({ account }) => account), amount }, "claimed for who asked");
      said = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (said !== reason) logger.warn({ err: error }, "nothing was claimed for who asked, it is tried again");
      said = reason;
    }
  }

  return {
    from: shares,
    ask: (worker, account, wanted) => (wanted ? askers.put(worker, account) : askers.drop(worker)),
    look: async (earned) => {
      if (sending) return;
      const accounts = await askers.accounts();
      for (const { due, done } of finders) {
        const found = await due(accounts, earned);
        if (!found || found.claims.length === 0) continue;
        // Looks do not wait for a transaction.
        sending = true;
        void claim(found, done).finally(() => (sending = false));
        return;
      }
    },
  };
}

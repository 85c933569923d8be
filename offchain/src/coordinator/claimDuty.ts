/**
 * Claims for accounts that ask for it: what they earned waits in the contract, shares have no votes and share in no revenue until
 * somebody claims them, and anybody may, since the account alone is paid. The poster pays the gas, so it claims for nobody unless it was
 * told from how many shares, or how much revenue, on: then so many claims come at most of what an epoch mints, however many keys a worker
 * has. One transaction at a time, so that heads and roots wait for one at most. Whom a contract refuses, as a capital token does
 * whom it has frozen, is left out for an hour, and keeps none of the others from being paid.
 */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { type Address, digestOfJson, type ModelId, rewardKind, type RunId } from "@cotrain/sdk/protocol";

import { formatShares } from "../base/index.ts";
import { isRefused, isTooDear, type Owed } from "../chain/index.ts";
import type { RevenueAccounts } from "../run/index.ts";
import type { Earned } from "./rewards.ts";
import type { RunModules } from "./run.ts";

/** Askers that are kept; the oldest for whom nothing was ever claimed makes room. */
export const MOST_ASKERS = 4_096;
/** Accounts of one transaction, and leaves of an account in it: a few million gas, and far below 128 KiB. */
const AT_ONCE = 8;
const LEAVES_AT_ONCE = 16;
/** How long no revenue is looked for again while a vault is short, or under a root of which nothing was paid, ms. */
const REST_MS = 10 * 60_000;
/** How long whom a contract refuses is left out, ms. */
const REFUSED_FOR_MS = 60 * 60_000;

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

/** Of a claim. What failed may be paid later, and what is too dear, too; less of it costs less. */
type Outcome = "paid" | "refused" | "dear" | "failed";

/** Looks for what one kind owes, and learns what came of it. */
interface Finder {
  readonly due: (askers: readonly Address[], earned: Earned | undefined) => Promise<Due | undefined>;
  readonly paid: (due: Due) => void;
  readonly refused: (due: Due) => void;
  /** Nothing of it was paid. */
  readonly ended: (due: Due) => void;
}

/** Whom it was looked for under which root of a kind: until the next there is nothing new for them. */
function createLooked(kind: number, { modelId }: OfRun, { chain, clock }: Pick<DutyModules, "chain" | "clock">) {
  const looked = new Map<Address, number>();
  /** Until when whom a contract refuses is left out, monotonic ms; whose time is over comes after all others. */
  const refusedUntil = new Map<Address, number>();
  const isOut = (account: Address): boolean => (refusedUntil.get(account) ?? -Infinity) > clock.monotonic();
  const forget = (askers: ReadonlySet<Address>): void => {
    for (const account of looked.keys()) if (!askers.has(account)) looked.delete(account);
    for (const account of refusedUntil.keys()) if (!askers.has(account)) refusedUntil.delete(account);
  };
  return {
    wanted: (askers: readonly Address[], index: number): Address[] => {
      forget(new Set(askers));
      const open = askers.filter((account) => (looked.get(account) ?? 0) < index && !isOut(account));
      // Else the first eight of many that are refused would come first again each hour.
      return [
        ...open.filter((account) => !refusedUntil.has(account)),
        ...open.filter((account) => refusedUntil.has(account)),
      ];
    },
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
    refused: ({ claims }: Due): void => {
      for (const { account } of claims) refusedUntil.set(account, clock.monotonic() + REFUSED_FOR_MS);
    },
    // Where a reorganisation takes it back it is claimed with what the next root grants.
    paid: ({ claims, index }: Due): void => {
      for (const { account } of claims) refusedUntil.delete(account);
      for (const { account, leaves } of claims) if (leaves.length < LEAVES_AT_ONCE) looked.set(account, index);
    },
  };
}

/**
 * What revenue owes those who asked; nothing while the model's vault is short, since what a claim would lack is lost for good. All roots
 * are computed for whom was not looked before: since a worker may name another account each time it joins, nobody is looked for under
 * the same root for a while where the last time nobody was paid.
 */
function createRevenueFinder(
  run: OfRun,
  { from, accounts }: NonNullable<ClaimBounds["revenue"]>,
  modules: DutyModules,
): Finder {
  const { chain, clock, logger } = modules;
  const { wanted, find, paid, refused } = createLooked(rewardKind.revenue, run, modules);
  /** The newest root under which it is not looked, and until when, monotonic ms. */
  let rest = { index: 0, until: 0 };
  const restUnder = (index: number): void => void (rest = { index, until: clock.monotonic() + REST_MS });
  const isResting = (index: number): boolean => index <= rest.index && clock.monotonic() < rest.until;
  return {
    paid,
    refused,
    ended: ({ index }) => restUnder(index),
    due: async (askers) => {
      const index = (await chain.rootsOfKind(rewardKind.revenue).activeRoot(run.modelId))?.index ?? 0;
      const anew = wanted(askers, index);
      if (anew.length === 0 || isResting(index)) return undefined;
      const granted = await accounts.granted(run.modelId, anew, from);
      if (granted.short === 0n) {
        const due = await find(anew, index, granted);
        if (due.claims.length === 0) restUnder(index);
        return due;
      }
      restUnder(Infinity);
      logger.warn({ short: granted.text(granted.short) }, "the vault is short: no revenue is claimed for who asked");
      return undefined;
    },
  };
}

function createSharesFinder(run: OfRun, least: bigint, modules: DutyModules): Finder {
  const { wanted, find, paid, refused } = createLooked(rewardKind.compute, run, modules);
  return {
    paid,
    refused,
    ended: () => undefined,
    due: async (askers, earned) => {
      if (!earned) return undefined;
      const { index, leavesOf } = earned;
      return find(wanted(askers, index), index, { least, leavesOf, text: formatShares });
    },
  };
}

/** Names what is claimed: of shares and of revenue there may be the same accounts and numbers of roots. */
function keyOf({ kind, claims }: Pick<Due, "kind" | "claims">): string {
  const key = digestOfJson(claims.map(({ account, leaves }) => [account, ...leaves.map(({ index }) => index)]));
  return kind === rewardKind.compute ? key : `${kind}/${key}`;
}

/** Sends claims, one after the other, and says to who looked for them what came of each. */
function createSender(
  run: OfRun,
  askers: Pick<ReturnType<typeof createAskers>, "paid">,
  { chain, logger }: Pick<DutyModules, "chain" | "logger">,
) {
  /** What was said of why it failed: what lasts is said once. */
  let said: string | undefined;

  async function send(due: Due): Promise<Outcome> {
    const { claims, kind, text } = due;
    const accounts = claims.map(({ account }) => account);
    try {
      await chain.claimFor(run.modelId, claims, keyOf(due), kind);
      await askers.paid(accounts);
      const amount = text(claims.reduce((sum, { leaves }) => sum + sumOf(leaves), 0n));
      logger.info({ accounts, amount }, "claimed for who asked");
      said = undefined;
      return "paid";
    } catch (error) {
      if (isRefused(error)) {
        const then = claims.length > 1 ? "each of them is claimed for alone" : "it is tried again in an hour";
        logger.warn({ err: error, accounts }, `a claim for who asked is refused, ${then}`);
        return "refused";
      }
      const reason = error instanceof Error ? error.message : String(error);
      if (said !== reason) logger.warn({ err: error }, "nothing was claimed for who asked, it is tried again");
      said = reason;
      return isTooDear(error) ? "dear" : "failed";
    }
  }

  /** Of several of which one is refused, or that cost too much together, each is claimed for alone. */
  async function sendAll(due: Due): Promise<(readonly [Due, Outcome])[]> {
    const together = await send(due);
    if (together === "paid" || together === "failed" || due.claims.length === 1) return [[due, together]];
    const parts: [Due, Outcome][] = [];
    for (const one of due.claims) {
      const part = { ...due, claims: [one] };
      const outcome = await send(part);
      parts.push([part, outcome]);
      if (outcome === "failed" || outcome === "dear") break;
    }
    return parts;
  }

  return async (due: Due, finder: Finder): Promise<void> => {
    const parts = await sendAll(due);
    for (const [part, outcome] of parts) if (outcome === "paid" || outcome === "refused") finder[outcome](part);
    if (parts.every(([, outcome]) => outcome !== "paid")) finder.ended(due);
  };
}

export function createClaimDuty(run: OfRun, { shares, revenue }: ClaimBounds, modules: DutyModules): ClaimDuty {
  const askers = createAskers(run.runId, modules);
  const finders = [
    ...(shares === undefined ? [] : [createSharesFinder(run, shares, modules)]),
    ...(revenue === undefined ? [] : [createRevenueFinder(run, revenue, modules)]),
  ];
  const claim = createSender(run, askers, modules);
  let sending = false;

  return {
    from: shares,
    ask: (worker, account, wanted) => (wanted ? askers.put(worker, account) : askers.drop(worker)),
    look: async (earned) => {
      if (sending) return;
      const accounts = await askers.accounts();
      for (const finder of finders) {
        const found = await finder.due(accounts, earned);
        if (!found || found.claims.length === 0) continue;
        // Looks do not wait for a transaction.
        sending = true;
        void claim(found, finder).finally(() => (sending = false));
        return;
      }
    },
  };
}

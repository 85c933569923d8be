/** Follows the heads on-chain: which are to be judged, and what is forgotten when they are settled or the chain went back. */
import { type Address, epochAt, type Hex, type RunId } from "@cotrain/sdk/protocol";

import type { PostedHead } from "../chain/index.ts";
import { type HeadWithParent, isRollback, rolledBackHeads } from "../run/index.ts";
import type { Context } from "./context.ts";

/** What of the chain one look saw. */
export interface Look {
  /** The run's heads, from checkpoint 0 to the newest; none of one whose heads cannot be judged. */
  readonly heads: readonly PostedHead[];
  /** Those of them in epochs that no active root covers. */
  readonly unsettled: ReadonlySet<string>;
  /** Heads to be judged in such epochs, of this run first: not those that were there before the key's journal. */
  readonly open: readonly HeadWithParent[];
  /** Of the validator set in force. */
  readonly members: readonly Address[];
  /** The last epoch that the active root covers. */
  readonly settled: number;
}

interface HeadFollower {
  /** @returns undefined while this validator is not of the model's set */
  look(): Promise<Look | undefined>;
}

export function createHeadFollower(context: Context): HeadFollower {
  const { absences, audits, claims, emit, heads: known, reader, run, validator } = context;
  /** A block that was there at the last look: while it is, nothing before it has changed, the draws included. */
  let tip: { readonly block: number; readonly hash: Hex } | undefined;
  /** The version of the set that was last complained of. */
  let complained: number | undefined;
  /** Runs whose heads were said not to be judged. */
  const told = new Set<RunId>();

  /** Forgets what was drawn when the chain lost a block: other blocks draw others. */
  async function watchTip(): Promise<void> {
    const newest = await reader.tip();
    const follows = tip && (newest.hash === tip.hash || newest.parentHash === tip.hash);
    if (tip && !follows && (await reader.blockHash(tip.block)) !== tip.hash) known.judged.clear();
    tip = newest;
  }

  return {
    look: async () => {
      await watchTip();
      const [heads, active, { validators: members, version }] = await Promise.all([
        reader.headsSince(run.runId, 0),
        reader.activeRoot(run.modelId),
        reader.validators(run.modelId),
      ]);
      if (!members.includes(validator)) {
        // Nobody counts what an outsider signs, and a set may take it in later.
        if (complained !== version) emit({ type: "not-a-member", validator, set: version });
        complained = version;
        return undefined;
      }
      const settled = active?.epoch ?? 0;
      const { open, unsettled } = openOf(context, heads, settled);
      open.push(...(await openOfOthers(context, settled)));
      const unfit = await unfitOf(context, new Set([run.runId, ...open.map(({ head }) => head.runId)]), told);
      known.links.clear();
      const judged = open.filter(({ head }) => !unfit.has(head.runId));
      for (const link of judged) known.links.set(link.head.head, link);
      claims.keep(known.links);
      absences.keep(known.links);
      for (const head of audits.sound) if (!known.links.has(head)) audits.sound.delete(head);
      return { heads: unfit.has(run.runId) ? [] : heads, unsettled, open: judged, members, settled };
    },
  };
}

/** Those of the runs whose heads cannot be judged by what the chain says of them, each told once. */
async function unfitOf(
  { descriptions, emit }: Context,
  runs: ReadonlySet<RunId>,
  told: Set<RunId>,
): Promise<ReadonlySet<RunId>> {
  const unfit = new Set<RunId>();
  for (const runId of runs) {
    const reason = await descriptions.whyUnfit(runId);
    if (reason === undefined) continue;
    unfit.add(runId);
    if (!told.has(runId)) emit({ type: "unfit", runId, reason });
    told.add(runId);
  }
  return unfit;
}

function openOf(
  { schedule, statements }: Context,
  heads: readonly PostedHead[],
  settled: number,
): { readonly open: HeadWithParent[]; readonly unsettled: Set<string> } {
  const open: HeadWithParent[] = [];
  const unsettled = new Set<string>();
  const rolledBack = rolledBackHeads(heads);
  for (const [i, head] of heads.entries()) {
    // Payloads of settled epochs are gone, and their verdicts count no more.
    if (epochAt(schedule, head.anchoredAt) <= settled) continue;
    unsettled.add(head.head);
    const parent = heads[i - 1];
    // A rollback adds nothing, and what it took back earns nothing.
    if (!parent || isRollback(head, parent) || rolledBack.has(head)) continue;
    if (!statements.isBefore(head.block)) open.push({ head, parent });
  }
  return { open, unsettled };
}

async function openOfOthers(context: Context, settled: number): Promise<HeadWithParent[]> {
  const { heads, reader, run } = context;
  const links: HeadWithParent[] = [];
  for (const id of heads.followed) {
    if (id === run.runId) continue;
    const { open, unsettled } = openOf(context, await reader.headsSince(id, 0), settled);
    links.push(...open);
    if (unsettled.size === 0) heads.followed.delete(id);
  }
  return links;
}

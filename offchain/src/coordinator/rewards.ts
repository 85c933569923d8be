/** What active roots grant an account, and what of its work earned nothing. */
import {
  type Address,
  asDigest,
  type Digest,
  digestOfJson,
  type EpochManifest,
  REWARD_PAGE,
  type RewardView,
  type RunId,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { errnoOf } from "../base/index.ts";
import {
  blobSourceOf,
  epochManifestOf,
  epochRewardsOf,
  isNotHad,
  rewardsFromInputs,
  rewardTreeOf,
  type UnpaidWork,
  unpaidWork,
} from "../run/index.ts";
import { type BlobStore, putDocument } from "../storage/index.ts";
import { toldToStrangers } from "./blobs.ts";
import { RefusedError } from "./errors.ts";
import type { Run } from "./run.ts";

const MAX_UNPAID = 256;

/** The newest epoch whose root became active, of those that this coordinator has computed. */
const activeEpoch = (run: Run) =>
  run.driver.state.epochs.findLast(({ state, computed }) => state === "active" && computed !== null);

/** Why a blob cannot be read; undefined where it can. */
async function problemOf(blobs: BlobStore, digest: Digest): Promise<unknown> {
  try {
    await using _ = await blobs.open(digest);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** What was lost of a root's rewards is put back: without them its leaves have no proofs. */
async function restore(run: Run, runId: RunId, digest: Digest, rewards: Digest): Promise<void> {
  const { blobs, logger } = run.modules;
  // A flipped bit is a loss too, and so is what the disk does not read any more: only what has its digest is put in its place.
  const lost = await problemOf(blobs, rewards);
  if (lost === undefined) return;
  if (!isNotHad(lost) && errnoOf(lost) === undefined) throw lost;
  const source = blobSourceOf(blobs);
  const anew = await rewardsFromInputs(source, runId, await epochManifestOf(source, runId, digest));
  const isWhole = digestOfJson(anew) === rewards;
  logger.error({ rewards, isWhole, err: lost }, "the rewards under an active root were lost");
  if (isWhole) await putDocument(blobs, anew);
}

/** Puts the rewards under the newest active root back where they are lost. */
export async function restoreRewards(run: Run): Promise<void> {
  const computed = activeEpoch(run)?.computed;
  if (computed) await restore(run, run.runId, computed.manifest, computed.rewards);
}

type Tree = ReturnType<typeof rewardTreeOf>;

/** An active root, as its manifest has it. */
interface RootRecord {
  readonly manifest: Digest;
  readonly index: number;
  readonly root: string;
  readonly total: bigint;
  readonly rewards: Digest;
}

/** What is kept of a run's roots: putting it together takes a while. */
interface Kept {
  /** Of the newest manifest that was looked at. */
  newest: Digest | undefined;
  /** By rising number. */
  records: readonly RootRecord[];
  unpaid: readonly UnpaidWork[];
  /** Used last stands last. Of many who ask at once the first has it built. */
  readonly trees: Map<Digest, KeptTree>;
}

interface KeptTree {
  readonly tree: Promise<Tree>;
  /** 0 until it is known. */
  leaves: number;
}

/** Leaves of all the trees that are kept at most: a leaf takes 0.6 KB there. What is more is built anew, 20,000 leaves a second. */
const MOST_LEAVES = 100_000;

const kept = new WeakMap<Run, Promise<Kept>>();

/** All active roots up to a manifest, those after one that is known alone read. */
async function recordsUpTo(run: Run, manifest: Digest, { newest, records }: Kept): Promise<readonly RootRecord[]> {
  const found: RootRecord[] = [];
  const source = blobSourceOf(run.modules.blobs);
  for (let digest: string | null = manifest; digest !== null;) {
    if (digest === newest) return [...records, ...found.toReversed()];
    const of: EpochManifest | undefined = await epochManifestOf(source, run.runId, digest).catch((error: unknown) => {
      // What stands before one that is lost is lost with it, and what comes after it is not.
      if (found.length === 0 || !isNotHad(error)) throw error;
      run.modules.logger.error({ manifest: digest, err: error }, "an epoch's manifest was lost");
      return undefined;
    });
    if (!of) break;
    const { index, root, total } = of;
    found.push({ manifest: asDigest(digest), index, root, total: BigInt(total), rewards: asDigest(of.rewards) });
    digest = of.previous;
  }
  return found.toReversed();
}

/** One after the other: of many who ask at once the first reads. */
function keptOf(run: Run, manifest: Digest): Promise<Kept> {
  const empty: Kept = { newest: undefined, records: [], unpaid: [], trees: new Map() };
  const next = (kept.get(run) ?? Promise.resolve(empty)).then(async (known): Promise<Kept> => {
    if (known.newest === manifest) return known;
    try {
      const records = await recordsUpTo(run, manifest, known);
      const unpaid = (await unpaidWork(blobSourceOf(run.modules.blobs), run.runId, manifest)).works;
      return { newest: manifest, records, unpaid, trees: known.trees };
    } catch (error) {
      throw toldToStrangers(error, run.modules.logger);
    }
  });
  kept.set(run, next);
  next.catch(() => kept.delete(run));
  return next;
}

async function build(run: Run, trees: Kept["trees"], { manifest, rewards, root, total }: RootRecord): Promise<Tree> {
  try {
    await restore(run, run.runId, manifest, rewards);
    const file = await epochRewardsOf(blobSourceOf(run.modules.blobs), run.runId, { rewards });
    const entry = trees.get(manifest);
    if (entry) entry.leaves = file.leaves.length;
    forgetOld(trees);
    const tree = rewardTreeOf(file);
    if (tree.root === root && tree.total <= total) return tree;
    // One leaf that the contract refuses would end a claim of them all, of roots that are sound too.
    run.modules.logger.error(
      { root, rewards },
      "the published rewards of an active root are not its own: none is told",
    );
    return { ...tree, proofOf: () => undefined };
  } catch (error) {
    trees.delete(manifest);
    throw toldToStrangers(error, run.modules.logger);
  }
}

function treeOf(run: Run, { trees }: Kept, record: RootRecord): Promise<Tree> {
  const entry = trees.get(record.manifest) ?? { leaves: 0, tree: build(run, trees, record) };
  trees.delete(record.manifest);
  trees.set(record.manifest, entry);
  return entry.tree;
}

/** Lets go of the trees that were used longest ago, until what is kept is little enough; the last one stays. */
function forgetOld(trees: Kept["trees"]): void {
  let sum = [...trees.values()].reduce((total, { leaves }) => total + leaves, 0);
  for (const [digest, { leaves }] of trees) {
    if (sum <= MOST_LEAVES || trees.size === 1) return;
    trees.delete(digest);
    sum -= leaves;
  }
}

/** What these roots grant an account. One root's documents that are lost keep nobody from what others grant. */
async function leavesUnder(
  run: Run,
  under: Kept,
  page: readonly RootRecord[],
  account: Address,
): Promise<RewardView["leaves"]> {
  const leaves: RewardView["leaves"] = [];
  let lost: unknown;
  for (const each of page) {
    try {
      const leaf = (await treeOf(run, under, each)).proofOf(account);
      if (leaf) leaves.push({ index: each.index, amount: leaf.amount.toString(), proof: leaf.proof });
    } catch (error) {
      lost ??= error;
    }
  }
  if (lost !== undefined && leaves.length === 0) throw lost;
  return leaves;
}

const unpaidOf = ({ unpaid }: Kept, account: Address): RewardView["unpaid"] =>
  unpaid
    .filter((work) => work.account === account)
    .slice(0, MAX_UNPAID)
    .map(({ epoch, round, worker, tokens, reason }) => ({
      epoch,
      round,
      worker: worker && getAddress(worker),
      tokens: tokens.toString(),
      reason,
    }));

/**
 * @param from the first root that is looked at
 * @throws RefusedError ACCOUNT_UNKNOWN
 */
export async function rewardView(run: Run, account: Address, from = 1): Promise<RewardView> {
  const refuse = (which: string): never => {
    throw new RefusedError(
      "ACCOUNT_UNKNOWN",
      `${getAddress(account)} has earned nothing under ${which} active root yet, and there is no settled work of it.`,
    );
  };
  const record = activeEpoch(run);
  if (!record?.computed) return refuse("any");
  const under = await keptOf(run, record.computed.manifest);
  const after = under.records.filter(({ index }) => index >= from);
  const leaves = await leavesUnder(run, under, after.slice(0, REWARD_PAGE), account);
  const next = after[REWARD_PAGE]?.index ?? null;
  const unpaid = unpaidOf(under, account);
  if (from <= 1 && next === null && leaves.length + unpaid.length === 0) return refuse("an");
  return { account: getAddress(account), epoch: record.epoch, leaves, next, unpaid };
}

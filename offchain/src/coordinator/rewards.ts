/** What active roots grant an account, and what of its work earned nothing. */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import {
  type Address,
  asDigest,
  type Digest,
  digestOfJson,
  REWARD_PAGE,
  type RewardView,
  type RunId,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { errnoOf } from "../base/index.ts";
import { leftOut, type PostedRoot } from "../chain/index.ts";
import {
  blobSourceOf,
  epochManifestOf,
  epochRewardsOf,
  isLost,
  isMalformed,
  isNotHad,
  rewardsFromInputs,
  rewardTreeOf,
  keyOfRoot,
  rootsUpTo,
  type UnpaidWork,
  unpaidWork,
} from "../run/index.ts";
import { type BlobStore, putDocument } from "../storage/index.ts";
import { toldToStrangers } from "./blobs.ts";
import { RefusedError } from "./errors.ts";
import type { ComputedEpoch } from "./machine/effects.ts";
import type { Asker, RootTree } from "./rewardTrees.ts";
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

/** What is kept of a run's active roots. */
interface Kept {
  /** Manifest of the newest of them. */
  newest: Digest | undefined;
  /** By rising number. */
  roots: readonly PostedRoot[];
  unpaid: readonly UnpaidWork[];
}

const kept = new WeakMap<Run, Promise<Kept>>();

/** One after the other: of many who ask at once the first reads. */
function keptOf(run: Run, { manifest, attestation }: ComputedEpoch): Promise<Kept> {
  const { chain, blobs, logger } = run.modules;
  const empty: Kept = { newest: undefined, roots: [], unpaid: [] };
  const next = (kept.get(run) ?? Promise.resolve(empty)).then(async (known): Promise<Kept> => {
    if (known.newest === manifest) return known;
    const { index, root } = attestation;
    try {
      // The chain's word: documents name the ones before them, and one that is lost would hide all of those.
      const roots = await rootsUpTo(chain, run.facts.modelId, { index: Number(index), root });
      if (!roots) throw leftOut();
      const unpaid = (await unpaidWork({ reader: chain, blobs: blobSourceOf(blobs) }, run.runId, manifest)).works;
      return { newest: manifest, roots, unpaid };
    } catch (error) {
      throw toldToStrangers(error, logger);
    }
  });
  kept.set(run, next);
  next.catch(() => kept.delete(run));
  return next;
}

/** @returns undefined where the root's documents are lost */
async function build(run: Run, { runId, epochDigest, root, total }: PostedRoot): Promise<RootTree | undefined> {
  const { blobs, logger } = run.modules;
  const source = blobSourceOf(blobs);
  try {
    const { rewards } = await epochManifestOf(source, runId, epochDigest);
    await restore(run, runId, epochDigest, asDigest(rewards));
    const file = await epochRewardsOf(source, runId, { rewards });
    const tree = rewardTreeOf(file);
    if (tree.root === root && tree.total <= total) return { leaves: file.leaves.length, leafOf: leafIn(tree) };
  } catch (error) {
    if (isLost(error)) {
      logger.error({ root, manifest: epochDigest, err: error }, "documents of an active root are lost");
      return undefined;
    }
    if (!isMalformed(error)) throw toldToStrangers(error, logger);
  }
  // One leaf that the contract refuses would end a claim of them all, of roots that are sound too.
  logger.error(
    { root, manifest: epochDigest },
    "the published rewards of an active root are not its own: none is told",
  );
  return { leaves: 0, leafOf: () => undefined };
}

const leafIn =
  (tree: ReturnType<typeof rewardTreeOf>): RootTree["leafOf"] =>
  (account) => {
    const leaf = tree.proofOf(account);
    return leaf && { amount: leaf.amount.toString(), proof: leaf.proof };
  };

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

/** The newest root that pays and of which this coordinator knows, and what an account earned under it and all before it. */
export interface Earned {
  readonly index: number;
  /** @throws RetryableError `REWARDS_BUSY` */
  readonly leavesOf: (account: Address) => Promise<readonly ClaimLeaf[]>;
}

/** Nobody outside waits for it: it has its turns as an asker of this machine's. */
const OWN: Asker = { address: "127.0.0.1", gone: new AbortController().signal };

/** Undefined where no root is active yet. */
export function earnedUnder(run: Run): Earned | undefined {
  const computed = activeEpoch(run)?.computed;
  if (!computed) return undefined;
  return {
    index: Number(computed.attestation.index),
    leavesOf: async (account) => {
      const { roots } = await keptOf(run, computed);
      const wanted = roots.map((root) => ({ key: keyOfRoot(root), build: () => build(run, root) }));
      const leaves: ClaimLeaf[] = [];
      for (let at = 0; at < wanted.length;) {
        const found = await run.modules.rewardTrees.leavesOf(account, wanted.slice(at, at + REWARD_PAGE), OWN);
        for (const [i, leaf] of found.entries())
          if (leaf && leaf !== "missing")
            leaves.push({ index: roots[at + i]!.index, amount: BigInt(leaf.amount), proof: leaf.proof });
        at += found.length;
      }
      return leaves;
    },
  };
}

/**
 * @param from the first root that is looked at
 * @throws RefusedError ACCOUNT_UNKNOWN; RetryableError REWARDS_BUSY
 */
export async function rewardView(run: Run, account: Address, asker: Asker, from = 1): Promise<RewardView> {
  const refuse = (which: string): never => {
    throw new RefusedError(
      "ACCOUNT_UNKNOWN",
      `${getAddress(account)} has earned nothing under ${which} active root yet, and there is no settled work of it.`,
    );
  };
  const record = activeEpoch(run);
  if (!record?.computed) return refuse("any");
  const under = await keptOf(run, record.computed);
  const after = under.roots.filter(({ index }) => index >= from);
  const page = after.slice(0, REWARD_PAGE);
  const wanted = page.map((root) => ({ key: keyOfRoot(root), build: () => build(run, root) }));
  const found = await run.modules.rewardTrees.leavesOf(account, wanted, asker);
  const leaves: RewardView["leaves"] = [];
  const missing: RewardView["missing"] = [];
  for (const [i, leaf] of found.entries()) {
    const { index } = page[i]!;
    if (leaf === "missing") missing.push(index);
    else if (leaf) leaves.push({ index, ...leaf });
  }
  const next = after[found.length]?.index ?? null;
  const unpaid = unpaidOf(under, account);
  if (from <= 1 && next === null && leaves.length + missing.length + unpaid.length === 0) return refuse("an");
  return { account: getAddress(account), epoch: record.epoch, leaves, missing, next, unpaid };
}

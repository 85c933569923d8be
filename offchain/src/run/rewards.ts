/** What the active roots of a model pay, from published documents that are checked against the chain. */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { type Address, asAddress, type EpochManifest, type ModelId, type RewardsFile } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { ChainReader, PostedRoot } from "../chain/index.ts";
import { epochManifestOf, epochRewardsOf, rewardsFromInputs, rewardTreeOf } from "./epochDocuments.ts";
import type { BlobSource } from "./ports.ts";
import { type Unpaid, unpaidWork } from "./unpaid.ts";
import { isNotHad } from "./unreadable.ts";

/** What the active roots pay, from published documents that are checked against them. */
export interface ActiveRewards {
  /** The last head that they cover. */
  readonly through: Pick<PostedRoot, "runId" | "head">;
  readonly accounts: readonly Address[];
  /** Numbers of roots whose documents are not to be had: what they grant is not among the leaves. */
  readonly missing: readonly number[];
  /** What earned nothing in so many of the newest epochs, and why. */
  readonly unpaid: (epochs?: number) => Promise<Unpaid>;
  /** What each root grants an account, by rising number, paid or not; a proof is made when it is looked at. */
  readonly leavesOf: (account: Address) => readonly ClaimLeaf[];
}

/** What one root pays. */
interface RootRewards {
  readonly amounts: ReadonlyMap<Address, bigint>;
  readonly leafOf: (account: Address) => ClaimLeaf | undefined;
}

/** What was read of roots, by the digests of their manifests: who asks again and again reads each of them once. */
export type KnownRewards = Map<string, RootRewards>;

/** Roots read at a time. */
const AT_ONCE = 8;

/**
 * @param known what was read before, which is added to
 * @returns undefined while no root is active
 * @throws UserError `REWARDS_MISMATCH`; what `blobs` throws but for what it has not
 */
export async function activeRewards(
  modelId: ModelId,
  blobs: BlobSource,
  reader: ChainReader,
  known: KnownRewards = new Map(),
): Promise<ActiveRewards | undefined> {
  const active = await reader.activeRoot(modelId);
  if (!active) return undefined;
  const posted = await reader.rootsOf(modelId, active.root);
  const newest = posted.findLast(({ root, index }) => root === active.root && index === active.index);
  if (!newest) return undefined;
  // What was activated is the last that was posted of its number: a root that never was is followed by another of it.
  const byIndex = new Map(posted.filter(({ index }) => index <= active.index).map((each) => [each.index, each]));
  byIndex.set(active.index, newest);
  const roots: RootRewards[] = [];
  const missing: number[] = [];
  const indices = Array.from({ length: active.index }, (_, i) => i + 1);
  for (let at = 0; at < indices.length; at += AT_ONCE) {
    const some = indices.slice(at, at + AT_ONCE);
    const read = await Promise.all(some.map((index) => rootRewards(blobs, byIndex.get(index), known)));
    for (const [i, found] of read.entries()) {
      if (found) roots.push(found);
      else missing.push(some[i]!);
    }
  }
  return {
    through: newest,
    accounts: [...new Set(roots.flatMap(({ amounts }) => [...amounts.keys()]))].toSorted(),
    missing,
    unpaid: (epochs) => unpaidWork(blobs, newest.runId, newest.epochDigest, epochs),
    leavesOf: (account) => roots.flatMap(({ leafOf }) => leafOf(asAddress(account)) ?? []),
  };
}

/** @returns undefined where a document is not to be had */
async function rootRewards(
  blobs: BlobSource,
  posted: PostedRoot | undefined,
  known: KnownRewards,
): Promise<RootRewards | undefined> {
  if (!posted) return undefined;
  const before = known.get(posted.epochDigest);
  if (before) return before;
  const { runId, index, root } = posted;
  let file: RewardsFile;
  try {
    const manifest = await epochManifestOf(blobs, runId, posted.epochDigest);
    file = await rewardsUnder(blobs, posted, manifest);
  } catch (error) {
    if (isNotHad(error)) return undefined;
    throw error;
  }
  const tree = rewardTreeOf(file);
  if (tree.root !== root)
    throw new UserError("REWARDS_MISMATCH", `The published rewards of root ${index} do not have the root ${root}.`);
  const amounts = new Map(file.leaves.map(({ account, amount }) => [asAddress(account), BigInt(amount)]));
  const found: RootRewards = {
    amounts,
    leafOf: (account) => {
      const amount = amounts.get(account);
      if (amount === undefined) return undefined;
      return {
        index,
        amount,
        get proof() {
          return tree.proofOf(account)?.proof ?? [];
        },
      };
    },
  };
  known.set(posted.epochDigest, found);
  return found;
}

/** What is lost can be added up; the root says whether it is the same. */
const rewardsUnder = (blobs: BlobSource, { runId }: PostedRoot, manifest: EpochManifest): Promise<RewardsFile> =>
  epochRewardsOf(blobs, runId, manifest).catch((error: unknown) => {
    if (!isNotHad(error)) throw error;
    return rewardsFromInputs(blobs, runId, manifest);
  });

/** What the active roots of a model pay, from published documents that are checked against the chain. */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { type Address, asAddress, type EpochManifest, type ModelId, type RewardsFile } from "@cotrain/sdk/protocol";

import { leftOut, type ChainReader, type PostedRoot } from "../chain/index.ts";
import { epochManifestOf, epochRewardsOf, rewardsFromInputs, rewardTreeOf } from "./epochDocuments.ts";
import type { BlobSource } from "./ports.ts";
import { isMalformed } from "./published.ts";
import { type Unpaid, unpaidWork } from "./unpaid.ts";
import { isNotHad } from "./unreadable.ts";

/** What the active roots pay, from published documents that are checked against them. */
export interface ActiveRewards {
  /** The last head that they cover. */
  readonly through: Pick<PostedRoot, "runId" | "head">;
  readonly accounts: readonly Address[];
  /** Numbers of roots whose documents are not to be had: what they grant is not among the leaves. */
  readonly missing: readonly number[];
  /** Numbers of roots whose published rewards are not theirs, or more than their total: such a root was false, and claims with it fail. */
  readonly unsound: readonly number[];
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
export type KnownRewards = Map<string, RootRewards | "unsound">;

/** Roots read at a time. */
const AT_ONCE = 8;

/**
 * @param known what was read before, which is added to
 * @returns undefined while no root is active
 * @throws RetryableError `CHAIN_RPC` where the chain's RPC leaves out roots; what `blobs` throws but for what it has not
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
  // Each number was posted. So nobody's word for a number makes more work than what he shows of roots.
  if (byIndex.size !== active.index) {
    reader.forget(modelId);
    throw leftOut();
  }
  const roots: RootRewards[] = [];
  const [missing, unsound]: [number[], number[]] = [[], []];
  const indices = [...byIndex.keys()].toSorted((a, b) => a - b);
  for (let at = 0; at < indices.length; at += AT_ONCE) {
    const some = indices.slice(at, at + AT_ONCE);
    const read = await Promise.all(some.map((index) => rootRewards(blobs, byIndex.get(index), known)));
    for (const [i, found] of read.entries()) {
      if (found === "unsound") unsound.push(some[i]!);
      else if (found) roots.push(found);
      else missing.push(some[i]!);
    }
  }
  return {
    through: newest,
    accounts: [...new Set(roots.flatMap(({ amounts }) => [...amounts.keys()]))].toSorted(),
    missing,
    unsound,
    unpaid: (epochs) => unpaidWork(blobs, newest.runId, newest.epochDigest, epochs),
    leavesOf: (account) => roots.flatMap(({ leafOf }) => leafOf(asAddress(account)) ?? []),
  };
}

/** @returns undefined where a document is not to be had */
async function rootRewards(
  blobs: BlobSource,
  posted: PostedRoot | undefined,
  known: KnownRewards,
): Promise<RootRewards | "unsound" | undefined> {
  if (!posted) return undefined;
  const before = known.get(posted.epochDigest);
  if (before) return before;
  let found: RootRewards | "unsound";
  try {
    const manifest = await epochManifestOf(blobs, posted.runId, posted.epochDigest);
    found = rewardsOf(posted, await rewardsUnder(blobs, posted, manifest));
  } catch (error) {
    if (isNotHad(error)) return undefined;
    // An active root stays as it is: a false one must not keep anybody from what the others grant.
    if (!isMalformed(error)) throw error;
    found = "unsound";
  }
  known.set(posted.epochDigest, found);
  return found;
}

/** @throws ProtocolError as `rewardTreeOf` */
function rewardsOf({ index, root, total }: PostedRoot, file: RewardsFile): RootRewards | "unsound" {
  const tree = rewardTreeOf(file);
  if (tree.root !== root || tree.total > total) return "unsound";
  const amounts = new Map(file.leaves.map(({ account, amount }) => [asAddress(account), BigInt(amount)]));
  return {
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
}

/** What is lost can be added up; the root says whether it is the same. */
const rewardsUnder = (blobs: BlobSource, { runId }: PostedRoot, manifest: EpochManifest): Promise<RewardsFile> =>
  epochRewardsOf(blobs, runId, manifest).catch((error: unknown) => {
    if (!isNotHad(error)) throw error;
    return rewardsFromInputs(blobs, runId, manifest);
  });

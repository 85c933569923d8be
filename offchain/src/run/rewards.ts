/** What the active roots of a model pay, from published documents that are checked against the chain. */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
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
export interface RootRewards {
  readonly amounts: ReadonlyMap<Address, bigint>;
  readonly leafOf: (account: Address) => ClaimLeaf | undefined;
}

/** What was read of roots, for who asks again and again: each of them is read once. */
export interface KnownRewards {
  /** Whose leaves are kept. Nothing else is: roots are many, and each may have hundreds of thousands. */
  readonly accounts: ReadonlySet<Address>;
  /** By {@link keyOfRoot}. */
  readonly roots: Map<string, RootRewards | "unsound">;
}

export const knownRewards = (accounts: readonly string[]): KnownRewards => ({
  accounts: new Set(accounts.map((account) => asAddress(account))),
  roots: new Map(),
});

/** What tells one posted root from all others of all models: a false one may name another's documents. */
export const keyOfRoot = ({ runId, index, root, total, epochDigest }: PostedRoot): string =>
  [runId, index, root, total, epochDigest].join("/");

/** Roots read at a time. */
const AT_ONCE = 8;

/**
 * The roots that became active up to one of them, by rising number, from the chain alone.
 * @returns undefined where that one's posting is not there yet
 * @throws RetryableError `CHAIN_RPC` where the chain's RPC leaves out roots
 */
export async function rootsUpTo(
  reader: Pick<ChainReader, "rootsOf" | "forget">,
  modelId: ModelId,
  last: Pick<PostedRoot, "index" | "root">,
): Promise<readonly PostedRoot[] | undefined> {
  const posted = await reader.rootsOf(modelId, last.root);
  const newest = posted.findLast(({ root, index }) => root === last.root && index === last.index);
  if (!newest) return undefined;
  // What was activated is the last that was posted of its number: a root that never was is followed by another of it.
  const byIndex = new Map(posted.filter(({ index }) => index <= last.index).map((each) => [each.index, each]));
  byIndex.set(last.index, newest);
  // Each number was posted. So nobody's word for a number makes more work than what he shows of roots.
  if (byIndex.size !== last.index) {
    reader.forget(modelId);
    throw leftOut();
  }
  return [...byIndex.values()].toSorted((a, b) => a.index - b.index);
}

/**
 * @param known what was read before, which is added to: then of its accounts alone
 * @returns undefined while no root is active
 * @throws RetryableError `CHAIN_RPC` where the chain's RPC leaves out roots; what `blobs` throws but for what it has not
 */
export async function activeRewards(
  modelId: ModelId,
  blobs: BlobSource,
  reader: ChainReader,
  known?: KnownRewards,
): Promise<ActiveRewards | undefined> {
  const active = await reader.activeRoot(modelId);
  const posted = active && (await rootsUpTo(reader, modelId, active));
  const newest = posted?.at(-1);
  if (!posted || !newest) return undefined;
  const roots: RootRewards[] = [];
  const [missing, unsound]: [number[], number[]] = [[], []];
  for (let at = 0; at < posted.length; at += AT_ONCE) {
    const some = posted.slice(at, at + AT_ONCE);
    const read = await Promise.all(some.map((each) => rootRewards(blobs, each, known)));
    for (const [i, found] of read.entries()) {
      if (found === "unsound") unsound.push(some[i]!.index);
      else if (found) roots.push(found);
      else missing.push(some[i]!.index);
    }
  }
  return {
    through: newest,
    accounts: [...new Set(roots.flatMap(({ amounts }) => [...amounts.keys()]))].toSorted(),
    missing,
    unsound,
    unpaid: (epochs) => unpaidWork({ reader, blobs }, newest.runId, newest.epochDigest, epochs),
    leavesOf: (account) => roots.flatMap(({ leafOf }) => leafOf(asAddress(account)) ?? []),
  };
}

/**
 * What a root grants, by the rewards that were published for it.
 * @returns "unsound" where these are not its own, or more than its total; undefined where a document is not to be had
 */
export async function rootRewards(
  blobs: BlobSource,
  posted: PostedRoot,
  known?: KnownRewards,
): Promise<RootRewards | "unsound" | undefined> {
  const before = known?.roots.get(keyOfRoot(posted));
  if (before) return before;
  let found: RootRewards | "unsound";
  try {
    const manifest = await epochManifestOf(blobs, posted.runId, posted.epochDigest);
    found = rewardsOf(posted, await rewardsUnder(blobs, posted, manifest), known?.accounts);
  } catch (error) {
    if (isNotHad(error) || isOfAnotherRun(error)) return undefined;
    // An active root stays as it is: a false one must not keep anybody from what the others grant.
    if (!isMalformed(error)) throw error;
    found = "unsound";
  }
  known?.roots.set(keyOfRoot(posted), found);
  return found;
}

/** A coordinator has the documents of the runs that it serves; those of a model's other runs are somebody else's to publish. */
const isOfAnotherRun = (error: unknown): boolean => error instanceof CotrainError && error.code === "RUN_UNKNOWN";

/**
 * @param only whose leaves are kept, each with its proof; if left out all are, and a proof is made when somebody looks at it
 * @throws ProtocolError as `rewardTreeOf`
 */
function rewardsOf(
  { index, root, total }: PostedRoot,
  file: RewardsFile,
  only: ReadonlySet<Address> | undefined,
): RootRewards | "unsound" {
  const tree = rewardTreeOf(file);
  if (tree.root !== root || tree.total > total) return "unsound";
  const amounts = new Map<Address, bigint>();
  const leaves = new Map<Address, ClaimLeaf>();
  for (const { account, amount } of file.leaves) {
    if (only && !only.has(account)) continue;
    amounts.set(account, BigInt(amount));
    if (only) leaves.set(account, { index, amount: BigInt(amount), proof: tree.proofOf(account)?.proof ?? [] });
  }
  if (only) return { amounts, leafOf: (account) => leaves.get(account) };
  return {
    amounts,
    leafOf: (account) => {
      const amount = amounts.get(account);
      if (amount === undefined) return undefined;
      return {
        index,
        amount,
        // The tree itself takes several times the room of what it pays.
        get proof() {
          return rewardTreeOf(file).proofOf(account)?.proof ?? [];
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

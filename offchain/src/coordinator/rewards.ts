/** What an account can claim under the active root. */
import {
  type Address,
  type Digest,
  parseDocument,
  RewardsFile,
  rewardTree,
  type RewardView,
} from "@cotrain/sdk/protocol";

import { parseJsonBounded } from "../base/index.ts";
import { RefusedError } from "./errors.ts";
import type { Run } from "./run.ts";

const MAX_REWARDS_BYTES = 64 << 20;

/** The tree of the newest active root; building one takes a while, so it is kept. */
const trees = new WeakMap<Run, { readonly digest: Digest; readonly tree: Promise<ReturnType<typeof rewardTree>> }>();

function treeOf(run: Run, digest: Digest): Promise<ReturnType<typeof rewardTree>> {
  const known = trees.get(run);
  if (known?.digest === digest) return known.tree;
  const tree = run.modules.blobs.get(digest, MAX_REWARDS_BYTES).then((bytes) => {
    const file = parseDocument("The rewards", RewardsFile, parseJsonBounded(bytes, MAX_REWARDS_BYTES, "the rewards"));
    return rewardTree(
      run.facts.modelId,
      file.leaves.map(({ account, cumulative }) => ({ account, cumulative: BigInt(cumulative) })),
    );
  });
  trees.set(run, { digest, tree });
  tree.catch(() => trees.delete(run));
  return tree;
}

/** @throws RefusedError ACCOUNT_UNKNOWN */
export async function rewardView(run: Run, account: Address): Promise<RewardView> {
  const record = run.driver.state.epochs.findLast(({ state, computed }) => state === "active" && computed !== null);
  const tree = record?.computed ? await treeOf(run, record.computed.rewards) : undefined;
  const leaf = tree?.proofOf(account);
  if (!record || !tree || !leaf) {
    throw new RefusedError(
      "ACCOUNT_UNKNOWN",
      `${account} has earned nothing under ${record ? "the active root" : "any active root"} yet.`,
    );
  }
  return { account, epoch: record.epoch, root: tree.root, cumulative: leaf.cumulative.toString(), proof: leaf.proof };
}

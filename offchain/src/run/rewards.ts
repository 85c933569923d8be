/** What the active root of a model pays, from published documents that are checked against it. */
import { type Address, asAddress, type Hex, type ModelId } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { ChainReader, PostedRoot } from "../chain/index.ts";
import { blobSourceOf } from "./blobSource.ts";
import { epochManifestOf, epochRewardsOf, rewardTreeOf } from "./epochDocuments.ts";
import { sumOfEpochs } from "./epoch.ts";
import type { LocalRun } from "./local.ts";
import type { BlobSource } from "./ports.ts";
import { type Unpaid, unpaidWork } from "./unpaid.ts";
import { isNotHad } from "./unreadable.ts";

/** What the active root pays, from published documents that are checked against it. */
export interface ActiveRewards {
  /** The last head that it covers. */
  readonly through: Pick<PostedRoot, "runId" | "head">;
  readonly accounts: readonly Address[];
  /** What earned nothing in so many of the newest epochs, and why. */
  readonly unpaid: (epochs?: number) => Promise<Unpaid>;
  /** Undefined for an account that it does not pay. */
  readonly of: (account: Address) => { readonly cumulative: bigint; readonly proof: Hex[] } | undefined;
}

/** @returns undefined while no root is active. @throws UserError `REWARDS_MISMATCH`; what `blobs` throws */
export async function activeRewards(
  modelId: ModelId,
  blobs: BlobSource,
  reader: ChainReader,
): Promise<ActiveRewards | undefined> {
  const active = await reader.activeRoot(modelId);
  if (!active) return undefined;
  const posted = (await reader.rootsOf(modelId, active.root)).findLast(
    ({ root, epoch }) => root === active.root && epoch === active.epoch,
  );
  if (!posted) return undefined;
  const { runId } = posted;
  const manifest = await epochManifestOf(blobs, runId, posted.epochDigest);
  const file = await epochRewardsOf(blobs, runId, manifest).catch((error: unknown) => {
    if (!isNotHad(error)) throw error;
    // What is lost can be added up; the active root says whether it is the same.
    return sumOfEpochs(blobs, runId, posted.epochDigest);
  });
  const tree = rewardTreeOf(modelId, file);
  if (tree.root !== active.root)
    throw new UserError(
      "REWARDS_MISMATCH",
      `The published rewards of epoch ${active.epoch} do not have the active root ${active.root}.`,
    );
  return {
    through: posted,
    accounts: file.leaves.map(({ account }) => asAddress(account)),
    unpaid: (epochs) => unpaidWork(blobs, runId, posted.epochDigest, epochs),
    of: (account) => tree.proofOf(account),
  };
}

/** Cumulative reward and proof of an account under the active root. @throws as {@link activeRewards} */
export async function rewardsOf(
  run: Pick<LocalRun, "modelId" | "blobs">,
  reader: ChainReader,
  account: Address,
): Promise<{ readonly cumulative: bigint; readonly proof: Hex[] } | undefined> {
  return (await activeRewards(run.modelId, blobSourceOf(run.blobs), reader))?.of(account);
}

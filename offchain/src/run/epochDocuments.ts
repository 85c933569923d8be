/** The documents of an epoch, each read in one way whoever asks, and the tree of what it pays. */
import {
  type Address,
  asModelId,
  EpochInputs,
  EpochManifest,
  MAX_MANIFEST_BYTES,
  parseDocument,
  RewardsFile,
  rewardTree,
  type RunId,
  VerdictsFile,
} from "@cotrain/sdk/protocol";

import type { BlobSource } from "./ports.ts";
import { readJson } from "./published.ts";

/** @throws what `blobs` throws; UserError, ProtocolError. So do all here */
export const epochManifestOf = async (blobs: BlobSource, runId: RunId, digest: string): Promise<EpochManifest> =>
  parseDocument(
    "The epoch manifest",
    EpochManifest,
    await readJson(blobs, runId, digest, "the epoch manifest", MAX_MANIFEST_BYTES),
  );

export const epochInputsOf = async (
  blobs: BlobSource,
  runId: RunId,
  { inputs }: Pick<EpochManifest, "inputs">,
): Promise<EpochInputs> =>
  parseDocument("The epoch's inputs", EpochInputs, await readJson(blobs, runId, inputs, "the epoch's inputs"));

export const epochVerdictsOf = async (
  blobs: BlobSource,
  runId: RunId,
  { verdicts }: Pick<EpochManifest, "verdicts">,
): Promise<VerdictsFile> =>
  parseDocument("The verdicts", VerdictsFile, await readJson(blobs, runId, verdicts, "the verdicts"));

export const epochRewardsOf = async (
  blobs: BlobSource,
  runId: RunId,
  { rewards }: Pick<EpochManifest, "rewards">,
): Promise<RewardsFile> =>
  parseDocument("The rewards", RewardsFile, await readJson(blobs, runId, rewards, "the rewards"));

/** @throws ProtocolError EMPTY_TREE, DUPLICATE_ACCOUNT, AMOUNT_TOO_LARGE */
export const rewardTreeOf = ({ modelId, kind, index, leaves }: RewardsFile) =>
  rewardTree(
    { modelId: asModelId(modelId), kind, index },
    leaves.map(({ account, amount }) => ({ account, amount: BigInt(amount) })),
  );

/** What is earned, as a root's leaves: by ascending account, without who earned nothing. */
export const leavesOf = (earned: ReadonlyMap<Address, bigint>): RewardsFile["leaves"] =>
  [...earned]
    .filter(([, amount]) => amount > 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([account, amount]) => ({ account, amount: amount.toString() }));

/**
 * A root's rewards, added up from its epochs' inputs: for who has lost them. They are the same if nobody changed anything.
 * @throws what `blobs` throws where the inputs are lost too
 */
export async function rewardsFromInputs(
  blobs: BlobSource,
  runId: RunId,
  manifest: Pick<EpochManifest, "inputs" | "modelId" | "kind" | "index">,
): Promise<RewardsFile> {
  const inputs = await epochInputsOf(blobs, runId, manifest);
  const earned = new Map<Address, bigint>();
  for (const { account, amount } of inputs.epochs.flatMap(({ contributions }) => contributions))
    earned.set(account, (earned.get(account) ?? 0n) + BigInt(amount));
  const { modelId, kind, index } = manifest;
  return { version: 1, modelId, kind, index, leaves: leavesOf(earned) };
}

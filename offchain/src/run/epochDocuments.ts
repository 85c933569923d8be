/** The documents of an epoch, each read in one way whoever asks, and the tree of what it pays. */
import {
  EpochInputs,
  EpochManifest,
  MAX_MANIFEST_BYTES,
  type ModelId,
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

/** @throws ProtocolError EMPTY_TREE, DUPLICATE_ACCOUNT */
export const rewardTreeOf = (modelId: ModelId, { leaves }: Pick<RewardsFile, "leaves">) =>
  rewardTree(
    modelId,
    leaves.map(({ account, cumulative }) => ({ account, cumulative: BigInt(cumulative) })),
  );

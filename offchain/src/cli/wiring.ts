/** How the command line joins the rooms: readers for a deployment, blob sources, the sole run of a coordinator. */
import {
  type Address,
  asDigest,
  asRunId,
  type CoordinatorClient,
  createCoordinatorClient,
  type Digest,
  EpochManifest,
  type Hex,
  parseDocument,
  rewardTree,
  RewardsFile,
  type RunId,
} from "@cotrain/sdk/protocol";

import { parseJsonBounded, UserError } from "../base/index.ts";
import { type BlobSource, type ChainReader, MAX_DOCUMENT_BYTES, openReader } from "../chain/index.ts";
import type { BlobReader } from "../storage/index.ts";
import type { DeploymentFile, LocalRun } from "./local.ts";

export const readerOptions = (rpcUrl: string, chainId: number, deployment: DeploymentFile) => ({
  rpcUrl,
  chainId,
  contracts: deployment.addresses,
  fromBlock: Math.min(...Object.values(deployment.blocks)),
});

/** A blob store as the chain room reads it. */
export const blobSourceOf = (blobs: BlobReader): BlobSource => ({
  blob: (_run, digest, limit) => blobs.get(digest, limit),
});

/** @throws UserError `RUN_AMBIGUOUS` */
export async function soleRun(client: CoordinatorClient, runId: string | undefined): Promise<RunId> {
  if (runId !== undefined) return asRunId(runId);
  const { runs } = await client.runs();
  const [only] = runs;
  if (!only || runs.length > 1)
    throw new UserError(
      "RUN_AMBIGUOUS",
      `The coordinator at ${client.url} has ${runs.length} runs: name one with --run.`,
    );
  return asRunId(only.runId);
}

/** A reader of the chain that a coordinator's run says it lives on. */
export async function recordReader(
  rpcUrl: string,
  coordinator: string,
  runId: string | undefined,
): Promise<ChainReader> {
  const client = createCoordinatorClient(coordinator);
  const view = await client.run(await soleRun(client, runId));
  return openReader({ rpcUrl, chainId: view.chainId, contracts: view.contracts, fromBlock: 0 });
}

const readJson = async (blobs: BlobReader, digest: Digest, what: string): Promise<unknown> =>
  parseJsonBounded(await blobs.get(digest, MAX_DOCUMENT_BYTES), MAX_DOCUMENT_BYTES, what);

/** Cumulative reward and proof of an account under the active root, from published documents that are checked against it. */
export async function rewardsOf(
  run: Pick<LocalRun, "modelId" | "blobs">,
  reader: ChainReader,
  account: Address,
): Promise<{ readonly cumulative: bigint; readonly proof: Hex[] } | undefined> {
  const active = await reader.activeRoot(run.modelId);
  if (!active) return undefined;
  const posted = (await reader.rootsOf(run.modelId)).findLast(
    ({ root, epoch }) => root === active.root && epoch === active.epoch,
  );
  if (!posted) return undefined;
  const manifest = parseDocument(
    "epoch manifest",
    EpochManifest,
    await readJson(run.blobs, posted.epochDigest, "The epoch manifest"),
  );
  const file = parseDocument(
    "rewards",
    RewardsFile,
    await readJson(run.blobs, asDigest(manifest.rewards), "The rewards"),
  );
  const tree = rewardTree(
    run.modelId,
    file.leaves.map((leaf) => ({ account: leaf.account, cumulative: BigInt(leaf.cumulative) })),
  );
  if (tree.root !== active.root)
    throw new UserError(
      "REWARDS_MISMATCH",
      `The published rewards of epoch ${active.epoch} do not have the active root ${active.root}.`,
    );
  return tree.proofOf(account);
}

/** The realisation that the run was made with. @throws UserError `NO_LOCAL_RUN` */
export function ownRealisation(run: LocalRun): Digest {
  const digest = run.file.settings?.["realisation"];
  if (typeof digest === "string") return asDigest(digest);
  throw new UserError(
    "NO_LOCAL_RUN",
    `${run.state} does not say which programs its run has: start anew with "npm start -- --fresh".`,
  );
}

/** What an account can claim under the active root, and what of its work earned nothing. */
import { type Address, type Digest, digestOfJson, type RewardView } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { errnoOf } from "../base/index.ts";
import {
  blobSourceOf,
  epochRewardsOf,
  isNotHad,
  rewardTreeOf,
  sumOfEpochs,
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

/** Puts the rewards under the active root back where they are lost: without them no epoch after it is computed or claimed. */
export async function restoreRewards(run: Run): Promise<void> {
  const { blobs, logger } = run.modules;
  const computed = activeEpoch(run)?.computed;
  if (!computed) return;
  const { manifest, rewards } = computed;
  // A flipped bit is a loss too, and so is what the disk does not read any more: only what has its digest is put in its place.
  const lost = await problemOf(blobs, rewards);
  if (lost === undefined) return;
  if (!isNotHad(lost) && errnoOf(lost) === undefined) throw lost;
  const sum = await sumOfEpochs(blobSourceOf(blobs), run.runId, manifest);
  const isWhole = digestOfJson(sum) === rewards;
  logger.error({ rewards, isWhole, err: lost }, "the rewards under the active root were lost");
  if (isWhole) await putDocument(blobs, sum);
}

interface Settled {
  readonly tree: ReturnType<typeof rewardTreeOf>;
  readonly unpaid: readonly UnpaidWork[];
}

/** What the newest active root says; putting it together takes a while, so it is kept. */
const settled = new WeakMap<Run, { readonly digest: Digest; readonly found: Promise<Settled> }>();

function settledUnder(run: Run, manifest: Digest, rewards: Digest): Promise<Settled> {
  const known = settled.get(run);
  if (known?.digest === manifest) return known.found;
  const { blobs } = run.modules;
  const read = async (): Promise<Settled> => {
    await restoreRewards(run);
    return {
      tree: rewardTreeOf(run.facts.modelId, await epochRewardsOf(blobSourceOf(blobs), run.runId, { rewards })),
      unpaid: (await unpaidWork(blobSourceOf(blobs), run.runId, manifest)).works,
    };
  };
  const found = read().catch((error: unknown) => {
    throw toldToStrangers(error, run.modules.logger);
  });
  settled.set(run, { digest: manifest, found });
  found.catch(() => settled.delete(run));
  return found;
}

/** @throws RefusedError ACCOUNT_UNKNOWN */
export async function rewardView(run: Run, account: Address): Promise<RewardView> {
  const record = activeEpoch(run);
  const under = record?.computed && (await settledUnder(run, record.computed.manifest, record.computed.rewards));
  const leaf = under?.tree.proofOf(account);
  const unpaid = (under?.unpaid ?? []).filter((work) => work.account === account).slice(0, MAX_UNPAID);
  if (!record || !under || (!leaf && unpaid.length === 0)) {
    throw new RefusedError(
      "ACCOUNT_UNKNOWN",
      `${getAddress(account)} has earned nothing under ${record ? "the active root" : "any active root"} yet, and there is no settled work of it.`,
    );
  }
  return {
    account: getAddress(account),
    epoch: record.epoch,
    root: under.tree.root,
    cumulative: (leaf?.cumulative ?? 0n).toString(),
    proof: leaf?.proof ?? [],
    unpaid: unpaid.map(({ epoch, round, worker, tokens, reason }) => ({
      epoch,
      round,
      worker: worker && getAddress(worker),
      tokens: tokens.toString(),
      reason,
    })),
  };
}

/**
 * Why work earned nothing: from the documents that validators attested to, each by its digest. Nobody has to trust whoever
 * shows it; whoever doubts it recomputes the epoch.
 */
import {
  type Address,
  type ContributionHead,
  asDigest,
  asRunId,
  EpochInputs,
  EpochManifest,
  fromWire,
  MAX_MANIFEST_BYTES,
  parseDocument,
  ReceiptsFile,
  type RunId,
  VerdictsFile,
  type ZeroReason,
  zeroReasonOf,
} from "@cotrain/sdk/protocol";

import { CotrainError } from "@cotrain/sdk/errors";
import { parseManifest } from "../storage/index.ts";
import { readJson } from "./evidence.ts";
import type { BlobSource } from "./ports.ts";

/** A worker's part in a round that earned nothing, or an account's part in an epoch. */
export interface UnpaidWork {
  readonly epoch: number;
  /** Checkpoint that the round led to; null for what is about a whole epoch. */
  readonly round: number | null;
  readonly account: Address;
  /** Null for what is about all of an account's workers. */
  readonly worker: Address | null;
  readonly tokens: bigint;
  readonly reason: ZeroReason;
}

export interface Unpaid {
  /** Newest first. */
  readonly works: readonly UnpaidWork[];
  /** What was not looked through: nothing; earlier epochs, which a larger number of them finds; those whose documents are gone. */
  readonly rest: "none" | "beyond" | "gone";
}

/** Epochs that are looked through where nobody says more, and what is read for each on average at most. */
export const UNPAID_EPOCHS = 16;
const HEADS = 32;
const MOST = 64;

/**
 * Everything that earned nothing in the newest epochs up to a manifest. What is not published any more is left out.
 * @param manifest digest of the epoch manifest under the active root
 * @param epochs manifests that are looked through
 * @throws what `blobs` throws but for missing blobs; UserError for a document that is not one
 */
export async function unpaidWork(
  blobs: BlobSource,
  runId: RunId,
  manifest: string,
  epochs = UNPAID_EPOCHS,
): Promise<Unpaid> {
  const found: UnpaidWork[] = [];
  const budget = { heads: epochs * HEADS };
  const most = epochs * MOST;
  let next: string | null = manifest;
  for (let seen = 0; next !== null && seen < epochs && budget.heads > 0 && found.length < most; seen++) {
    const digest: string = next;
    const document = await orMissing(async () =>
      parseDocument(
        "The epoch manifest",
        EpochManifest,
        await readJson(blobs, runId, digest, "the epoch manifest", MAX_MANIFEST_BYTES),
      ),
    );
    if (!document) return { works: found, rest: "gone" };
    found.push(...((await orMissing(() => unpaidUnder(blobs, runId, document, budget))) ?? []));
    next = document.previous;
  }
  const whole = next === null && budget.heads >= 0 && found.length <= most;
  return { works: found.slice(0, most), rest: whole ? "none" : "beyond" };
}

async function unpaidUnder(
  blobs: BlobSource,
  runId: RunId,
  manifest: EpochManifest,
  left: { heads: number },
): Promise<UnpaidWork[]> {
  const inputs = parseDocument(
    "The epoch's inputs",
    EpochInputs,
    await readJson(blobs, runId, manifest.inputs, "the epoch's inputs"),
  );
  const file = parseDocument(
    "The verdicts",
    VerdictsFile,
    await readJson(blobs, runId, manifest.verdicts, "the verdicts"),
  );
  const verdicts = file.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const found: UnpaidWork[] = [];
  for (const { epoch, budget, heads, contributions } of inputs.epochs.toReversed()) {
    for (const { account, contribution, amount } of contributions) {
      if (amount !== "0") continue;
      const reason = budget === "0" ? "noBudget" : "tooLittle";
      found.push({ epoch, round: null, account, worker: null, tokens: BigInt(contribution) / 10_000n, reason });
    }
    for (const head of heads.toReversed()) {
      left.heads -= 1;
      if (left.heads < 0) return found;
      const receipts = (await orMissing(() => receiptsOf(blobs, asRunId(head.runId), head.checkpointDigest))) ?? [];
      const one: ContributionHead = { head: head.head, paramsVersion: head.paramsVersion, receipts: [] };
      for (const { receipt, ack, tokens, outcome } of receipts) {
        const { worker, beneficiary } = receipt;
        const leaf = { receiptHash: ack.receiptHash, worker, beneficiary, tokens: BigInt(tokens), outcome };
        const reason = zeroReasonOf(one, leaf, verdicts, head.minParamsVersion);
        if (reason) found.push({ epoch, round: head.round, account: beneficiary, worker, tokens: leaf.tokens, reason });
      }
    }
  }
  return found;
}

/** The receipts of the round that led to a checkpoint. */
export async function receiptsOf(
  blobs: BlobSource,
  runId: RunId,
  checkpoint: string,
): Promise<ReceiptsFile["receipts"]> {
  const manifest = parseManifest(await blobs.blob(runId, asDigest(checkpoint), MAX_MANIFEST_BYTES));
  if (manifest.receipts === null) return [];
  const file = await readJson(blobs, runId, manifest.receipts, "the receipts");
  return parseDocument("The receipts", ReceiptsFile, file).receipts;
}

/** What `read` gives, undefined for what is not kept any more. */
export async function orMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CotrainError && /^(BLOB_MISSING|BLOB_NOT_FOUND)$/.test(error.code)) return undefined;
    throw error;
  }
}

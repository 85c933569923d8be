/**
 * Why work earned nothing: from the documents that validators attested to, each by its digest. Nobody has to trust whoever
 * shows it; whoever doubts it recomputes the epoch.
 */
import {
  type Address,
  aggregateRejected,
  type ContributionHead,
  asDigest,
  asRunId,
  type EpochManifest,
  fromWire,
  MAX_MANIFEST_BYTES,
  parseDocument,
  ReceiptsFile,
  type RunId,
  type ZeroReason,
  zeroReasonOf,
  MAX_DOCUMENT_BYTES,
} from "@cotrain/sdk/protocol";

import { errnoOf } from "../base/index.ts";
import { FormatError, parseManifest } from "../storage/index.ts";
import { epochInputsOf, epochManifestOf, epochVerdictsOf } from "./epochDocuments.ts";
import { isMalformed, readJson } from "./published.ts";
import type { BlobSource } from "./ports.ts";
import { isNotHad } from "./unreadable.ts";

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
  /** Newest first; last what stands under rejected heads, in the poster's own words. */
  readonly works: readonly UnpaidWork[];
  /** What was not looked through: nothing; earlier epochs, which a larger number of them finds; those whose documents are gone. */
  readonly rest: "none" | "beyond" | "gone";
}

/** Epochs that are looked through where nobody says more, and what is read for each on average at most. */
export const UNPAID_EPOCHS = 16;
const HEADS = 32;
const MOST = 64;
/** Under rejected heads may stand anything, of anybody: of these so many are read for each epoch on average, and so much. */
const REJECTED_HEADS = 2;
const REJECTED_BYTES = 4 << 20;

/**
 * Everything that earned nothing in the newest epochs up to a manifest. What is not published any more is left out.
 * @param manifest digest of the epoch manifest under the active root
 * @param epochs manifests that are looked through
 * @throws what `blobs` throws but for blobs that are missing, broken or not readable; UserError for a document that is not one
 */
export async function unpaidWork(
  blobs: BlobSource,
  runId: RunId,
  manifest: string,
  epochs = UNPAID_EPOCHS,
): Promise<Unpaid> {
  const found: UnpaidWork[] = [];
  // They come last: what validators attested to is shown whatever stands there.
  const rejected: UnpaidWork[] = [];
  const budget = { heads: epochs * HEADS, rejected: epochs * REJECTED_HEADS };
  const most = epochs * MOST;
  let next: string | null = manifest;
  for (let seen = 0; next !== null && seen < epochs && budget.heads > 0 && found.length < most; seen++) {
    const digest: string = next;
    const document = await orMissing(() => epochManifestOf(blobs, runId, digest));
    if (!document) return { works: [...found, ...rejected].slice(0, most), rest: "gone" };
    const under = await orMissing(() => unpaidUnder(blobs, runId, document, budget));
    found.push(...(under?.works ?? []));
    rejected.push(...(under?.rejected ?? []));
    next = document.previous;
  }
  const whole = next === null && budget.heads >= 0 && budget.rejected >= 0 && found.length + rejected.length <= most;
  return { works: [...found, ...rejected].slice(0, most), rest: whole ? "none" : "beyond" };
}

async function unpaidUnder(
  blobs: BlobSource,
  runId: RunId,
  manifest: EpochManifest,
  left: { heads: number; rejected: number },
): Promise<{ readonly works: UnpaidWork[]; readonly rejected: UnpaidWork[] }> {
  const inputs = await epochInputsOf(blobs, runId, manifest);
  const file = await epochVerdictsOf(blobs, runId, manifest);
  const verdicts = file.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const works: UnpaidWork[] = [];
  const rejected: UnpaidWork[] = [];
  for (const { epoch, budget, heads, contributions } of inputs.epochs.toReversed()) {
    for (const { account, contribution, amount } of contributions) {
      if (amount !== "0") continue;
      const reason = budget === "0" ? "noBudget" : "tooLittle";
      works.push({ epoch, round: null, account, worker: null, tokens: BigInt(contribution) / 10_000n, reason });
    }
    for (const head of heads.toReversed()) {
      left.heads -= 1;
      if (left.heads < 0) return { works, rejected };
      const isRejected = aggregateRejected(head.head, verdicts);
      if (isRejected && --left.rejected < 0) continue;
      const limit = isRejected ? REJECTED_BYTES : MAX_DOCUMENT_BYTES;
      const receipts = await receiptsOf(blobs, asRunId(head.runId), head.checkpointDigest, limit);
      const one: ContributionHead = { head: head.head, paramsVersion: head.paramsVersion, receipts: [] };
      for (const { receipt, ack, tokens, outcome } of receipts) {
        const { worker, beneficiary } = receipt;
        const leaf = { receiptHash: ack.receiptHash, worker, beneficiary, tokens: BigInt(tokens), outcome };
        const reason = zeroReasonOf(one, leaf, verdicts, head.minParamsVersion);
        const work = { epoch, round: head.round, account: beneficiary, worker, tokens: leaf.tokens };
        if (reason) (isRejected ? rejected : works).push({ ...work, reason });
      }
    }
  }
  return { works, rejected };
}

/** The receipts of the round that led to a checkpoint; none where its documents are not kept any more, or are none. */
export async function receiptsOf(
  blobs: BlobSource,
  runId: RunId,
  checkpoint: string,
  limit = MAX_DOCUMENT_BYTES,
): Promise<ReceiptsFile["receipts"]> {
  try {
    const manifest = parseManifest(await blobs.blob(runId, asDigest(checkpoint), MAX_MANIFEST_BYTES));
    if (manifest.receipts === null) return [];
    const file = await readJson(blobs, runId, manifest.receipts, "the receipts", limit);
    return parseDocument("The receipts", ReceiptsFile, file).receipts;
  } catch (error) {
    if (isLost(error) || isMalformed(error) || error instanceof FormatError) return [];
    throw error;
  }
}

/** Codes of a disk that cannot read what it holds. */
const BAD_SECTORS: ReadonlySet<string> = new Set(["EIO", "EUCLEAN", "EBADMSG"]);

/** A blob that is gone, broken, or not read by the disk any more. */
export const isLost = (error: unknown): boolean => isNotHad(error) || BAD_SECTORS.has(errnoOf(error) ?? "");

/** What `read` gives, undefined for what is not kept any more, broken, or what the disk does not read. */
async function orMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isLost(error)) return undefined;
    throw error;
  }
}

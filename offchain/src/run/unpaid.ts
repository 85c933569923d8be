/**
 * Why work earned nothing: from the documents that validators attested to, each by its digest. Nobody has to trust whoever
 * shows it; whoever doubts it recomputes the epoch.
 */
import {
  type Address,
  asModelId,
  aggregateRejected,
  epochAt,
  type ContributionHead,
  asDigest,
  asRunId,
  type EpochInputs,
  type EpochManifest,
  fromWire,
  MAX_MANIFEST_BYTES,
  parseDocument,
  type ReceiptLeaf,
  ReceiptsFile,
  type RunId,
  type Verdict,
  type ZeroReason,
  zeroReasonOf,
  MAX_DOCUMENT_BYTES,
} from "@cotrain/sdk/protocol";
import pLimit from "p-limit";

import { errnoOf } from "../base/index.ts";
import { FormatError, parseManifest } from "../storage/index.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import { epochInputsOf, epochManifestOf, epochVerdictsOf } from "./epochDocuments.ts";
import { isMalformed, readJson } from "./published.ts";
import type { BlobSource } from "./ports.ts";
import { rolledBackHeads } from "./standingHeads.ts";
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
  /** Newest first; last what stands under heads that were rejected or rolled back, in the poster's own words. */
  readonly works: readonly UnpaidWork[];
  /** What was not looked through: nothing; earlier epochs, which a larger number of them finds; those whose documents are gone. */
  readonly rest: "none" | "beyond" | "gone";
}

/** Epochs that are looked through where nobody says more, and what is read for each on average at most. */
export const UNPAID_EPOCHS = 16;
const HEADS = 32;
const MOST = 64;
/** Under heads that were rejected or rolled back may stand anything, of anybody: of these so many are read for each epoch on average, and so much. */
const REJECTED_HEADS = 2;
const REJECTED_BYTES = 4 << 20;

/** Receipts that are asked for at a time. */
const AT_ONCE = 8;

/** Where it is read from. */
export interface UnpaidModules {
  /** Which heads the run went back behind: documents do not say. */
  readonly reader: Pick<ChainReader, "headsSince" | "schedule">;
  readonly blobs: BlobSource;
}

/** Heads that a run went back behind and no root of its epochs paid, by those who ask for more than one manifest. */
function createRolledBack({ reader }: UnpaidModules) {
  const known = new Map<string, Promise<readonly PostedHead[]>>();
  const of = (runId: RunId): Promise<readonly PostedHead[]> => {
    const found = known.get(runId) ?? reader.headsSince(runId, 0).then((heads) => [...rolledBackHeads(heads)]);
    known.set(runId, found);
    return found;
  };
  return async (
    { modelId, runId, finished, fromEpoch, toEpoch }: EpochManifest,
    paid: ReadonlySet<string>,
  ): Promise<readonly (PostedHead & { readonly epoch: number })[]> => {
    const schedule = await reader.schedule(asModelId(modelId));
    const runs = await Promise.all([runId, ...finished.map((other) => other.runId)].map((id) => of(asRunId(id))));
    return runs
      .flat()
      .map((head) => ({ ...head, epoch: epochAt(schedule, head.anchoredAt) }))
      .filter(({ head, epoch }) => epoch >= fromEpoch && epoch <= toEpoch && !paid.has(head));
  };
}

/**
 * Everything that earned nothing in the newest epochs up to a manifest. What is not published any more is left out.
 * @param manifest digest of the epoch manifest under the active root
 * @param epochs manifests that are looked through
 * @throws what `blobs` throws but for blobs that are missing, broken or not readable; UserError for a document that is not one
 * @throws RetryableError where the chain is away
 */
export async function unpaidWork(
  modules: UnpaidModules,
  runId: RunId,
  manifest: string,
  epochs = UNPAID_EPOCHS,
): Promise<Unpaid> {
  const found: UnpaidWork[] = [];
  // They come last: what validators attested to is shown whatever stands there.
  const rejected: UnpaidWork[] = [];
  const budget = { heads: epochs * HEADS, rejected: epochs * REJECTED_HEADS };
  const most = epochs * MOST;
  const { blobs } = modules;
  const rolledBack = createRolledBack(modules);
  let next: string | null = manifest;
  for (let seen = 0; next !== null && seen < epochs && budget.heads > 0 && found.length < most; seen++) {
    const digest: string = next;
    const document = await orMissing(() => epochManifestOf(blobs, runId, digest));
    if (!document) return { works: [...found, ...rejected].slice(0, most), rest: "gone" };
    const under = await orMissing(() => unpaidUnder(blobs, runId, document, budget, rolledBack));
    found.push(...(under?.works ?? []));
    rejected.push(...(under?.rejected ?? []));
    next = document.previous;
  }
  const whole = next === null && budget.heads >= 0 && budget.rejected >= 0 && found.length + rejected.length <= most;
  return { works: [...found, ...rejected].slice(0, most), rest: whole ? "none" : "beyond" };
}

interface Under {
  readonly works: UnpaidWork[];
  /** Of heads that were rejected or rolled back. */
  readonly rejected: UnpaidWork[];
}

/** A head whose receipts are to be read. */
interface WantedHead {
  readonly epoch: number;
  readonly head: EpochInputs["epochs"][number]["heads"][number];
  readonly isRejected: boolean;
}

/** What an epoch's inputs tell by themselves, and heads whose receipts tell more, newest first, as long as the budget lasts. */
function* partsOf(
  inputs: EpochInputs,
  verdicts: readonly Verdict[],
  left: { heads: number; rejected: number },
): Generator<readonly UnpaidWork[] | WantedHead> {
  for (const { epoch, budget, heads, contributions } of inputs.epochs.toReversed()) {
    yield contributions
      .filter(({ amount }) => amount === "0")
      .map(({ account, contribution }) => {
        const reason = budget === "0" ? "noBudget" : "tooLittle";
        return { epoch, round: null, account, worker: null, tokens: BigInt(contribution) / 10_000n, reason };
      });
    for (const head of heads.toReversed()) {
      left.heads -= 1;
      if (left.heads < 0) return;
      const isRejected = aggregateRejected(head.head, verdicts);
      if (isRejected && --left.rejected < 0) continue;
      yield { epoch, head, isRejected };
    }
  }
}

async function unpaidUnder(
  blobs: BlobSource,
  runId: RunId,
  manifest: EpochManifest,
  left: { heads: number; rejected: number },
  rolledBackOf: ReturnType<typeof createRolledBack>,
): Promise<Under> {
  const [inputs, file] = await Promise.all([
    epochInputsOf(blobs, runId, manifest),
    epochVerdictsOf(blobs, runId, manifest),
  ]);
  const verdicts = file.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const works: UnpaidWork[] = [];
  const rejected: UnpaidWork[] = [];
  const paid = new Set<string>(inputs.epochs.flatMap(({ heads }) => heads.map(({ head }) => head)));
  for (const { epoch, ...head } of (await rolledBackOf(manifest, paid)).toReversed()) {
    if (--left.heads < 0) return { works, rejected };
    if (--left.rejected < 0) break;
    const receipts = await receiptsOf(blobs, asRunId(head.runId), head.checkpointDigest, REJECTED_BYTES);
    rejected.push(...worksOf(epoch, head, receipts, () => "rolledBack"));
  }
  // Whoever serves them elsewhere may take its time for each.
  const some = pLimit(AT_ONCE);
  const reading = [...partsOf(inputs, verdicts, left)].map(async (part) => {
    if (!("head" in part)) return { isRejected: false, found: part };
    const { epoch, head, isRejected } = part;
    const limit = isRejected ? REJECTED_BYTES : MAX_DOCUMENT_BYTES;
    const one: ContributionHead = { head: head.head, paramsVersion: head.paramsVersion, receipts: [] };
    const why = (leaf: ReceiptLeaf) => zeroReasonOf(one, leaf, verdicts, head.minParamsVersion);
    const read = () => receiptsOf(blobs, asRunId(head.runId), head.checkpointDigest, limit);
    return { isRejected, found: await some(async () => worksOf(epoch, head, await read(), why)) };
  });
  for (const { isRejected, found } of await Promise.all(reading)) (isRejected ? rejected : works).push(...found);
  return { works, rejected };
}

/** What earned nothing of the receipts under a head. */
function worksOf(
  epoch: number,
  { round }: Pick<PostedHead, "round">,
  receipts: ReceiptsFile["receipts"],
  why: (leaf: ReceiptLeaf) => ZeroReason | undefined,
): UnpaidWork[] {
  return receipts.flatMap(({ receipt, ack, tokens, outcome }) => {
    const { worker, beneficiary } = receipt;
    const leaf = { receiptHash: ack.receiptHash, worker, beneficiary, tokens: BigInt(tokens), outcome };
    const reason = why(leaf);
    return reason ? [{ epoch, round, account: beneficiary, worker, tokens: leaf.tokens, reason }] : [];
  });
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

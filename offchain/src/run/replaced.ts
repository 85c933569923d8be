/**
 * Receipts under heads that a run went back behind. They count where a root paid them that was active already; the same receipt under
 * the head that took the place of such a one would be paid twice. It earns nothing there: were it an error, whoever posts a paid round
 * again would end all pay.
 */
import { aggregateRejected, epochAt, fromWire, type ModelId, type ReceiptLeaf } from "@cotrain/sdk/protocol";

import { leftOut, type ChainReader, type PostedHead } from "../chain/index.ts";
import type { HeadDocuments, HeadDocumentsCache } from "./documents.ts";
import { epochInputsOf, epochManifestOf, epochVerdictsOf } from "./epochDocuments.ts";
import type { BlobSource, HeadWithParent } from "./ports.ts";
import { rootsUpTo } from "./rewards.ts";
import { DocumentError, isMalformed } from "./published.ts";
import type { Standing } from "./standing.ts";

type AnyHead = HeadWithParent<PostedHead | undefined>;

interface Replacing {
  readonly head: PostedHead;
  /** Heads of the same round before it. */
  readonly replaced: readonly AnyHead[];
}

interface Modules {
  readonly reader: ChainReader;
  readonly documents: HeadDocumentsCache;
  readonly blobs: BlobSource;
}

/** What says which epochs were paid. */
type Settled = Pick<Standing, "schedule" | "active">;

/** Receipts that a head was paid for; none where its root left it out, or validators rejected it. */
async function paidUnder(
  { reader, documents, blobs }: Modules,
  modelId: ModelId,
  { schedule, active }: Settled,
  { head: old, parent }: AnyHead,
): Promise<readonly ReceiptLeaf[]> {
  const epoch = epochAt(schedule, old.anchoredAt);
  if (!active || epoch > active.epoch) return [];
  const root = (await rootsUpTo(reader, modelId, active))?.find((each) => each.epoch >= epoch);
  if (!root) throw leftOut();
  const manifest = await epochManifestOf(blobs, root.runId, root.epochDigest);
  const { epochs } = await epochInputsOf(blobs, root.runId, manifest);
  if (!epochs.some(({ heads }) => heads.some(({ head }) => head === old.head))) return [];
  const { verdicts } = await epochVerdictsOf(blobs, root.runId, manifest);
  const said = verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  if (aggregateRejected(old.head, said)) return [];
  return (await documents.read(blobs, old, parent)).leaves;
}

/** @throws DocumentError where a document of what was paid is none; what `blobs` throws; RetryableError where the chain is away */
async function receiptsPaid(
  modules: Modules,
  modelId: ModelId,
  settled: Settled,
  { head: { round, runId }, replaced }: Replacing,
): Promise<ReadonlySet<string>> {
  const receipts = new Set<string>();
  try {
    for (const old of replaced)
      for (const { receiptHash } of await paidUnder(modules, modelId, settled, old)) receipts.add(receiptHash);
  } catch (error) {
    if (!isMalformed(error)) throw error;
    const place = `Checkpoint ${round} of run ${runId}`;
    throw new DocumentError(
      "DOCUMENT_MALFORMED",
      `${place}: what was paid of its round before is malformed: ${error.message}`,
    );
  }
  return receipts;
}

/**
 * What was paid of a head's round before the run went back is among what stands behind it: where that is gone, nobody can compute its
 * epoch, nor a later one. So who judges a head looks whether it is there.
 * @throws DocumentError where a document of it is none; what `blobs` throws; RetryableError where the chain is away
 */
export async function requireTurns(modules: Modules, modelId: ModelId, head: PostedHead): Promise<void> {
  const { reader } = modules;
  const heads = await reader.headsSince(head.runId, 0);
  const replaced = heads
    .map((each, i): AnyHead => ({ head: each, parent: heads[i - 1] }))
    .filter((each) => each.head.round === head.round && each.head.sequence < head.sequence);
  if (replaced.length === 0) return;
  const [schedule, active] = await Promise.all([reader.schedule(modelId), reader.activeRoot(modelId)]);
  await receiptsPaid(modules, modelId, { schedule, active }, { head, replaced });
}

/**
 * @param links heads that stand, in the order of the chain
 * @param behind what stands behind those that count, by head
 * @returns receipts that were paid before the run went back, by the head of the round's new turn; they earn nothing there
 * @throws as {@link requireTurns}
 */
export async function paidBefore(
  modules: Modules,
  modelId: ModelId,
  standing: Standing,
  links: readonly Replacing[],
  behind: ReadonlyMap<string, Pick<HeadDocuments, "leaves">>,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const link of links) {
    const { head } = link.head;
    if ((behind.get(head)?.leaves ?? []).length === 0) continue;
    const receipts = await receiptsPaid(modules, modelId, standing, link);
    if (receipts.size > 0) found.set(head, receipts);
  }
  return found;
}

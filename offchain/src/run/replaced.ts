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

/** Receipts that a head was paid for; none where its root left it out, or validators rejected it. */
async function paidUnder(
  { reader, documents, blobs }: Modules,
  modelId: ModelId,
  { schedule, active }: Standing,
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

/**
 * @param links heads that stand, in the order of the chain
 * @param behind what stands behind those that count, by head
 * @returns receipts that were paid before the run went back, by the head of the round's new turn; they earn nothing there
 * @throws what `blobs` throws; RetryableError where the chain is away
 */
export async function paidBefore(
  modules: Modules,
  modelId: ModelId,
  standing: Standing,
  links: readonly Replacing[],
  behind: ReadonlyMap<string, Pick<HeadDocuments, "leaves">>,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const { head, replaced } of links) {
    if ((behind.get(head.head)?.leaves ?? []).length === 0) continue;
    const receipts = new Set<string>();
    for (const old of replaced)
      for (const { receiptHash } of await paidUnder(modules, modelId, standing, old)) receipts.add(receiptHash);
    if (receipts.size > 0) found.set(head.head, receipts);
  }
  return found;
}

/**
 * Receipts under heads that a run went back behind. They count where a root paid them that was active already; the same receipt under
 * the head that took the place of such a one would be paid twice.
 */
import {
  aggregateRejected,
  epochAt,
  fromWire,
  type ModelId,
  type ReceiptLeaf,
  type RunId,
} from "@cotrain/sdk/protocol";

import { leftOut, type ChainReader, type PostedHead } from "../chain/index.ts";
import type { HeadDocumentsCache } from "./documents.ts";
import { epochInputsOf, epochManifestOf, epochVerdictsOf } from "./epochDocuments.ts";
import type { BlobSource, HeadWithParent } from "./ports.ts";
import { DocumentError } from "./published.ts";
import { rootsUpTo } from "./rewards.ts";
import type { Standing } from "./standing.ts";

type AnyHead = HeadWithParent<PostedHead | undefined>;

interface Replacing {
  readonly head: PostedHead;
  readonly stands: boolean;
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
 * @param behind what stands behind the heads that count, by head
 * @throws DocumentError `DOCUMENT_RECEIPT` where a receipt was paid before the run went back; what `blobs` throws
 */
export async function requireUnpaid(
  modules: Modules,
  modelId: ModelId,
  standing: Standing,
  links: readonly Replacing[],
  behind: ReadonlyMap<string, { readonly leaves: readonly ReceiptLeaf[] }>,
): Promise<void> {
  for (const { head, stands, replaced } of links) {
    const leaves = (stands && behind.get(head.head)?.leaves) || [];
    if (leaves.length === 0) continue;
    for (const old of replaced) {
      const paid = new Set((await paidUnder(modules, modelId, standing, old)).map(({ receiptHash }) => receiptHash));
      const again = leaves.find(({ receiptHash }) => paid.has(receiptHash));
      if (again) throw paidTwice(head.runId, head, again);
    }
  }
}

const paidTwice = (runId: RunId, { round, head }: PostedHead, { worker, receiptHash }: ReceiptLeaf): DocumentError =>
  new DocumentError(
    "DOCUMENT_RECEIPT",
    `Checkpoint ${round} of run ${runId}: a receipt of ${worker} was paid before the run went back behind it.`,
    { details: { head, receiptHash } },
  );

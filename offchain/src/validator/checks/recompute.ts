/** Recomputes one fragment of a head from published payloads, as the coordinator should have. */
import {
  asDigest,
  type CheckpointFragment,
  type Definition,
  type Digest,
  digestOfJson,
  MAX_MANIFEST_BYTES,
  type RunParams,
  type ScreeningFile,
} from "@cotrain/sdk/protocol";

import { RetryableError } from "../../base/index.ts";
import type { ChainReader, PostedHead } from "../../chain/index.ts";
import {
  blamesByMeasure,
  type BlobSource,
  createRecordReader,
  type HeadDocuments,
  type HeadWithParent,
  DocumentError,
  isWrong,
  type PayloadPlace,
  problemOfRecord,
  problemOfSample,
  problemOfUnreadable,
  readMeasured,
  readScreening,
  requireMeasures,
  wasAdmitted,
} from "../../run/index.ts";
import {
  dropsMomentum,
  type FragmentPayload,
  fragmentLayouts,
  parametersNorm,
  reduceFragment,
  sourceOf,
} from "../../diloco/index.ts";
import { fragmentOf, parseFragment, parseManifest } from "../../storage/index.ts";

export interface AggregateCheckInput {
  readonly head: PostedHead;
  readonly parent: PostedHead;
  /** The run's heads before it, from checkpoint 0 to the parent. */
  readonly before: readonly PostedHead[];
  readonly documents: HeadDocuments;
  readonly definition: Definition;
  /** Parameters of `head.paramsVersion`. */
  readonly params: RunParams;
  /** Whether the registry ever admitted a build to the run, withdrawn or not. */
  readonly admitted: (build: string) => Promise<boolean>;
  /** Drawn by sortition. */
  readonly fragment: number;
}

/** What the chain says of a head, which its fragments are held against. @throws RetryableError `CHAIN_MOVED` */
export async function checkedAgainst(
  reader: ChainReader,
  { head, parent }: HeadWithParent,
  documents: HeadDocuments,
  definition: Definition,
): Promise<Omit<AggregateCheckInput, "fragment">> {
  const params = await reader.paramsOf(head.runId, head.paramsVersion);
  const heads = await reader.headsSince(head.runId, 0);
  const at = heads.findIndex((each) => each.head === head.head);
  if (at < 0) throw new RetryableError("CHAIN_MOVED", `The chain holds checkpoint ${head.round} no more.`);
  const admitted = (build: string): Promise<boolean> => wasAdmitted(reader, head.runId, build);
  return { head, parent, before: heads.slice(0, at), documents, definition, params, admitted };
}

export interface AggregateFinding {
  readonly holds: boolean;
  /** Why not, in one sentence; empty when it holds. */
  readonly reason: string;
  /** sha256 of the canonical JSON of what was compared. */
  readonly evidence: Digest;
}

const sameShard = (a: CheckpointFragment, b: CheckpointFragment): boolean =>
  a.digest === b.digest && a.parameters.digest === b.parameters.digest && a.outer.digest === b.outer.digest;

/**
 * @throws what `blobs` throws when something is not to be had: then there is no verdict yet. Everything that is had and wrong
 *   makes `holds` false.
 */
export async function checkAggregate(blobs: BlobSource, input: AggregateCheckInput): Promise<AggregateFinding> {
  const { head, fragment, documents } = input;
  const published = documents.manifest.fragments[fragment];
  const finding = (recomputed: CheckpointFragment | null, reason: string): AggregateFinding => ({
    holds: reason === "",
    reason,
    evidence: digestOfJson({ version: 1, head: head.head, fragment, published: published ?? null, recomputed }),
  });
  try {
    if (!published) return finding(null, `There is no fragment ${fragment} in its manifest.`);
    const recomputed = await recompute(blobs, input);
    if (sameShard(published, recomputed)) return finding(recomputed, "");
    return finding(recomputed, `Fragment ${fragment} is ${published.digest}; its payloads make ${recomputed.digest}.`);
  } catch (error) {
    if (isWrong(error)) return finding(null, error.message);
    throw error;
  }
}

const require = (holds: boolean, what: string): void => {
  if (!holds) throw new DocumentError("DOCUMENT_AGGREGATE", what);
};

async function recompute(blobs: BlobSource, input: AggregateCheckInput): Promise<CheckpointFragment> {
  const { head, parent, documents, definition, params, fragment } = input;
  const { table } = definition;
  const parentBytes = await blobs.blob(head.runId, parent.checkpointDigest, MAX_MANIFEST_BYTES);
  const parentManifest = parseManifest(parentBytes, table);
  const before = parentManifest.fragments[fragment];
  const layout = fragmentLayouts(table)[fragment];
  if (!before || !layout)
    throw new DocumentError("DOCUMENT_AGGREGATE", `The checkpoint before has no fragment ${fragment}.`);
  const shard = await blobs.blob(head.runId, asDigest(before.digest), before.bytes);
  const state = parseFragment(shard, table, before);

  const place = { head, parent: parentManifest, definition, params };
  const receipts = documents.file?.receipts ?? [];
  const screened = await screening(blobs, input, place);
  const requireNorm = (of: number, parameters: Float32Array): void =>
    require(screened.theta[of] ===
      parametersNorm(parameters), `The screening gives fragment ${of} of the checkpoint before another norm.`);
  requireNorm(fragment, state.params);
  const payloads: FragmentPayload[] = [];
  for (const [i, { receipt, tokens, outcome }] of receipts.entries()) {
    const entry = screened.workers[i]?.fragments[fragment];
    // Who could not be read was not measured; `screening` has looked whether that is so.
    if (!entry) {
      require(outcome !== 0, `The payload of ${receipt.worker} was aggregated without being measured.`);
      continue;
    }
    // Also of those that are left out: whoever was, was so for what it sent.
    const payload = await readMeasured(blobs, place, receipt, entry, fragment);
    if (outcome !== 0) continue;
    const { clipPpm } = entry;
    const { worker, steps } = receipt;
    payloads.push({ worker, tokens: Number(tokens), steps, source: sourceOf(payload), clipPpm });
  }
  // Whose pay is taken for what was measured must not have lost it for a fragment that nobody drew.
  if (blamesByMeasure(receipts)) {
    for (const other of parentManifest.fragments) {
      if (other.index === fragment) continue;
      const bytes = await blobs.blob(head.runId, asDigest(other.digest), other.bytes);
      requireNorm(other.index, parseFragment(bytes, table, other).params);
    }
    await requireMeasures(blobs, place, receipts, screened.workers, fragment);
  }
  const anew = dropsMomentum(screened.gate, definition.screening);
  const after = await reduceFragment({ state, payloads, rules: params, round: head.round - 1, anew });
  return fragmentOf(table, fragment, after);
}

/** The record of the round's screening, which must follow from its measurements and from the rounds before. */
async function screening(
  blobs: BlobSource,
  { head, before, documents, definition, params, admitted }: AggregateCheckInput,
  place: PayloadPlace,
): Promise<ScreeningFile> {
  const { file: receipts, manifest } = documents;
  if (!receipts || manifest.screening === null)
    throw new DocumentError("DOCUMENT_SCREENING", "Its manifest names no screening of its round.");
  const file = await readScreening(blobs, head.runId, manifest.screening);
  const { paramsVersion } = head;
  const check = { definition, params, paramsVersion, file, receipts };
  const problem = await problemOfRecord(createRecordReader(blobs), before, check);
  if (problem !== "") throw new DocumentError("DOCUMENT_SCREENING", problem);
  const sample = await problemOfSample(blobs, { runId: head.runId, definition, admitted, gate: file.gate });
  if (sample !== "") throw new DocumentError("DOCUMENT_SCREENING", sample);
  const forged = await problemOfUnreadable(blobs, place, receipts.receipts, file.workers);
  if (forged !== "") throw new DocumentError("DOCUMENT_SCREENING", forged);
  return file;
}

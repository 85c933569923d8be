/**
 * What stands behind a head: its checkpoint's manifest and the receipts of the round that led there, each checked against
 * the digest on-chain and every signature against its signer. Coordinator, validators and `verify` share it.
 */
import {
  type CheckpointManifest,
  innerStepsOf,
  MAX_MANIFEST_BYTES,
  outcomeCode,
  parseDocument,
  type ReceiptLeaf,
  ReceiptsFile,
  receiptsRoot,
  type RunId,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { RetryableError, roundNumber } from "../base/index.ts";
import { parseManifest } from "../storage/index.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import type { BlobSource } from "./ports.ts";
import { DocumentError, fitDefinition, isMalformed, readJson, type RunDocuments, runDocuments } from "./published.ts";
import { verifyReceipts } from "./receipts.ts";
import { addRound, type Positions, sharer, trainedIn } from "./positions.ts";
import { isRollback, standingHeads } from "./standingHeads.ts";

/** What stands behind one head. */
export interface HeadDocuments {
  readonly manifest: CheckpointManifest;
  /** Null for checkpoint 0, and for a rollback: no round led there. */
  readonly file: ReceiptsFile | null;
  /** Leaves of the head's receiptsRoot, by ascending worker. */
  readonly leaves: readonly ReceiptLeaf[];
  /** Of a rollback the earlier head whose checkpoint the run goes on from; undefined for others. */
  readonly target?: PostedHead;
}

/**
 * Reads and verifies the documents of one head.
 * @param parent the link before it, undefined for checkpoint 0
 * @throws DocumentError; what `blobs` throws for what is missing or tampered with
 */
export async function readHeadDocuments(
  reader: ChainReader,
  blobs: BlobSource,
  head: PostedHead,
  parent: PostedHead | undefined,
  documents = runDocuments(reader, blobs, head.runId),
): Promise<HeadDocuments> {
  try {
    return await readDocuments(reader, blobs, head, parent, documents);
  } catch (error) {
    if (!isMalformed(error)) throw error;
    const place = `Checkpoint ${head.round} of run ${head.runId}`;
    throw new DocumentError("DOCUMENT_MALFORMED", `${place}: a document of it is malformed: ${error.message}`);
  }
}

/** @throws DocumentError `DOCUMENT_RECEIPT` where a worker of the round was given sequences that another had */
async function requireOwnData(head: PostedHead, file: ReceiptsFile, documents: RunDocuments): Promise<void> {
  const worker = file.receipts.length > 1 ? await sharer(file, head.runId, await documents.sequences()) : undefined;
  if (worker === undefined) return;
  const place = `Round ${roundNumber(head.round - 1)} of run ${head.runId}, receipt of ${worker}`;
  const details = { head: head.head, worker };
  throw new DocumentError("DOCUMENT_RECEIPT", `${place}: it was given sequences that another had.`, { details });
}

/** Heads that stood when this one was posted, oldest first. @throws RetryableError `CHAIN_MOVED` */
async function standingBefore(reader: ChainReader, head: PostedHead): Promise<readonly PostedHead[]> {
  const heads = await reader.headsSince(head.runId, 0);
  const at = heads.findIndex((each) => each.head === head.head);
  if (at < 0) throw new RetryableError("CHAIN_MOVED", `The chain holds link ${head.sequence} no more.`);
  return standingHeads(heads.slice(0, at));
}

/** The head that a rollback goes back to. @throws DocumentError `DOCUMENT_MANIFEST`; RetryableError `CHAIN_MOVED` */
async function requireTarget(reader: ChainReader, head: PostedHead): Promise<PostedHead> {
  const target = (await standingBefore(reader, head)).find(({ round }) => round === head.round);
  if (target?.checkpointDigest === head.checkpointDigest) return target;
  throw new DocumentError(
    "DOCUMENT_MANIFEST",
    `Checkpoint ${head.round} of run ${head.runId}: it goes back to a checkpoint that the run does not have.`,
    { details: { head: head.head } },
  );
}

async function readDocuments(
  reader: ChainReader,
  blobs: BlobSource,
  head: PostedHead,
  parent: PostedHead | undefined,
  documents: RunDocuments,
): Promise<HeadDocuments> {
  const place = `Checkpoint ${head.round} of run ${head.runId}`;
  const require = (holds: boolean, what: string): void => {
    if (!holds) throw new DocumentError("DOCUMENT_MANIFEST", `${place}: ${what}.`, { details: { head: head.head } });
  };
  const definition = await documents.definition();
  const manifestOf = async ({ checkpointDigest }: PostedHead): Promise<CheckpointManifest> =>
    parseManifest(await blobs.blob(head.runId, checkpointDigest, MAX_MANIFEST_BYTES), definition.table);
  const isBack = isRollback(head, parent);
  // Before its manifest is asked for: the contract takes any digest, and nobody has to have what the run does not.
  const target = isBack ? await requireTarget(reader, head) : undefined;
  const manifest = await manifestOf(head);
  require(manifest.runId === head.runId, "its manifest belongs to another run");
  require(manifest.round === head.round, `its manifest says checkpoint ${manifest.round}`);
  if (target) return { manifest, file: null, leaves: [], target };
  require(manifest.paramsVersion ===
    head.paramsVersion, `its manifest says parameters ${manifest.paramsVersion}, its head ${head.paramsVersion}`);
  require(manifest.parent === (parent?.checkpointDigest ?? null), "its manifest names another checkpoint before it");
  if (!parent) {
    require(manifest.receipts === null && head.receiptsRoot === zeroHash, "the first checkpoint has receipts");
    require(manifest.screening === null, "the first checkpoint has a screening");
    require(manifest.step === 0 && manifest.tokens === "0", "the first checkpoint was trained");
    return { manifest, file: null, leaves: [] };
  }
  require(head.round === parent.round + 1, `it follows checkpoint ${parent.round}`);
  // Also of a round in which nobody's work counts: nothing else tells what became of it.
  if (manifest.receipts === null || manifest.screening === null)
    throw new DocumentError("DOCUMENT_MANIFEST", `${place}: its manifest names no receipts or no screening.`, {
      details: { head: head.head },
    });
  const before = await manifestOf(parent);
  const params = await reader.paramsOf(head.runId, head.paramsVersion);
  const step = before.step + innerStepsOf(params, head.round - 1);
  require(manifest.step === step, `its manifest says step ${manifest.step}, where ${step} is due`);
  const file = parseDocument(
    "receipts",
    ReceiptsFile,
    await readJson(blobs, head.runId, manifest.receipts, "the receipts"),
  );
  const leaves = await verifyReceipts(reader, file, head, parent, { definition, params, before, documents });
  await requireOwnData(head, file, documents);
  const aggregated = leaves.filter(({ outcome }) => outcome === outcomeCode.aggregated);
  const tokens = aggregated.reduce((sum, leaf) => sum + leaf.tokens, BigInt(before.tokens));
  require(BigInt(manifest.tokens) === tokens, `its manifest says ${manifest.tokens} tokens, where ${tokens} are due`);
  require(receiptsRoot(leaves) === head.receiptsRoot, "its receipts do not have the root that its head names");
  return { manifest, file, leaves };
}

/**
 * Holds a round's data against what earlier rounds of the run were trained on.
 * @returns what both were
 * @throws DocumentError `DOCUMENT_RECEIPT`
 */
export function requireNewData(head: PostedHead, { file }: Pick<HeadDocuments, "file">, before: Positions): Positions {
  const { sum, problem } = addRound(before, file ? trainedIn(file) : []);
  if (problem === "") return sum;
  const place = `Round ${roundNumber(head.round - 1)} of run ${head.runId}`;
  throw new DocumentError("DOCUMENT_RECEIPT", `${place}: ${problem}.`, { details: { head: head.head } });
}

/**
 * HeadDocuments by head, each verified once: an epoch and the attestations after it read the same heads again and again. A head is
 * held against those before it that were read here, as far as they follow each other.
 */
export interface HeadDocumentsCache {
  read(blobs: BlobSource, head: PostedHead, parent: PostedHead | undefined): Promise<HeadDocuments>;
}

/** @param files the newest first */
const addedTo = (sum: Positions, files: readonly HeadDocuments[]): Positions =>
  files.reduceRight<Positions>((all, { file }) => addRound(all, file ? trainedIn(file) : []).sum, sum);

/** Heads of which {@link createHeadDocumentsCache} keeps the positions up to there: the newest of the runs of a model. */
const MAX_SUMS = 8;

export function createHeadDocumentsCache(reader: ChainReader, capacity = 1_024): HeadDocumentsCache {
  const known = new Map<string, Promise<HeadDocuments>>();
  const ofRuns = new Map<RunId, Promise<RunDocuments>>();
  /** Positions of the rounds up to the newest heads; others are added up again. */
  const sums = new Map<string, Positions>();

  /** @throws DocumentError of a run that is not fit to be judged */
  function documentsOf(blobs: BlobSource, runId: RunId): Promise<RunDocuments> {
    const found = ofRuns.get(runId);
    if (found) return found;
    const looking = fitDefinition({ reader, blobs }, runId).then(() => runDocuments(reader, blobs, runId));
    ofRuns.set(runId, looking);
    looking.catch(() => ofRuns.delete(runId));
    return looking;
  }

  /**
   * What the rounds up to a head were trained on, as far as they were read. What was trained in rounds that were rolled back is trained
   * anew, or is not in the checkpoint. Which these are the chain says: of a rollback nothing needs to be had.
   */
  async function before(head: PostedHead): Promise<Positions> {
    const files: HeadDocuments[] = [];
    for (const link of (await standingBefore(reader, head)).toReversed()) {
      const sum = sums.get(link.head);
      if (sum) return addedTo(sum, files);
      const found = await known.get(link.head)?.catch(() => undefined);
      if (found) files.push(found);
    }
    return addedTo([], files);
  }

  async function read(blobs: BlobSource, head: PostedHead, parent: PostedHead | undefined): Promise<HeadDocuments> {
    const ofRun = await documentsOf(blobs, head.runId);
    if (isRollback(head, parent)) return readHeadDocuments(reader, blobs, head, parent, ofRun);
    // What is not there costs nothing more: who has the poster's key posts thousands of heads for little.
    const documents = await readHeadDocuments(reader, blobs, head, parent, ofRun);
    const earlier = await before(head);
    // Those after a head that does not hold are held against those before it.
    sums.set(head.head, earlier);
    const [oldest] = sums.keys();
    if (sums.size > MAX_SUMS && oldest !== undefined) sums.delete(oldest);
    sums.set(head.head, requireNewData(head, documents, earlier));
    return documents;
  }

  return {
    read: (blobs, head, parent) => {
      const found = known.get(head.head);
      if (found) return found;
      const documents = read(blobs, head, parent);
      known.set(head.head, documents);
      // A blob that was missing may be there next time.
      documents.catch(() => known.delete(head.head));
      const [oldest] = known.keys();
      if (known.size > capacity && oldest !== undefined) known.delete(oldest);
      return documents;
    },
  };
}

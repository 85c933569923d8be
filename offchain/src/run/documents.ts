/**
 * What stands behind a head: its checkpoint's manifest and the receipts of the round that led there, each checked against
 * the digest on-chain and every signature against its signer. Coordinator, validators and `verify` share it.
 */
import { CoordinatorError, CotrainError, ProtocolError } from "@cotrain/sdk/errors";
import {
  type Address,
  asDigest,
  commitmentLeaves,
  type CheckpointManifest,
  Definition,
  digestOfJson,
  domainFor,
  fromWire,
  hashReceipt,
  innerStepsOf,
  MAX_MANIFEST_BYTES,
  outcomeCode,
  parseDocument,
  Build,
  type ReceiptLeaf,
  ReceiptsFile,
  receiptsRoot,
  recoverSigner,
  type RunId,
  type RunParams,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { type ErrorOptions, parseJsonBounded, roundNumber, UserError } from "../base/index.ts";
import { parseManifest } from "../storage/index.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import type { BlobSource } from "./ports.ts";
import { addRound, overlap, type Positions, trainedIn } from "./positions.ts";

/** Documents of JSON other than manifests: receipts, verdicts, rewards. */
export const MAX_DOCUMENT_BYTES = 64 << 20;

/** A published document is not what the chain or its signers say. */
export class DocumentError extends UserError {
  override readonly name = "DocumentError";
  constructor(code: `DOCUMENT_${string}`, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

/** What a coordinator calls an error is its word, and says nothing about bytes that nobody has seen. */
export const isItsWord = (error: unknown): boolean => error instanceof CoordinatorError;

const MALFORMED = new Set(["JSON_INVALID", "JSON_TOO_LARGE", "BLOB_TOO_LARGE"]);
/** A published document is there, and is none. Of an answer that is cut as too long nobody knows whether it is the document. */
export const isMalformed = (error: unknown): error is CotrainError =>
  error instanceof ProtocolError || (error instanceof CotrainError && MALFORMED.has(error.code) && !isItsWord(error));

/** What stands behind one head. */
export interface HeadDocuments {
  readonly manifest: CheckpointManifest;
  /** Null for checkpoint 0. */
  readonly file: ReceiptsFile | null;
  /** Leaves of the head's receiptsRoot, by ascending worker. */
  readonly leaves: readonly ReceiptLeaf[];
}

/** A document's JSON, its digest verified by the source. */
export async function readJson(
  blobs: BlobSource,
  run: PostedHead["runId"],
  digest: string,
  what: string,
  limit = MAX_DOCUMENT_BYTES,
): Promise<unknown> {
  return parseJsonBounded(await blobs.blob(run, asDigest(digest), limit), limit, what);
}

/** What a run's rounds are held against beside the chain: each document is read when first needed, once. */
export interface RunDocuments {
  definition(): Promise<Definition>;
  /** Undefined for one that the registry never admitted; withdrawn or not makes no difference. */
  build(digest: string): Promise<Build | undefined>;
}

/** Whether the registry ever admitted a build to a run, withdrawn or not. */
export const wasAdmitted = async (reader: ChainReader, runId: RunId, build: string): Promise<boolean> =>
  (await reader.buildsOf(runId, asDigest(build))).includes(asDigest(build));

export function runDocuments(reader: ChainReader, blobs: BlobSource, runId: RunId): RunDocuments {
  let definition: Promise<Definition> | undefined;
  const builds = new Map<string, Promise<Build | undefined>>();
  const readDefinition = async (): Promise<Definition> => {
    const { definition: digest } = await reader.run(runId);
    return parseDocument("definition", Definition, await readJson(blobs, runId, digest, "the definition"));
  };
  const readBuild = async (digest: string): Promise<Build | undefined> => {
    if (!(await wasAdmitted(reader, runId, digest))) return undefined;
    const found = parseDocument("build", Build, await readJson(blobs, runId, digest, "the build"));
    if (found.definition === (await reader.run(runId)).definition) return found;
    throw new DocumentError("DOCUMENT_BUILD", `Build ${digest} is of another definition than run ${runId}.`);
  };
  return {
    definition: () => {
      const reading = (definition ??= readDefinition());
      reading.catch(() => (definition = undefined));
      return reading;
    },
    build: (digest) => {
      const reading = builds.get(digest) ?? readBuild(digest);
      builds.set(digest, reading);
      // What was not admitted, or not to be had, may be next time.
      const forget = (): void => void builds.delete(digest);
      reading.then((found) => found ?? forget(), forget);
      return reading;
    },
  };
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
  const manifest = await manifestOf(head);
  require(manifest.runId === head.runId, "its manifest belongs to another run");
  require(manifest.round === head.round, `its manifest says checkpoint ${manifest.round}`);
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
  const aggregated = leaves.filter(({ outcome }) => outcome === outcomeCode.aggregated);
  const tokens = aggregated.reduce((sum, leaf) => sum + leaf.tokens, BigInt(before.tokens));
  require(BigInt(manifest.tokens) === tokens, `its manifest says ${manifest.tokens} tokens, where ${tokens} are due`);
  require(receiptsRoot(leaves) === head.receiptsRoot, "its receipts do not have the root that its head names");
  return { manifest, file, leaves };
}

/** What the assignments of a round must be made of. */
export interface RoundRules {
  readonly definition: Pick<Definition, "sequence">;
  /** Of the version that the head names. */
  readonly params: RunParams;
  /** Manifest of the checkpoint that the round started from. */
  readonly before: Pick<CheckpointManifest, "step">;
  readonly documents: Pick<RunDocuments, "build">;
}

/**
 * Checks every receipt of a round: what it says, that its assignment is one of the run's, who signed it, and that the poster
 * acknowledged it.
 * @returns the leaves of the receipts root
 * @throws DocumentError `DOCUMENT_RECEIPT`
 */
export async function verifyReceipts(
  reader: ChainReader,
  file: ReceiptsFile,
  head: PostedHead,
  parent: PostedHead,
  { definition, params, before, documents }: RoundRules,
): Promise<ReceiptLeaf[]> {
  const domain = domainFor(reader.chainId, reader.contracts.runRegistry);
  let posters = new Set(await reader.postersOf(head.runId));
  const isPoster = async (signer: Address): Promise<boolean> => {
    if (!posters.has(signer)) posters = new Set(await reader.postersOf(head.runId, signer));
    return posters.has(signer);
  };
  const round = head.round - 1;
  const leaves: ReceiptLeaf[] = [];
  let previous = "";
  const fail = (worker: string, what: string): never => {
    throw new DocumentError(
      "DOCUMENT_RECEIPT",
      `Round ${roundNumber(round)} of run ${head.runId}, receipt of ${worker}: ${what}.`,
      {
        details: { head: head.head, worker },
      },
    );
  };
  if (file.runId !== head.runId || file.round !== round)
    fail("all workers", `the file is of round ${roundNumber(file.round)} of run ${file.runId}`);
  for (const entry of file.receipts) {
    const receipt = fromWire("Receipt", entry.receipt);
    const ack = fromWire("Ack", entry.ack);
    const { worker, assignment } = { worker: entry.receipt.worker, assignment: entry.assignment };
    const require = (holds: boolean, what: string): void => void (holds || fail(worker, what));
    require(worker > previous, "receipts do not stand in ascending order of workers, one each");
    previous = worker;
    require(receipt.runId === head.runId && receipt.round === BigInt(round), "it is of another round");
    require(receipt.baseDigest === parent.checkpointDigest, "it started from another checkpoint");
    require(receipt.paramsVersion === head.paramsVersion, "it was made under other parameters than its head names");
    require(digestOfJson(assignment) === receipt.assignment, "the assignment is not the one that was signed");
    require(assignment.runId === head.runId &&
      assignment.round === round &&
      assignment.worker === worker &&
      BigInt(assignment.assignmentId) === receipt.assignmentId &&
      assignment.attempt === receipt.attempt &&
      assignment.paramsVersion === receipt.paramsVersion &&
      assignment.base === receipt.baseDigest, "the assignment is another one");
    require(assignment.seed === head.runId, "the assignment has another order of the data than the run");
    const build = await documents.build(receipt.build);
    if (!build) return fail(worker, `its build ${receipt.build} was never admitted`);
    // Tokens are paid: nothing that they are counted by, or trained under, is the poster's to choose.
    const innerSteps = innerStepsOf(params, round);
    require(assignment.steps <=
      innerSteps, `it was assigned ${assignment.steps} steps, ${innerSteps} at most are those of the round`);
    const due = {
      batch: build.microBatch,
      sequence: definition.sequence,
      globalStep: before.step,
      innerLrPpb: params.innerLrPpb,
      codec: params.codec,
    };
    for (const key of Object.keys(due) as (keyof typeof due)[])
      require(assignment[key] === due[key], `its assignment has ${key} ${assignment[key]} where ${due[key]} is due`);
    const positions = assignment.ranges.reduce((sum, { count }) => sum + count, 0);
    require(positions ===
      assignment.steps *
        assignment.batch, `its assignment has ${positions} positions for ${assignment.steps} steps of ${assignment.batch}`);
    require(receipt.steps > 0 && receipt.steps <= assignment.steps, "it claims more steps than were assigned");
    require(receipt.leaves === commitmentLeaves(receipt.steps) &&
      receipt.commitment !== zeroHash, "its commitment is not the one to its steps");
    const tokens = BigInt(receipt.steps) * BigInt(assignment.batch) * BigInt(assignment.sequence);
    require(BigInt(entry.tokens) === tokens, `it counts ${entry.tokens} tokens where ${tokens} are due`);
    const receiptHash = hashReceipt(receipt);
    require(ack.runId === head.runId &&
      ack.round === receipt.round &&
      ack.worker === worker &&
      ack.receiptHash === receiptHash &&
      ack.tokens === tokens, "the acknowledgement is another one's");
    require((await recoverSigner(domain, "Receipt", receipt, entry.signature)) ===
      worker, "the worker did not sign it");
    require(await isPoster(
      await recoverSigner(domain, "Ack", ack, entry.ackSignature),
    ), "the acknowledgement was not signed by the run's poster");
    leaves.push({
      receiptHash,
      worker,
      beneficiary: receipt.beneficiary.toLowerCase() as Address,
      tokens,
      outcome: entry.outcome,
    });
  }
  // Of two that are given the same data the later would be called a copy.
  const twice = overlap(trainedIn(file));
  if (twice) fail(twice.worker, "it was given data that another had");
  return leaves;
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

/** Heads of which {@link createHeadDocumentsCache} keeps the positions up to there: the newest of the runs of a model. */
const MAX_SUMS = 8;

/** What is known of a head that was read. */
interface Known {
  readonly parent: string;
  readonly documents: Promise<HeadDocuments>;
}

export function createHeadDocumentsCache(reader: ChainReader, capacity = 1_024): HeadDocumentsCache {
  const known = new Map<string, Known>();
  const ofRuns = new Map<RunId, RunDocuments>();
  /** Positions of the rounds up to the newest heads; others are added up again. */
  const sums = new Map<string, Positions>();

  /** What the rounds up to a head were trained on, as far as they were read. */
  async function before({ parentHead }: PostedHead): Promise<Positions> {
    const files: HeadDocuments[] = [];
    let name: string = parentHead;
    for (;;) {
      const link = known.get(name);
      const found = await link?.documents.catch(() => undefined);
      if (sums.has(name) || !link || !found) break;
      files.push(found);
      name = link.parent;
    }
    return files.reduceRight<Positions>(
      (sum, { file }) => addRound(sum, file ? trainedIn(file) : []).sum,
      sums.get(name) ?? [],
    );
  }

  async function read(blobs: BlobSource, head: PostedHead, parent: PostedHead | undefined): Promise<HeadDocuments> {
    const ofRun = ofRuns.get(head.runId) ?? runDocuments(reader, blobs, head.runId);
    ofRuns.set(head.runId, ofRun);
    const earlier = await before(head);
    // Those after a head that does not hold are held against those before it.
    sums.set(head.head, earlier);
    const [oldest] = sums.keys();
    if (sums.size > MAX_SUMS && oldest !== undefined) sums.delete(oldest);
    const documents = await readHeadDocuments(reader, blobs, head, parent, ofRun);
    sums.set(head.head, requireNewData(head, documents, earlier));
    return documents;
  }

  return {
    read: (blobs, head, parent) => {
      const found = known.get(head.head);
      if (found) return found.documents;
      const documents = read(blobs, head, parent);
      known.set(head.head, { parent: head.parentHead, documents });
      // A blob that was missing may be there next time.
      documents.catch(() => known.delete(head.head));
      const [oldest] = known.keys();
      if (known.size > capacity && oldest !== undefined) known.delete(oldest);
      return documents;
    },
  };
}

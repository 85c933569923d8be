/** Documents that somebody published, by digest: how they are read, and what is said of those that are wrong. */
import { CoordinatorError, CotrainError, ProtocolError } from "@cotrain/sdk/errors";
import type { Build, DataManifest, Definition, Digest } from "@cotrain/sdk/protocol";
import { asDigest, type RunId, MAX_BUILD_BYTES, MAX_DEFINITION_BYTES, MAX_DOCUMENT_BYTES } from "@cotrain/sdk/protocol";

import { type ErrorOptions, parseCanonicalJson, RetryableError, UserError } from "../base/index.ts";
import type { ChainReader, PostedHead, RunRecord } from "../chain/index.ts";
import { DataError, readDataManifest, sequenceCount } from "../data/index.ts";
import { fragmentCount, PayloadError } from "../diloco/index.ts";
import type { BlobSource } from "./ports.ts";
import { problemOfPrograms } from "./programs.ts";
import { FormatError, parseBuild, parseDefinition } from "../storage/index.ts";

/** A published document is not what the chain or its signers say. */
export class DocumentError extends UserError {
  override readonly name = "DocumentError";
  constructor(code: `DOCUMENT_${string}`, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

/**
 * No contract sees the table: where a run is registered with another number of fragments, validators would draw among others than there
 * are, and nobody would recompute the rest. One that leaves a number out has no order of fragments that anybody could draw from.
 * @param record of the run on-chain
 * @returns a sentence, "" where it has as many
 */
export function problemOfFragments(
  { runId, fragments }: Pick<RunRecord, "runId" | "fragments">,
  { table }: Pick<Definition, "table">,
): string {
  const due = fragmentCount(table);
  if (due === undefined)
    return `Run ${runId} has a definition whose table leaves out a fragment below its largest: nobody can say what its fragments are.`;
  if (fragments === due) return "";
  return `Run ${runId} has ${fragments} fragments on-chain and ${due} in its definition: what validators draw is not what there is.`;
}

/** @throws DocumentError `DOCUMENT_FRAGMENTS` where {@link problemOfFragments} says something */
export function requireFragmentsOf(...of: Parameters<typeof problemOfFragments>): void {
  const problem = problemOfFragments(...of);
  if (problem !== "") throw new DocumentError("DOCUMENT_FRAGMENTS", problem);
}

/**
 * The definition of a run whose heads can be judged.
 * @param record of the run, where it is known
 * @throws DocumentError as {@link isUnfit} knows it; RetryableError `CHAIN_RPC`; what chain and blobs throw
 */
export async function fitDefinition(
  { reader, blobs }: { readonly reader: Pick<ChainReader, "run">; readonly blobs: BlobSource },
  runId: RunId,
  record?: RunRecord,
): Promise<Definition> {
  const found = record ?? (await reader.run(runId));
  try {
    const definition = await readDefinition(blobs, runId, found.definition);
    requireFragmentsOf(found, definition);
    return definition;
  } catch (error) {
    if (!isUnfit(error)) throw error;
    // By one answer of an RPC no run loses its pay.
    const again = await reader.run(runId);
    if (again.fragments === found.fragments && again.definition === found.definition) throw error;
    throw new RetryableError(
      "CHAIN_RPC",
      `The chain's RPC says two things about run ${runId}: it is read again later.`,
    );
  }
}

async function readDefinition(blobs: BlobSource, runId: RunId, digest: Digest): Promise<Definition> {
  try {
    return parseDefinition(await blobs.blob(runId, digest, MAX_DEFINITION_BYTES));
  } catch (error) {
    if (!isMalformed(error)) throw error;
    throw new DocumentError("DOCUMENT_DEFINITION", `Run ${runId} has no definition that is one: ${error.message}`);
  }
}

/** Whether it says that nobody can judge the heads of a run, whatever is published of them: they earn nothing. */
export const isUnfit = (error: unknown): error is DocumentError =>
  error instanceof DocumentError && ["DOCUMENT_FRAGMENTS", "DOCUMENT_DEFINITION"].includes(error.code);

/** What a coordinator calls an error is its word, and says nothing about bytes that nobody has seen. */
export const isItsWord = (error: unknown): boolean => error instanceof CoordinatorError;

const MALFORMED = new Set(["JSON_INVALID", "JSON_NOT_CANONICAL", "JSON_TOO_LARGE", "BLOB_TOO_LARGE"]);
/** A published document is there, and is none. Of an answer that is cut as too long nobody knows whether it is the document. */
export const isMalformed = (error: unknown): error is CotrainError =>
  error instanceof ProtocolError || (error instanceof CotrainError && MALFORMED.has(error.code) && !isItsWord(error));

/** Of rules that a run chooses by a number: one that is not known can be applied by nobody of this version. */
const UNKNOWN_RULES = new Set(["CODEC_UNKNOWN", "WEIGHTING_UNKNOWN", "AGGREGATOR_UNKNOWN", "OUTER_OPTIMIZER_UNKNOWN"]);

/**
 * Whether what is published is there, and cannot be what it should be. No waiting mends that: whoever judges it says so. Nothing of the
 * kind follows from what is away, nor from what somebody calls an error.
 */
export const isWrong = (error: unknown): error is CotrainError =>
  error instanceof DocumentError ||
  error instanceof FormatError ||
  error instanceof PayloadError ||
  error instanceof DataError ||
  isMalformed(error) ||
  (error instanceof UserError && UNKNOWN_RULES.has(error.code));

/**
 * The manifest of a run's data.
 * @throws DocumentError `DOCUMENT_DATA` for one that does not add up; ProtocolError, UserError `JSON_…` for one that is none; what `blobs`
 *   throws
 */
export async function readData(
  blobs: BlobSource,
  runId: RunId,
  { data }: Pick<Definition, "data">,
): Promise<DataManifest> {
  try {
    return await readDataManifest({ get: (digest, limit) => blobs.blob(runId, digest, limit) }, asDigest(data));
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DocumentError("DOCUMENT_DATA", `Run ${runId} has data that nobody can train on: ${error.message}`);
  }
}

/** A document's JSON, its digest verified by the source. */
export async function readJson(
  blobs: BlobSource,
  run: PostedHead["runId"],
  digest: string,
  what: string,
  limit = MAX_DOCUMENT_BYTES,
): Promise<unknown> {
  return parseCanonicalJson(await blobs.blob(run, asDigest(digest), limit), limit, what);
}

/** What a run's rounds are held against beside the chain: each document is read when first needed, once. */
export interface RunDocuments {
  definition(): Promise<Definition>;
  /** How many sequences its training split holds. */
  sequences(): Promise<number>;
  /** Undefined for one that the registry never admitted; withdrawn or not makes no difference. */
  build(digest: string): Promise<Build | undefined>;
}

/** Whether the registry ever admitted a build to a run, withdrawn or not. */
export const wasAdmitted = async (reader: ChainReader, runId: RunId, build: string): Promise<boolean> =>
  (await reader.buildsOf(runId, asDigest(build))).includes(asDigest(build));

export function runDocuments(reader: ChainReader, blobs: BlobSource, runId: RunId): RunDocuments {
  let definition: Promise<Definition> | undefined;
  let sequences: Promise<number> | undefined;
  const builds = new Map<string, Promise<Build | undefined>>();
  const readDefinition = async (): Promise<Definition> => {
    const { definition: digest } = await reader.run(runId);
    return parseDefinition(await blobs.blob(runId, digest, MAX_DEFINITION_BYTES));
  };
  const definitionOf = (): Promise<Definition> => {
    const reading = (definition ??= readDefinition());
    reading.catch(() => (definition = undefined));
    return reading;
  };
  const countSequences = async (): Promise<number> => {
    const definition = await definitionOf();
    const { train } = await readData(blobs, runId, definition);
    return sequenceCount(train.tokens, definition.sequence);
  };
  const readBuild = async (digest: string): Promise<Build | undefined> => {
    if (!(await wasAdmitted(reader, runId, digest))) return undefined;
    const found = parseBuild(await blobs.blob(runId, asDigest(digest), MAX_BUILD_BYTES));
    if (found.definition !== (await reader.run(runId)).definition)
      throw new DocumentError("DOCUMENT_BUILD", `Build ${digest} is of another definition than run ${runId}.`);
    // Tokens are paid by the document, and steps are the program's.
    const problem = await problemOfPrograms(blobs, runId, found, await definitionOf());
    if (problem === "") return found;
    throw new DocumentError("DOCUMENT_BUILD", `Build ${digest} is not what it says: ${problem}.`);
  };
  return {
    definition: definitionOf,
    sequences: () => {
      const counting = (sequences ??= countSequences());
      counting.catch(() => (sequences = undefined));
      return counting;
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

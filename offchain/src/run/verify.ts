/**
 * Walks a run's chain of checkpoints from the contracts alone: every link recomputed from its event, every document and
 * shard fetched by the digest that the link names, hashed, and its receipts and signatures checked. Shards of old checkpoints
 * need not be kept (see the coordinator's retention.ts): a checkpoint without them is told apart from one that is whole.
 */
import {
  asDigest,
  type CheckpointManifest,
  type Definition,
  digestOfJson,
  headHash,
  type RunId,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";

import { type Clock, RetryableError } from "../base/index.ts";
import { parametersNorm } from "../diloco/index.ts";
import { parseFragment } from "../storage/index.ts";
import { type HeadDocuments, readHeadDocuments, requireNewData, runDocuments, wasAdmitted } from "./documents.ts";
import { blamesByMeasure, requireMeasures } from "./measured.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import type { BlobSource } from "./ports.ts";
import type { Positions } from "./positions.ts";
import { rejectedUnder } from "./rejected.ts";
import { epochManifestOf, leftOutSentence, postedRoots } from "./roots.ts";
import {
  createRecordReader,
  pastScreenings,
  problemOfSample,
  problemOfScreening,
  readScreening,
  type RecordReader,
} from "./screening.ts";
import { isGone, problemOfUnreadable } from "./unreadable.ts";

/**
 * ok: all of it holds; pruned: so do link, manifest and receipts, but not all of its shards are kept any more, as is allowed;
 * missing: something that must be there is not to be had; mismatch: something is not what the chain says.
 */
export type HeadCondition = "ok" | "pruned" | "missing" | "mismatch";

export interface HeadReport extends PostedHead {
  readonly condition: HeadCondition;
  /** One sentence for each thing that is wrong. */
  readonly problems: readonly string[];
  /** Whether validators signed an epoch that covers it; until then a head is the poster's claim. */
  readonly signed: boolean;
  /** Bytes that were fetched and hashed. */
  readonly bytes: number;
  /** Receipts under it. */
  readonly receipts: number;
}

export interface VerifySummary {
  readonly heads: number;
  readonly ok: number;
  readonly pruned: number;
  readonly missing: number;
  readonly mismatch: number;
  readonly unsigned: number;
  /** Wrong about the run as a whole, e.g. its definition. */
  readonly problems: readonly string[];
}

export interface VerifyModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly clock?: Clock;
}

class Problems {
  readonly sentences: string[] = [];
  condition: HeadCondition = "ok";

  add(condition: "missing" | "mismatch", sentence: string): void {
    this.sentences.push(sentence);
    if (this.condition !== "mismatch") this.condition = condition;
  }

  /** Runs a check; what it throws is what it found. Only a chain that is away ends the walk. */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CotrainError) || (error instanceof RetryableError && error.code.startsWith("CHAIN_")))
        throw error;
      this.add(isMissing(error) ? "missing" : "mismatch", error.message);
      return undefined;
    }
  }
}

/** Blob sources say so in words of their own: storage's and the coordinator's. */
const isMissing = (error: CotrainError): boolean => error.retryable || /MISSING|NOT_FOUND|UNREACHABLE/.test(error.code);

/**
 * Whether a head's shards may be gone: not those that training began with, not those from which it goes on, and not those of
 * which validators have still to sign.
 */
const mayBePruned = (head: PostedHead, heads: readonly PostedHead[], signedThrough: number): boolean =>
  head.sequence > 0 && head.sequence < (heads.at(-1)?.sequence ?? 0) && head.sequence <= signedThrough;

/**
 * Verifies a run, oldest head first.
 * @yields one report per head as soon as it is done
 * @returns the counts
 * @throws RetryableError `CHAIN_UNREACHABLE`; UserError `RUN_UNKNOWN`
 */
export async function* verifyRun(modules: VerifyModules, runId: RunId): AsyncGenerator<HeadReport, VerifySummary> {
  const { reader, blobs } = modules;
  const run = await reader.run(runId);
  const heads = await reader.headsSince(runId, 0);
  const whole = new Problems();
  const ofRun = runDocuments(reader, blobs, runId);
  const definition = await whole.attempt(() => ofRun.definition());
  // Before anything else is made of the roots, which are kept as they are whole.
  const { roots, leftOut } = await postedRoots(reader, blobs, run.modelId, modules.clock);
  for (const root of leftOut) whole.add("missing", leftOutSentence(root));
  const signedThrough = await lastSigned(modules, runId, heads, whole);
  const rejected = new Set<string>();
  for (const root of roots)
    for (const head of (await whole.attempt(() => rejectedUnder(blobs, root))) ?? []) rejected.add(head);
  const count = { heads: 0, ok: 0, pruned: 0, missing: 0, mismatch: 0, unsigned: 0 };

  const records = createRecordReader(blobs, definition?.screening.history);
  /** Of the checkpoint before: its manifest, and norms by fragment, as far as they are to be had. */
  let before: CheckpointManifest | undefined;
  let theta = new Map<number, number>();
  /** Positions of the data that the rounds so far were trained on. */
  let trained: Positions = [];
  for (const [i, head] of heads.entries()) {
    const parent = heads[i - 1];
    const problems = new Problems();
    checkLink(reader, head, parent, problems);
    if (rejected.has(head.head))
      problems.add("mismatch", "Validators found that it does not hold; later checkpoints go on from it.");
    let bytes = 0;
    const gone: CotrainError[] = [];
    const norms = new Map<number, number>();
    const documents = await problems.attempt(() => readHeadDocuments(reader, blobs, head, parent, ofRun));
    if (documents) {
      trained = (await problems.attempt(async () => requireNewData(head, documents, trained))) ?? trained;
      const { manifest } = documents;
      if (manifest.fragments.length !== run.fragments)
        problems.add("mismatch", `Its manifest has ${manifest.fragments.length} fragments, the run ${run.fragments}.`);
      if (
        definition &&
        !parent &&
        digestOfJson(manifest.fragments.map(({ digest }) => digest)) !== definition.initialParameters
      )
        problems.add("mismatch", "Checkpoint 0 does not hold the initial parameters that the definition names.");
      for (const fragment of manifest.fragments) {
        await problems.attempt(async () => {
          const shard = await blobs.blob(runId, asDigest(fragment.digest), fragment.bytes).catch((error: unknown) => {
            if (!isGone(error)) throw error;
            gone.push(error);
          });
          if (!shard) return;
          bytes += shard.length;
          if (!definition) return;
          const { params } = parseFragment(shard, definition.table, fragment);
          norms.set(fragment.index, parametersNorm(params));
        });
      }
    }
    if (documents && definition && parent) {
      // Payloads are kept until a root that pays for them is posted, which may be while this walks.
      const mayBeGone = async (): Promise<boolean> =>
        head.sequence <= signedThrough || head.sequence <= (await lastSigned(modules, runId, heads, whole));
      const round = {
        head,
        before: heads.slice(0, i),
        parent: before,
        definition,
        documents,
        records,
        theta,
        mayBeGone,
      };
      await problems.attempt(() => checkScreening(modules, round, problems));
    }
    before = documents?.manifest;
    if (gone.length > 0 && !mayBePruned(head, heads, signedThrough)) {
      // The walk takes its time, and what was the newest when it began may be old by now.
      const now = await reader.headsSince(runId, 0);
      if (!mayBePruned(head, now, await lastSigned(modules, runId, now, whole)))
        for (const { message } of gone) problems.add("missing", message);
    }
    theta = norms;
    const condition = problems.condition === "ok" && gone.length > 0 ? "pruned" : problems.condition;
    const signed = head.sequence <= signedThrough;
    count.heads += 1;
    count[condition] += 1;
    if (!signed) count.unsigned += 1;
    yield {
      ...head,
      condition,
      problems: problems.sentences,
      signed,
      bytes,
      receipts: documents?.leaves.length ?? 0,
    };
  }
  const last = heads.at(-1);
  const current = await reader.head(runId);
  // Between the two reads the chain may have gone on; it must not have gone elsewhere.
  if (current.sequence < (last?.sequence ?? -1) || (current.sequence === last?.sequence && current.head !== last.head))
    whole.add("mismatch", `The registry's head ${current.head} is not where its events lead.`);
  return { ...count, problems: whole.sentences };
}

interface Screened {
  readonly head: PostedHead;
  /** Those before it, from checkpoint 0 on. */
  readonly before: readonly PostedHead[];
  /** Manifest of the checkpoint before, where that holds. */
  readonly parent: CheckpointManifest | undefined;
  readonly definition: Definition;
  readonly documents: HeadDocuments;
  readonly records: RecordReader;
  readonly theta: ReadonlyMap<number, number>;
  /** Whether the round's payloads need not be kept any more. */
  readonly mayBeGone: () => Promise<boolean>;
}

async function checkScreening({ reader, blobs }: VerifyModules, round: Screened, problems: Problems): Promise<void> {
  const { head, before, parent, definition, records, theta, mayBeGone } = round;
  const { file: receipts, manifest } = round.documents;
  const { runId, paramsVersion } = head;
  // Who has the documents of a head but the first has both.
  if (manifest.screening === null || !receipts) return;
  const file = await readScreening(blobs, runId, manifest.screening);
  const params = await reader.paramsOf(runId, paramsVersion);
  const past = await pastScreenings(records, before, definition.screening.history);
  const problem = problemOfScreening({ definition, params, paramsVersion, file, receipts, past });
  if (problem !== "") problems.add("mismatch", problem);
  for (const [f, norm] of theta)
    if (file.theta[f] !== norm)
      problems.add("mismatch", `The screening gives fragment ${f} of the checkpoint before another norm.`);
  const admitted = (build: string): Promise<boolean> => wasAdmitted(reader, runId, build);
  const sample = await problemOfSample(blobs, { runId, definition, admitted, gate: file.gate });
  if (sample !== "") problems.add("mismatch", sample);
  if (!parent) return;
  const place = { head, parent, definition, params };
  const forged = await problemOfUnreadable(blobs, place, receipts.receipts, file.workers, mayBeGone);
  if (forged !== "") problems.add("mismatch", forged);
  if (!blamesByMeasure(receipts.receipts)) return;
  await requireMeasures(blobs, place, receipts.receipts, file.workers).catch(async (error: unknown) => {
    if (!isGone(error) || !(await mayBeGone())) throw error;
  });
}

/** The hash chain itself: nothing but the event and the link before it. */
function checkLink(reader: ChainReader, head: PostedHead, parent: PostedHead | undefined, problems: Problems): void {
  const recomputed = headHash({
    chainId: BigInt(reader.chainId),
    registry: reader.contracts.checkpointRegistry,
    parentHead: head.parentHead,
    runId: head.runId,
    sequence: BigInt(head.sequence),
    round: BigInt(head.round),
    paramsVersion: head.paramsVersion,
    checkpointDigest: head.checkpointDigest,
    receiptsRoot: head.receiptsRoot,
  });
  if (recomputed !== head.head)
    problems.add("mismatch", `Its fields hash to ${recomputed}, not to the head ${head.head}.`);
  if (head.parentHead !== (parent?.head ?? zeroHash))
    problems.add("mismatch", "It does not continue the head before it.");
  if (head.sequence !== (parent ? parent.sequence + 1 : 0))
    problems.add("mismatch", `Its sequence ${head.sequence} does not follow.`);
}

/** Sequence of the last head that a posted attestation covers, −1 for none. */
async function lastSigned(
  { reader, blobs }: VerifyModules,
  runId: RunId,
  heads: readonly PostedHead[],
  whole: Problems,
): Promise<number> {
  const sequences = new Map(heads.map(({ head, sequence }) => [head as string, sequence]));
  const { modelId } = await reader.run(runId);
  let through = -1;
  for (const root of await reader.rootsOf(modelId)) {
    if (root.runId === runId) {
      through = Math.max(through, sequences.get(root.head) ?? -1);
      continue;
    }
    // An epoch signed for a later run covers what had not been signed of the runs before it.
    const manifest = await whole.attempt(() => epochManifestOf(blobs, root));
    const finished = manifest?.finished.find((run) => run.runId === runId);
    if (finished) through = Math.max(through, sequences.get(finished.head) ?? -1);
  }
  return through;
}

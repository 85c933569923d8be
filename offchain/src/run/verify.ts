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
import { wireSentence } from "@cotrain/sdk/actions";
import type { CotrainError } from "@cotrain/sdk/errors";

import type { Clock, RetryableError } from "../base/index.ts";
import { parametersNorm } from "../diloco/index.ts";
import { parseFragment } from "../storage/index.ts";
import { endedBy, naming, untilAway } from "./away.ts";
import { type HeadDocuments, readHeadDocuments, requireNewData } from "./documents.ts";
import { problemOfFragments, type RunDocuments, runDocuments, wasAdmitted } from "./published.ts";
import { blamesByMeasure, requireMeasures } from "./measured.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import { lastSigned } from "./lastSigned.ts";
import { checkPaidRoots, type PaidFalsely } from "./paidRoots.ts";
import type { BlobSource } from "./ports.ts";
import { type HeadCondition, Problems } from "./problems.ts";
import { rejectedUnder } from "./rejected.ts";
import type { RevenueAccounts } from "./revenueAccounts.ts";
import { leftOutSentence, postedRoots } from "./roots.ts";
import { createRecordReader, problemOfRecord, problemOfSample, readScreening, type RecordReader } from "./screening.ts";
import { isGone, problemOfUnreadable } from "./unreadable.ts";
import { rolledBackHeads } from "./standingHeads.ts";
import { type Carried, WalkMemory } from "./walkMemory.ts";

export interface HeadReport extends PostedHead {
  readonly condition: HeadCondition;
  /** One sentence for each thing that is wrong. */
  readonly problems: readonly string[];
  /** Whether all of it was looked at: not where something was away once a problem had been found. */
  readonly complete: boolean;
  /** Whether validators signed an epoch that covers it; until then a head is the poster's claim. */
  readonly signed: boolean;
  /** Bytes that were fetched and hashed. */
  readonly bytes: number;
  /** Receipts under it. */
  readonly receipts: number;
}

export interface VerifySummary {
  /** Those that are reported. */
  readonly heads: number;
  readonly ok: number;
  readonly pruned: number;
  readonly missing: number;
  readonly mismatch: number;
  readonly rolledBack: number;
  readonly unsigned: number;
  /** Wrong about the run as a whole, e.g. its definition. */
  readonly problems: readonly string[];
  /** Active roots that are not what their epochs earned: nobody can dispute them any more. */
  readonly falseRoots: readonly PaidFalsely[];
  /** Whether the verdicts of validators were read: each head that they reject is reported, also after what ended the walk. */
  readonly verdictsRead: boolean;
  /** What ended the walk early, chain, coordinator or store: where, and which blob could not be had. Null: nothing did. */
  readonly away: RetryableError | null;
}

export interface VerifyModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly clock?: Clock;
  /** What recomputes roots of revenue; without it they are not looked at. */
  readonly revenue?: Pick<RevenueAccounts, "paidFalsely">;
}

/** What is found of one head. */
class Findings extends Problems {
  /** Shards that the source has no more. */
  readonly gone: CotrainError[] = [];
  bytes = 0;
  receipts = 0;
}

const REJECTED = "Validators found that it does not hold; later checkpoints go on from it.";

/**
 * Whether a head's shards may be gone: not those that training began with, not those from which it goes on, and not those of
 * which validators have still to sign.
 */
const mayBePruned = (head: PostedHead, heads: readonly PostedHead[], signedThrough: number): boolean =>
  head.sequence > 0 && head.sequence < (heads.at(-1)?.sequence ?? 0) && head.sequence <= signedThrough;

/** What a walk knows of a run before it looks at the first head. */
interface Walk {
  readonly modules: VerifyModules;
  readonly runId: RunId;
  readonly fragments: number;
  readonly heads: readonly PostedHead[];
  /** Wrong about the run as a whole. */
  readonly whole: Problems;
  readonly ofRun: RunDocuments;
  readonly definition: Definition | undefined;
  readonly signedThrough: number;
  /** Heads that validators found not to hold. */
  readonly rejected: ReadonlySet<string>;
  /** Those that the run went back behind. */
  readonly rolledBack: ReadonlySet<PostedHead>;
  readonly records: RecordReader;
}

async function beginWalk(modules: VerifyModules, runId: RunId, whole: Problems): Promise<Walk> {
  const { reader, blobs } = modules;
  const run = await reader.run(runId);
  const heads = await reader.headsSince(runId, 0);
  const ofRun = runDocuments(reader, blobs, runId);
  const definition = await whole.attempt(() => ofRun.definition());
  const unfit = definition === undefined ? "" : problemOfFragments(run, definition);
  if (unfit !== "") whole.add("mismatch", unfit);
  for (const wire of (await whole.attempt(() => reader.wrongWires(run.modelId))) ?? [])
    whole.add("mismatch", `The contracts obey others than they should: ${wireSentence(wire)}`);
  // Before anything else is made of the roots, which are kept as they are whole.
  const { roots, leftOut } = await postedRoots(reader, blobs, run.modelId, modules.clock);
  for (const root of leftOut) whole.add("missing", leftOutSentence(root));
  const signedThrough = await lastSigned(modules, runId, heads, whole);
  const rejected = new Set<string>();
  for (const root of roots)
    for (const head of (await whole.attempt(() => rejectedUnder(blobs, root))) ?? []) rejected.add(head);
  const records = createRecordReader(blobs, definition?.screening.history);
  const { fragments } = run;
  const rolledBack = rolledBackHeads(heads);
  return { modules, runId, fragments, heads, whole, ofRun, definition, signedThrough, rejected, rolledBack, records };
}

/** The manifest of a head, held against the run and, for checkpoint 0, its definition. */
function checkManifest(
  { fragments, definition }: Walk,
  { fragments: published }: CheckpointManifest,
  isFirst: boolean,
  problems: Problems,
): void {
  if (published.length !== fragments)
    problems.add("mismatch", `Its manifest has ${published.length} fragments, the run ${fragments}.`);
  if (definition && isFirst && digestOfJson(published.map(({ digest }) => digest)) !== definition.initialParameters)
    problems.add("mismatch", "Checkpoint 0 does not hold the initial parameters that the definition names.");
}

/** Fetches and hashes the shards of a checkpoint. @returns norms by fragment */
async function checkShards({ modules, runId, definition }: Walk, manifest: CheckpointManifest, found: Findings) {
  const norms = new Map<number, number>();
  for (const fragment of manifest.fragments) {
    await found.attempt(async () => {
      const shard = await modules.blobs
        .blob(runId, asDigest(fragment.digest), fragment.bytes)
        .catch((error: unknown) => {
          if (!isGone(error)) throw error;
          found.gone.push(error);
        });
      if (!shard) return;
      found.bytes += shard.length;
      if (!definition) return;
      const { params } = parseFragment(shard, definition.table, fragment);
      norms.set(fragment.index, parametersNorm(params));
    });
  }
  return norms;
}

/** Says which shards are missing that must be there. */
async function checkGone(walk: Walk, head: PostedHead, found: Findings): Promise<void> {
  const { gone } = found;
  const { modules, runId, heads, whole, signedThrough } = walk;
  if (gone.length === 0 || mayBePruned(head, heads, signedThrough)) return;
  // The walk takes its time, and what was the newest when it began may be old by now.
  const now = await modules.reader.headsSince(runId, 0);
  if (mayBePruned(head, now, await lastSigned(modules, runId, now, whole))) return;
  for (const { message } of gone) found.add("missing", message);
}

/** Holds the record of the round that led to a head against its receipts and its payloads, as far as they are kept. */
async function checkRound(
  walk: Walk,
  index: number,
  documents: HeadDocuments,
  { before: parent, theta }: Carried,
  problems: Problems,
): Promise<void> {
  const { modules, runId, heads, whole, definition, signedThrough, records } = walk;
  if (!definition) return;
  const head = heads[index]!;
  // Payloads are kept until a root that pays for them is posted, which may be while this walks.
  const mayBeGone = async (): Promise<boolean> =>
    head.sequence <= signedThrough || head.sequence <= (await lastSigned(modules, runId, heads, whole));
  const before = heads.slice(0, index);
  const round = { head, before, parent, definition, documents, records, theta, mayBeGone };
  await problems.attempt(() => checkScreening(modules, round, problems));
}

/** Verifies what a head's documents say and name. @returns what the next head is held against */
async function checkContents(
  walk: Walk,
  index: number,
  documents: HeadDocuments,
  carried: Carried,
  found: Findings,
): Promise<Carried> {
  const { manifest, leaves } = documents;
  const head = walk.heads[index]!;
  found.receipts = leaves.length;
  const trained = await found.attempt(async () => requireNewData(head, documents, carried.trained));
  checkManifest(walk, manifest, index === 0, found);
  const theta = await checkShards(walk, manifest, found);
  if (documents.file) await checkRound(walk, index, documents, carried, found);
  return { before: manifest, theta, trained: trained ?? carried.trained };
}

/** Verifies one head. @returns its report, what the next one is held against, and what was away, if anything was */
async function verifyHead(walk: Walk, index: number, carried: Carried) {
  const { heads, ofRun, signedThrough, rejected, rolledBack } = walk;
  const { reader, blobs } = walk.modules;
  const head = heads[index]!;
  const parent = heads[index - 1];
  const found = new Findings();
  checkLink(reader, head, parent, found);
  const signed = head.sequence <= signedThrough;
  if (rolledBack.has(head)) {
    // The next that stands is held against the last that does.
    const condition: HeadCondition = found.condition === "ok" ? "rolledBack" : found.condition;
    const report = { ...head, condition, problems: found.sentences, complete: true, signed, bytes: 0, receipts: 0 };
    return { report, next: carried, away: undefined };
  }
  if (rejected.has(head.head)) found.add("mismatch", REJECTED);
  // Of a head whose documents are not to be had nothing is known, but that it is there.
  const unknown: Carried = { before: undefined, theta: new Map(), trained: carried.trained };
  const looked = await untilAway(async () => {
    const documents = await found.attempt(() => readHeadDocuments(reader, blobs, head, parent, ofRun));
    return documents ? checkContents(walk, index, documents, carried, found) : unknown;
  });
  // Also of a head that was left in the middle: what is missing is missing.
  const { away = looked.away } = await untilAway(() => checkGone(walk, head, found));
  const { gone, bytes, receipts } = found;
  const report: HeadReport = {
    ...head,
    condition: found.condition === "ok" && gone.length > 0 ? "pruned" : found.condition,
    problems: found.sentences,
    complete: away === undefined,
    signed,
    bytes,
    receipts,
  };
  return { report, next: looked.result ?? unknown, away };
}

/** Holds the end of a walk against the registry. */
async function checkEnd({ modules, runId, heads, whole }: Walk): Promise<void> {
  const last = heads.at(-1);
  const current = await modules.reader.head(runId);
  // Between the two reads the chain may have gone on; it must not have gone elsewhere.
  if (current.sequence < (last?.sequence ?? -1) || (current.sequence === last?.sequence && current.head !== last.head))
    whole.add("mismatch", `The registry's head ${current.head} is not where its events lead.`);
}

/** Heads that the walk did not get to and that validators rejected. Which these are it knew before the first. */
function* rejectedAfter({ heads, rejected, rolledBack, signedThrough }: Walk, index: number): Generator<HeadReport> {
  for (const head of heads.slice(index + 1)) {
    if (!rejected.has(head.head) || rolledBack.has(head)) continue;
    const signed = head.sequence <= signedThrough;
    yield { ...head, condition: "mismatch", problems: [REJECTED], complete: false, signed, bytes: 0, receipts: 0 };
  }
}

/** Walks from the first head to the last, and holds that against the registry. @returns what was away */
async function* walkHeads(walk: Walk, memory: WalkMemory): AsyncGenerator<HeadReport, RetryableError | null> {
  let { skipped, carried } = memory.from(walk.heads);
  for (const [index, head] of walk.heads.entries()) {
    if (index < skipped) continue;
    const { round, sequence } = head;
    const { report, next, away } = await verifyHead(walk, index, carried);
    carried = next;
    if (!away) memory.keep(head, carried);
    if (!away || report.problems.length > 0) yield report;
    if (!away) continue;
    yield* rejectedAfter(walk, index);
    return endedBy(away, `at checkpoint ${round}, link ${sequence}`);
  }
  const { away } = await untilAway(() => checkEnd(walk));
  return away ? endedBy(away, "after the last checkpoint, at the registry's head") : null;
}

/**
 * Verifies a run, oldest head first. Where chain or blobs are away it ends early and says so: all that it found until then counts.
 * @param memory of earlier walks of this run, which is added to: heads that those got to are left out
 * @yields one report per head as soon as it is done; where something was away, of that head and those after it only what was found
 * @returns the counts, and what was away
 * @throws UserError `RUN_UNKNOWN`
 */
export async function* verifyRun(
  given: VerifyModules,
  runId: RunId,
  memory = new WalkMemory(),
): AsyncGenerator<HeadReport, VerifySummary> {
  const modules = { ...given, blobs: naming(given.blobs) };
  const whole = new Problems();
  const count = { heads: 0, ok: 0, pruned: 0, missing: 0, mismatch: 0, rolledBack: 0, unsigned: 0 };
  const begun = await untilAway(() => beginWalk(modules, runId, whole));
  if (!begun.done) {
    const away = endedBy(begun.away, "before the first checkpoint");
    return { ...count, problems: whole.sentences, falseRoots: [], verdictsRead: false, away };
  }
  const walking = walkHeads(begun.result, memory);
  for (;;) {
    const { done, value } = await walking.next();
    if (done) {
      // What somebody withholds of a checkpoint hides no false root.
      const paid = await untilAway(() => checkPaidRoots(modules, runId, { whole, judged: memory.judged }));
      const away = value ?? (paid.done ? null : endedBy(paid.away, "at the roots that are active"));
      return { ...count, problems: whole.sentences, falseRoots: paid.result ?? [], verdictsRead: true, away };
    }
    count.heads += 1;
    count[value.condition] += 1;
    if (!value.signed) count.unsigned += 1;
    yield value;
  }
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
  const problem = await problemOfRecord(records, before, { definition, params, paramsVersion, file, receipts });
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

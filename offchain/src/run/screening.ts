/** Whether the record of a round's screening is what its own measurements, the receipts and the rounds before say. */
import type { ScreeningFile } from "@cotrain/sdk/protocol";
import {
  asDigest,
  type Definition,
  digestOfJson,
  MAX_MANIFEST_BYTES,
  type ReceiptsFile,
  type RunId,
  type RunParams,
  MAX_BUILD_BYTES,
  MAX_DOCUMENT_BYTES,
} from "@cotrain/sdk/protocol";

import { roundNumber } from "../base/index.ts";
import { sequenceCount } from "../data/index.ts";
import {
  fragmentLayouts,
  gateOutcomes,
  gateSample,
  gateSeed,
  type LostRecord,
  mediansOf,
  pullOf,
  screen,
} from "../diloco/index.ts";
import { FormatError, parseManifest, parseBuild, parseScreening } from "../storage/index.ts";
import { DocumentError, isMalformed, readData } from "./published.ts";
import type { PostedHead } from "../chain/index.ts";
import type { BlobSource } from "./ports.ts";
import { problemOfOne } from "./programs.ts";
import { rolledBackHeads, standingHeads } from "./standingHeads.ts";
import { unreadableOutcomes } from "./unreadable.ts";

export interface ScreeningCheck {
  readonly definition: Pick<Definition, "screening" | "table">;
  readonly params: Pick<RunParams, "aggregatorBps" | "innerLrPpb" | "weighting">;
  /** Version of `params`. */
  readonly paramsVersion: number;
  readonly file: ScreeningFile;
  readonly receipts: ReceiptsFile;
  /** Newest first. */
  readonly past: readonly ScreeningFile[];
  /** What the record says was repeated of rounds that the run went back behind. */
  readonly lost?: readonly LostRecord[];
}

/** Whether an entry has a measure of each fragment, or says which one could not be read. @returns empty when it does */
function problemOfEntry(entry: ScreeningFile["workers"][number], fragments: number): string {
  const { outcome, unreadable } = entry;
  if (!unreadableOutcomes.has(outcome)) {
    if (entry.fragments.length !== fragments) return "was judged unseen";
    return unreadable === undefined ? "" : `has outcome ${outcome}, and a fragment that could not be read`;
  }
  // What was measured is held against others: nobody may count for that and be nobody's to read.
  if (entry.fragments.length > 0) return "is said to be unreadable, and was measured";
  return unreadable !== undefined && unreadable < fragments ? "" : "is said to be unreadable, but in no fragment";
}

const nameOf = (copy: ScreeningFile["workers"][number]["copyOf"]): string =>
  copy === null ? "nobody" : `${copy.worker} of round ${roundNumber(copy.round)}`;

/** Whether a record is of this round, and judges every receipt. @returns empty when it does */
function problemOfPlace({ definition, params, paramsVersion, file, receipts }: ScreeningCheck): string {
  const { workers } = file;
  const fragments = fragmentLayouts(definition.table).length;
  if (file.runId !== receipts.runId || file.round !== receipts.round) return "The screening is of another round.";
  if (file.paramsVersion !== paramsVersion) return "The screening is under other parameters.";
  const moments = new Set(receipts.receipts.map(({ ack }) => ack.acceptedAt));
  if (moments.size !== receipts.receipts.length) return "Two receipts were accepted at one time.";
  if (receipts.receipts.length !== workers.length) return "The screening does not judge every receipt.";
  for (const [i, { receipt, outcome }] of receipts.receipts.entries()) {
    const entry = workers[i];
    if (entry?.worker !== receipt.worker || entry.steps !== receipt.steps || entry.outcome !== outcome)
      return `The screening says something else of ${receipt.worker} than its receipt.`;
    const problem = problemOfEntry(entry, fragments);
    if (problem !== "") return `${entry.worker} ${problem}.`;
  }
  if (file.innerLrPpb !== params.innerLrPpb) return "The screening is under another learning rate.";
  return file.theta.length === fragments ? "" : "The screening does not have the norm of each fragment.";
}

type Judged = ReturnType<typeof screen>;

/** What the measurements of a record say of each payload. */
const judge = ({ definition, params, file, receipts, past, lost = [] }: ScreeningCheck): Judged =>
  screen({
    rules: definition.screening,
    round: file.round,
    aggregatorBps: params.aggregatorBps,
    innerLrPpb: file.innerLrPpb,
    theta: file.theta,
    elements: fragmentLayouts(definition.table).map((layout) => layout.elements),
    payloads: file.workers.map((entry, i) => ({
      worker: entry.worker,
      steps: entry.steps,
      acceptedAt: Number(receipts.receipts[i]?.ack.acceptedAt),
      outcome: entry.fragments.length === 0 ? entry.outcome : 0,
      fragments: entry.fragments,
    })),
    past,
    lost,
  });

/** Whether a record gives each payload what its measurements say. @returns empty when it does */
function problemOfJudgement(judged: Judged, workers: ScreeningFile["workers"]): string {
  for (const [i, due] of judged.entries()) {
    const entry = workers[i]!;
    if (due.outcome !== 0 && due.outcome !== entry.outcome)
      return `${entry.worker} has outcome ${entry.outcome}; its measurements say ${due.outcome}.`;
    if (nameOf(due.copyOf) !== nameOf(entry.copyOf))
      return `${entry.worker} is said to repeat ${nameOf(entry.copyOf)}; it repeats ${nameOf(due.copyOf)}.`;
    const clip = due.fragments.findIndex(({ clipPpm }, f) => clipPpm !== entry.fragments[f]?.clipPpm);
    if (clip >= 0) return `Fragment ${clip} of ${entry.worker} is clipped by another factor than its norm gives.`;
  }
  return "";
}

/** Whether the loss gate left out whom its losses say, and drew its sample by the receipts. @returns empty when it did */
function problemOfGate({ definition, params, file, receipts, past }: ScreeningCheck, judged: Judged): string {
  const left = judged.flatMap(({ worker, steps, outcome }, i) => {
    const tokens = Number(receipts.receipts[i]?.tokens);
    return outcome === 0 ? [{ worker, pull: pullOf({ worker, tokens, steps }, params.weighting) }] : [];
  });
  const { outcomes, problem } = gateOutcomes(left, file.gate, past, definition.screening);
  if (problem !== "") return `The loss gate: ${problem}.`;
  const outcomeOf = new Map<string, number>(file.workers.map(({ worker, outcome }) => [worker, outcome]));
  const wrong = left.find(({ worker }) => (outcomes.get(worker) ?? 0) !== outcomeOf.get(worker));
  if (wrong) return `The loss gate gives ${wrong.worker} outcome ${outcomes.get(wrong.worker) ?? 0}.`;
  if (mediansOf(file.workers, fragmentLayouts(definition.table).length).join() !== file.medians.join())
    return "The medians are not those of the norms.";
  const hashes = receipts.receipts.map(({ ack }) => ack.receiptHash);
  return gateSeed(file.runId, file.round, hashes) === file.gate.seed
    ? ""
    : "The gate's sample is not the one that the receipts choose.";
}

/** @returns one sentence, empty when the record holds; norms, the checkpoint's too, and sketches are taken as they stand */
export function problemOfScreening(check: ScreeningCheck): string {
  const misplaced = problemOfPlace(check);
  if (misplaced !== "") return misplaced;
  const judged = judge(check);
  return problemOfJudgement(judged, check.file.workers) || problemOfGate(check, judged);
}

export interface SampleCheck {
  readonly runId: RunId;
  readonly definition: Definition;
  /** Whether the registry ever admitted a build to the run, withdrawn or not. */
  readonly admitted: (build: string) => Promise<boolean>;
  readonly gate: Pick<ScreeningFile["gate"], "seed" | "build" | "sequences">;
}

/**
 * Whether a gate measured with a program of the run, and the held-out sequences that its seed draws.
 * @returns one sentence, empty when it did
 * @throws ProtocolError MALFORMED_DOCUMENT; DocumentError `DOCUMENT_DATA`; what `blobs` throws
 */
export async function problemOfSample(blobs: BlobSource, check: SampleCheck): Promise<string> {
  const { runId, definition, gate } = check;
  if (!(await check.admitted(gate.build)))
    return `The loss gate measured with build ${gate.build}, which was never admitted.`;
  const [build, { heldOut }] = await Promise.all([
    blobs.blob(runId, asDigest(gate.build), MAX_BUILD_BYTES),
    readData(blobs, runId, definition),
  ]);
  const document = parseBuild(build);
  const { definition: of, microBatch } = document;
  if (of !== digestOfJson(definition)) return `The loss gate's build ${gate.build} is of another definition.`;
  // The document says how many sequences are one batch, and the program measures them.
  const unfit = await problemOfOne("eval", blobs, runId, document, definition);
  if (unfit !== "") return `The loss gate's build ${gate.build} is not what it says: ${unfit}.`;
  const available = sequenceCount(heldOut.tokens, definition.sequence);
  const due = gateSample(gate.seed, available, definition.screening.gateSequences, microBatch);
  return due.join() === gate.sequences.join()
    ? ""
    : "The loss gate measured other held-out sequences than its seed draws.";
}

/** Reads the record of the round that led to a head. */
export type RecordReader = (head: PostedHead) => Promise<ScreeningFile>;

/**
 * Reads records as the manifests of the chain's own heads name them, and remembers the last ones.
 * @throws, by the reader, DocumentError `DOCUMENT_SCREENING` where a head but the first has none of its round; what `blobs`
 *   throws; ProtocolError, FormatError for what is malformed
 */
export function createRecordReader(blobs: BlobSource, capacity = 0): RecordReader {
  const known = new Map<string, ScreeningFile>();
  return async (head) => {
    const found = known.get(head.head);
    if (found) return found;
    const { screening } = parseManifest(await blobs.blob(head.runId, head.checkpointDigest, MAX_MANIFEST_BYTES));
    const file = screening === null ? undefined : await readScreening(blobs, head.runId, screening);
    if (file?.runId !== head.runId || file.round !== head.round - 1)
      throw new DocumentError(
        "DOCUMENT_SCREENING",
        `Checkpoint ${head.round} names no screening of its round: neither it nor what is judged by it holds.`,
      );
    known.set(head.head, file);
    const [oldest] = known.keys();
    if (known.size > capacity && oldest !== undefined) known.delete(oldest);
    return file;
  };
}

/**
 * The records by which a head's round is judged, newest first: of the rounds before it that stand, as many as there are and count. Which
 * they are says the chain, so that no manifest can leave one out or name others.
 * @param before the heads before it, from checkpoint 0 on
 */
export async function pastScreenings(
  read: RecordReader,
  before: readonly PostedHead[],
  history: number,
): Promise<ScreeningFile[]> {
  const found: ScreeningFile[] = [];
  for (const head of standingHeads(before).slice(1).slice(-history).toReversed()) found.push(await read(head));
  return found;
}

type Repeated = NonNullable<ScreeningFile["workers"][number]["copyOf"]>;

/** Whom a record says were repeated, where neither the round nor those before it that stand say so. */
function unexplained(check: ScreeningCheck): Repeated[] {
  if (problemOfPlace(check) !== "") return [];
  const judged = judge(check);
  return check.file.workers.flatMap(({ copyOf }, i) =>
    copyOf !== null && nameOf(copyOf) !== nameOf(judged[i]!.copyOf) ? [copyOf] : [],
  );
}

/**
 * Entries of these in rounds that the run went back behind, newest first. What does not stand need not be there, nor be any
 * document: one that has the entry is enough.
 */
async function lostEntries(
  read: RecordReader,
  before: readonly PostedHead[],
  repeated: readonly Repeated[],
): Promise<LostRecord[]> {
  if (repeated.length === 0) return [];
  const found: LostRecord[] = [];
  let away: unknown;
  for (const head of [...rolledBackHeads(before)].toSorted((a, b) => b.sequence - a.sequence)) {
    const round = head.round - 1;
    const workers = new Set(repeated.flatMap((each) => (each.round === round ? [each.worker] : [])));
    if (workers.size === 0) continue;
    try {
      const file = await read(head);
      found.push({ round, workers: file.workers.filter(({ worker }) => workers.has(worker)) });
    } catch (error) {
      if (!(error instanceof DocumentError || error instanceof FormatError || isMalformed(error))) away ??= error;
    }
  }
  const isFound = ({ round, worker }: Repeated): boolean =>
    found.some((each) => each.round === round && each.workers.some((entry) => entry.worker === worker));
  if (away !== undefined && !repeated.every(isFound)) throw away;
  return found;
}

/**
 * Whether a round's record is what it should be, by the records of the rounds before it.
 * @param before the heads before it, from checkpoint 0 on
 * @returns as {@link problemOfScreening}
 * @throws what `read` throws for the rounds that stand, and for others where the record rests on what is not to be had
 */
export async function problemOfRecord(
  read: RecordReader,
  before: readonly PostedHead[],
  given: Omit<ScreeningCheck, "past" | "lost">,
): Promise<string> {
  const check = { ...given, past: await pastScreenings(read, before, given.definition.screening.history) };
  return problemOfScreening({ ...check, lost: await lostEntries(read, before, unexplained(check)) });
}

/** @throws ProtocolError MALFORMED_DOCUMENT; what `blobs` throws */
export async function readScreening(blobs: BlobSource, runId: RunId, digest: string): Promise<ScreeningFile> {
  return parseScreening(await blobs.blob(runId, asDigest(digest), MAX_DOCUMENT_BYTES));
}

/**
 * One assignment, from its base to the verified acknowledgement. What can overlap does: θ_r and tokens arrive together,
 * a fragment is encoded while the one before is being sent, the end state is hashed by the trainer meanwhile.
 */
import { CoordinatorError, CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  type Assignment,
  type Digest,
  digestOfJson,
  type Domain,
  type Hex,
  innerStepsOf,
  type PayloadHeader,
  type ReceiptReply,
  type RunId,
  type RunParams,
  SEGMENT_STEPS,
  type TensorEntry,
} from "@cotrain/sdk/protocol";

import { type Clock, roundNumber, UserError } from "../base/index.ts";
import { codecOf, type FragmentLayout, type Parameters, tensorViews } from "../diloco/index.ts";
import { type BaseCheckpoint, type BlobSource, fetchBase } from "./base.ts";
import { type Commitment, createCommitment, fedDigests, segmentEnds } from "./commitment.ts";
import { type EncodedFragment, encodeFragment } from "./encode.ts";
import type { RoundTimes, WorkerEvent } from "./events.ts";
import type { ReceiptJournal } from "./receiptJournal.ts";
import { payloadHeader, receiptOf, type SignedReceipt, type SigningAccount, signReceipt, tokensOf } from "./receipt.ts";
import { blake3Of, type Residual, type ResidualLedger } from "./residual.ts";
import type { SessionKeeper } from "./session.ts";
import { verifyAnyPoster } from "./settling.ts";
import type { InnerSteps, Trainer } from "./trainer.ts";

/** Training produced what cannot be sent; the optimizer's state is worth nothing any more. */
export class DivergedError extends UserError {
  override readonly name = "DivergedError";
}

/** The fixed surroundings of a worker's rounds. */
export interface RoundContext {
  readonly runId: RunId;
  readonly worker: Address;
  readonly beneficiary: Address;
  readonly build: Digest;
  /** Digest of the fragment table, and what it says of each fragment. */
  readonly table: Digest;
  readonly layouts: readonly FragmentLayout[];
  /** The fragment table itself: tensors in parameter order. */
  readonly tensors: readonly TensorEntry[];
  readonly domain: Domain;
  readonly account: SigningAccount;
  readonly trainer: Trainer;
  readonly session: SessionKeeper;
  readonly blobs: BlobSource;
  readonly receipts: ReceiptJournal;
  readonly clock: Clock;
  readonly onEvent: (event: WorkerEvent) => void;
  /** The inner steps of an assignment: token ids and learning rate of each. */
  readonly stepsOf: (assignment: Assignment, firstStep: number) => Promise<InnerSteps>;
  /** Whose key acknowledges; asked again when an acknowledgement does not fit, since the holders may have changed it. */
  readonly poster: (refresh: boolean) => Promise<Address>;
}

/** What heartbeats tell of a round under way. */
export interface Progress {
  round: number | null;
  step: number;
  loss: number | null;
  tokensPerSecond: number | null;
  uploading: boolean;
}

export interface RoundResult {
  readonly receiptHash: Hex;
  readonly commitment: Commitment;
  readonly header: PayloadHeader;
}

/** Fragments on their way at the same time. */
const UPLOADS = 2;
/** Weight of the newest step in the smoothed loss. */
const SMOOTHING = 0.1;
/** Progress events come at most this often, ms. */
const PROGRESS_EVERY = 200;

/**
 * Works on an assignment.
 * @param residuals error feedback of the rounds before; told of the receipt before it is sent, since from then on it may be
 *   accepted without this worker's hearing of it
 * @param waitedSince when the worker became idle, ms
 * @throws the signal's reason; CoordinatorError when the coordinator refuses (a stale attempt, …); ArtefactError;
 *   AcknowledgementError; DivergedError
 */
export async function workRound(
  assignment: Assignment,
  context: RoundContext,
  residuals: ResidualLedger,
  progress: Progress,
  waitedSince: number,
  signal: AbortSignal,
): Promise<RoundResult> {
  const { clock, trainer } = context;
  const residual = residuals.current;
  const startedAt = clock.monotonic();
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => undefined);
  const unlessAborted = <T>(work: Promise<T>): Promise<T> => Promise.race([work, aborted]);

  Object.assign(progress, { round: assignment.round, step: 0, uploading: false });
  const [base, steps] = await unlessAborted(
    Promise.all([fetchBase(assignment, context), context.stepsOf(assignment, trainer.step)]),
  );
  await trainer.load(base.fragments);
  const commitment = createCommitment();
  commitment.start(trainer.step, await trainer.digest(residual));
  const preparedAt = clock.monotonic();

  const { loss, tokensPerSecond } = await train(assignment, steps, residual, context, progress, commitment, signal);
  const trainedAt = clock.monotonic();

  progress.uploading = true;
  // Asked for first, so that encoding does not wait until the end state is hashed.
  const local = trainer.parameters();
  const endState = trainer.digest(residual);
  endState.catch(() => undefined);
  const { encoded, uploads } = await encodeAndSend(assignment, base, await local, residual, context, signal);
  const next = encoded.map((fragment) => fragment.residual);
  const { header, payloadDigest } = payloadHeader({
    assignment,
    table: context.table,
    fragments: encoded.map(({ index, elements, bytes, digest }) => {
      const fragment = base.manifest.fragments[index]!;
      return { index, base: fragment.digest, elements, bytes: bytes.length, digest };
    }),
  });
  const closed = commitment.finish({
    step: trainer.step,
    endState: await endState,
    baseDigest: assignment.base as Digest,
    newResidual: await blake3Of(tensorViews(next, context.layouts, context.tensors)),
    payloadDigest,
  });
  const receipt = receiptOf({
    ...context,
    assignment,
    commitment: closed.root,
    leaves: closed.leaves.length,
    payloadDigest,
  });
  const signed = await signReceipt(context.account, context.domain, receipt);
  await context.receipts.sent(signed, header);
  await uploads;
  residuals.submitted(signed.receiptHash, next);
  const sentAt = clock.monotonic();

  const reply = await submit(assignment, signed, header, encoded, context, signal);
  const { runId, worker, round } = assignment;
  const due = { runId, worker, round, receiptHash: signed.receiptHash, tokens: tokensOf(assignment) };
  await verifyAnyPoster(due, context, reply);
  await context.receipts.acknowledged(signed.receiptHash, reply);
  const endedAt = clock.monotonic();
  progress.uploading = false;

  const times: RoundTimes = {
    wait: Math.round(startedAt - waitedSince),
    prepare: Math.round(preparedAt - startedAt),
    train: Math.round(trainedAt - preparedAt),
    send: Math.round(sentAt - trainedAt),
    submit: Math.round(endedAt - sentAt),
  };
  context.onEvent({
    type: "acknowledged",
    round: assignment.round,
    receiptHash: signed.receiptHash,
    tokens: tokensOf(assignment),
    loss,
    tokensPerSecond,
    sentBytes: encoded.reduce((sum, fragment) => sum + fragment.bytes.length, 0),
    times,
  });
  return { receiptHash: signed.receiptHash, commitment: closed, header };
}

/** Runs the inner steps segment by segment and notes what was fed. */
async function train(
  assignment: Assignment,
  steps: InnerSteps,
  residual: Residual,
  context: RoundContext,
  progress: Progress,
  commitment: ReturnType<typeof createCommitment>,
  signal: AbortSignal,
): Promise<{ loss: number; tokensPerSecond: number }> {
  const { trainer, clock } = context;
  const { round } = assignment;
  const tokensPerStep = assignment.batch * assignment.sequence;
  const startedAt = clock.monotonic();
  const count = steps.learningRates.length;
  const perStep = steps.tokens.length / count;
  let reportedAt = startedAt;
  let done = 0;
  const onStep = ({ loss }: { loss: number }): void => {
    done += 1;
    progress.step = done;
    progress.loss = progress.loss === null ? loss : progress.loss + SMOOTHING * (loss - progress.loss);
    const now = clock.monotonic();
    progress.tokensPerSecond = (tokensPerStep * done * 1_000) / Math.max(1, now - startedAt);
    if (now - reportedAt < PROGRESS_EVERY && done < count) return;
    reportedAt = now;
    const { loss: smoothed, tokensPerSecond } = progress;
    context.onEvent({ type: "progress", round, step: done, steps: count, loss: smoothed, tokensPerSecond });
  };
  let from = 0;
  for (const end of segmentEnds(count, SEGMENT_STEPS)) {
    const tokens = steps.tokens.subarray(from * perStep, end * perStep);
    const learningRates = steps.learningRates.slice(from, end);
    const before = trainer.step;
    await trainer.train({ tokens, learningRates }, onStep, signal);
    if (end < count) {
      commitment.segment(trainer.step, await trainer.digest(residual), fedDigests(tokens, learningRates, before));
    }
    from = end;
  }
  const { loss, tokensPerSecond } = progress;
  if (loss === null || !Number.isFinite(loss)) {
    progress.loss = null;
    throw new DivergedError(
      "TRAINING_DIVERGED",
      `The loss of round ${roundNumber(round)} is ${loss}: training diverged.`,
    );
  }
  return { loss, tokensPerSecond: tokensPerSecond ?? 0 };
}

/** Encodes fragment after fragment; each is sent as soon as it is encoded. `uploads` settles when all are acknowledged. */
async function encodeAndSend(
  assignment: Assignment,
  base: BaseCheckpoint,
  local: Parameters,
  residual: Residual,
  context: RoundContext,
  signal: AbortSignal,
): Promise<{ encoded: EncodedFragment[]; uploads: Promise<unknown> }> {
  const encoded: EncodedFragment[] = [];
  const running: Promise<void>[] = [];
  const codec = codecOf(assignment.codec);
  const total = context.layouts.reduce((sum, { elements }) => sum + codec.encodedLength(elements), 0);
  context.onEvent({ type: "sending", round: assignment.round, bytes: total });
  for (const [index, layout] of context.layouts.entries()) {
    signal.throwIfAborted();
    const input = { codec: assignment.codec, layout, base: base.fragments[index]!, local, residual: residual[index] };
    const fragment = await encodeFragment(input).catch((error: unknown) => {
      if (!(error instanceof CotrainError) || error.code !== "CODEC_NON_FINITE") throw error;
      throw new DivergedError("TRAINING_DIVERGED", error.message, { cause: error });
    });
    encoded.push(fragment);
    // Not more on their way than a narrow uplink can use; a failure shows when all are awaited.
    await running.at(-UPLOADS)?.catch(() => undefined);
    const upload = send(assignment, fragment, context, signal);
    upload.catch(() => undefined);
    running.push(upload);
  }
  const uploads = Promise.all(running);
  uploads.catch(() => undefined);
  return { encoded, uploads };
}

async function send(
  { assignmentId, attempt, round }: Assignment,
  { index, bytes, digest }: EncodedFragment,
  { session, onEvent }: RoundContext,
  signal: AbortSignal,
): Promise<void> {
  const reply = await session.call(
    `upload of fragment ${index}`,
    (current) => current.uploadFragment(assignmentId, attempt, index, bytes, digest),
    signal,
  );
  if (reply.digest !== digest || reply.bytes !== bytes.length) {
    throw new CoordinatorError(
      200,
      "FRAGMENT_MISMATCH",
      `The coordinator took fragment ${index} of round ${roundNumber(round)} for ${reply.digest} instead of ${digest}.`,
    );
  }
  onEvent({ type: "uploaded", round, fragment: index, bytes: bytes.length });
}

/** A refusal of a receipt because its fragments are not there (any more): a coordinator that lost its disk, not our fault. */
const lacksFragments = (error: unknown): boolean =>
  error instanceof CoordinatorError && /^(FRAGMENT|PAYLOAD)S?_(MISSING|NOT_FOUND|INCOMPLETE)$/.test(error.code);

async function submit(
  assignment: Assignment,
  { receipt, signature }: SignedReceipt,
  header: PayloadHeader,
  encoded: readonly EncodedFragment[],
  context: RoundContext,
  signal: AbortSignal,
): Promise<ReceiptReply> {
  const once = (): Promise<ReceiptReply> =>
    context.session.call("receipt", (current) => current.submitReceipt({ receipt, signature, header }), signal);
  try {
    return await once();
  } catch (error) {
    if (!lacksFragments(error)) throw error;
    const total = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0);
    context.onEvent({ type: "sending", round: assignment.round, bytes: total });
    for (const fragment of encoded) await send(assignment, fragment, context, signal);
    return once();
  }
}

/** Token ids of an assignment, which are all held at once: 512 MiB. */
const MAX_ASSIGNMENT_IDS = 2 ** 28;

/**
 * What makes an assignment one of this worker's that it can compute, and one of the run's: a receipt for another earns nothing.
 * Its `globalStep` is held against its base.
 * @param due.params those of the version that the assignment names
 * @throws UserError `ASSIGNMENT_UNFIT` that says what does not fit
 */
export function checkAssignment(
  assignment: Assignment,
  due: {
    readonly runId: string;
    readonly worker: Address;
    readonly batch: number;
    readonly sequence: number;
    readonly params: Pick<RunParams, "innerSteps" | "rampInnerSteps" | "rampRounds" | "innerLrPpb" | "codec">;
  },
): void {
  const refuse = (what: string): never => {
    throw new UserError(
      "ASSIGNMENT_UNFIT",
      `Assignment ${assignment.assignmentId} of round ${roundNumber(assignment.round)} ${what}: refused.`,
      { details: { assignment: digestOfJson(assignment) } },
    );
  };
  if (assignment.runId !== due.runId) refuse(`is of run ${assignment.runId}`);
  if (assignment.worker !== due.worker) refuse(`is for ${assignment.worker}`);
  if (assignment.batch !== due.batch)
    refuse(`has ${assignment.batch} sequences a step; the program takes ${due.batch}`);
  if (assignment.sequence !== due.sequence)
    refuse(`has sequences of ${assignment.sequence}; the program takes ${due.sequence}`);
  const sequences = assignment.ranges.reduce((sum, { count }) => sum + count, 0);
  if (assignment.steps < 1 || assignment.steps * assignment.batch !== sequences) {
    refuse(`has ${sequences} sequences for ${assignment.steps} steps of ${assignment.batch}`);
  }
  const { params } = due;
  const innerSteps = innerStepsOf(params, assignment.round);
  if (assignment.steps > innerSteps) refuse(`has ${assignment.steps} steps; its round has ${innerSteps}`);
  if (assignment.innerLrPpb !== params.innerLrPpb)
    refuse(`has a learning rate of ${assignment.innerLrPpb} ppb; the run's is ${params.innerLrPpb}`);
  if (assignment.codec !== params.codec) refuse(`has codec ${assignment.codec}; the run's is ${params.codec}`);
  const ids = sequences * (assignment.sequence + 1);
  if (ids > MAX_ASSIGNMENT_IDS) refuse(`has ${ids} token ids; ${MAX_ASSIGNMENT_IDS} at most can be held`);
}

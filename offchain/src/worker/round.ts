/**
 * One assignment, from its base to the verified acknowledgement. What can overlap does: θ_r and tokens arrive together,
 * a fragment is encoded while the one before is being sent, the end state is hashed by the trainer meanwhile.
 */
import type { Assignment, Digest, Hex, PayloadHeader } from "@cotrain/sdk/protocol";

import { unlessAborted } from "../base/index.ts";
import { tensorViews } from "../diloco/index.ts";
import { type BaseCheckpoint, fetchBase } from "./base.ts";
import { type CommitmentBuilder, createCommitment } from "./commitment.ts";
import type { EncodedFragment } from "./encode.ts";
import type { RoundTimes } from "./events.ts";
import { payloadHeader, receiptOf, type SignedReceipt, signReceipt, tokensOf } from "./receipt.ts";
import { blake3Of, type ResidualLedger } from "./residual.ts";
import type { RoundContext, RoundWork } from "./roundWork.ts";
import { encodeAndSend, submit } from "./sending.ts";
import { verifyAnyPoster } from "./settling.ts";
import type { InnerSteps } from "./trainer.ts";
import { DivergedError, train } from "./training.ts";
import type { WorkState } from "./workState.ts";

/**
 * Works on an assignment.
 * @param state its residual ledger is told of the receipt before that is sent, since from then on it may be accepted without
 *   this worker's hearing of it
 * @returns what of it was done and is acknowledged
 * @throws the signal's reason; CoordinatorError when the coordinator refuses (a stale attempt, …); ArtefactError;
 *   AcknowledgementError; DivergedError
 */
export async function workRound(
  assignment: Assignment,
  context: RoundContext,
  state: Pick<WorkState, "residuals" | "progress" | "idleSince" | "current" | "sendings">,
  signal: AbortSignal,
): Promise<Pick<Assignment, "steps" | "batch" | "sequence">> {
  const { clock } = context;
  const { residuals, progress, idleSince, sendings } = state;
  const dueIn = (): number | undefined => {
    const { times } = state.current ?? {};
    return times && times.dueAt - clock.monotonic();
  };
  const timeLeft = (): number | undefined => {
    const now = clock.monotonic();
    const times = state.current?.times;
    return times === undefined || now < times.partAt ? undefined : times.dueAt - now;
  };
  const work: RoundWork = {
    assignment,
    context,
    residual: residuals.current,
    progress,
    timeLeft,
    dueIn,
    sendings,
    signal,
  };
  const startedAt = clock.monotonic();
  Object.assign(progress, { round: assignment.round, step: 0, uploading: false });
  const commitment = createCommitment();
  const { base, steps } = await start(work, commitment);
  const preparedAt = clock.monotonic();
  sendings.prepared(preparedAt - startedAt);
  const { done, loss, lossTokens, tokensPerSecond } = await train(work, steps, commitment);
  const trained = { ...assignment, steps: done };
  const trainedAt = clock.monotonic();

  progress.uploading = true;
  const stepMs = (trainedAt - preparedAt) / done;
  const { encoded, receiptHash, sentAt } = await deliver(work, done, base, commitment, residuals).catch((error) => {
    if (!(error instanceof DivergedError)) sendings.cut(clock.monotonic() - trainedAt, stepMs);
    throw error;
  });
  const endedAt = clock.monotonic();
  sendings.took(endedAt - trainedAt, stepMs);
  progress.uploading = false;

  const times: RoundTimes = {
    wait: Math.round(startedAt - idleSince),
    prepare: Math.round(preparedAt - startedAt),
    train: Math.round(trainedAt - preparedAt),
    send: Math.round(sentAt - trainedAt),
    submit: Math.round(endedAt - sentAt),
  };
  context.onEvent({
    type: "acknowledged",
    round: assignment.round,
    receiptHash,
    tokens: tokensOf(trained),
    loss,
    lossTokens,
    tokensPerSecond,
    sentBytes: encoded.reduce((sum, fragment) => sum + fragment.bytes.length, 0),
    times,
  });
  return trained;
}

/** Fetches θ_r and the tokens, loads θ_r and commits to the state before the first step. */
async function start(
  { assignment, context, residual, signal }: RoundWork,
  commitment: CommitmentBuilder,
): Promise<{ base: BaseCheckpoint; steps: InnerSteps }> {
  const { trainer } = context;
  const [base, steps] = await unlessAborted(
    Promise.all([fetchBase(assignment, context), context.stepsOf(assignment, trainer.step)]),
    signal,
  );
  await trainer.load(base.fragments);
  commitment.start(trainer.step, await trainer.digest(residual));
  return { base, steps };
}

/** Sends what was trained, and its receipt, until that is acknowledged. */
async function deliver(
  work: RoundWork,
  steps: number,
  base: BaseCheckpoint,
  commitment: CommitmentBuilder,
  residuals: ResidualLedger,
): Promise<{ encoded: readonly EncodedFragment[]; receiptHash: Hex; sentAt: number }> {
  const { clock, receipts } = work.context;
  const { encoded, header, signed, uploads } = await close(work, steps, base, commitment);
  await receipts.sent(signed, header, tokensOf({ ...work.assignment, steps }));
  await uploads;
  residuals.submitted(
    signed.receiptHash,
    encoded.map((fragment) => fragment.residual),
  );
  const sentAt = clock.monotonic();
  await acknowledge(work, signed, header, encoded);
  return { encoded, receiptHash: signed.receiptHash, sentAt };
}

/** Encodes the pseudo-gradient, closes the commitment over it and signs the receipt, while fragments are on their way. */
async function close(
  work: RoundWork,
  steps: number,
  base: BaseCheckpoint,
  commitment: CommitmentBuilder,
): Promise<{ encoded: EncodedFragment[]; header: PayloadHeader; signed: SignedReceipt; uploads: Promise<unknown> }> {
  const { assignment, context, residual } = work;
  const { trainer, layouts, tensors, table } = context;
  // Sending begins first, so that encoding does not wait until the end state is hashed. Whichever fails ends both.
  const [{ encoded, uploads }, endState] = await Promise.all([encodeAndSend(work, base), trainer.digest(residual)]);
  const { header, payloadDigest } = payloadHeader({
    assignment,
    table,
    fragments: encoded.map(({ index, elements, bytes, digest }) => {
      const fragment = base.manifest.fragments[index]!;
      return { index, base: fragment.digest, elements, bytes: bytes.length, digest };
    }),
  });
  const next = encoded.map((fragment) => fragment.residual);
  const closed = commitment.finish({
    step: trainer.step,
    endState,
    baseDigest: assignment.base as Digest,
    newResidual: await blake3Of(tensorViews(next, layouts, tensors)),
    payloadDigest,
  });
  const { beneficiary, build } = context;
  const { root, leaves } = closed;
  const receipt = receiptOf({
    assignment,
    steps,
    beneficiary,
    build,
    commitment: root,
    leaves: leaves.length,
    payloadDigest,
  });
  return { encoded, header, signed: await signReceipt(context.account, context.domain, receipt), uploads };
}

/** Submits the receipt, and keeps its acknowledgement once that is verified. */
async function acknowledge(
  work: RoundWork,
  signed: SignedReceipt,
  header: PayloadHeader,
  encoded: readonly EncodedFragment[],
): Promise<void> {
  const { assignment, context } = work;
  const { receiptHash, receipt } = signed;
  const reply = await submit(work, signed, header, encoded);
  const { runId, worker, round } = assignment;
  await verifyAnyPoster(
    { runId, worker, round, receiptHash, tokens: tokensOf({ ...assignment, steps: receipt.steps }) },
    context,
    reply,
  );
  await context.receipts.acknowledged(receiptHash, reply);
}

/** The inner steps of a round, segment by segment, and what was fed in each. */
import { roundNumber, UserError } from "../base/index.ts";
import { type CommitmentBuilder, fedDigests, segmentEnds } from "./commitment.ts";
import type { RoundWork } from "./roundWork.ts";
import type { InnerSteps } from "./trainer.ts";

/** Training produced what cannot be sent; the optimizer's state is worth nothing any more. */
export class DivergedError extends UserError {
  override readonly name = "DivergedError";
}

/** Weight of the newest step in the smoothed loss. */
const SMOOTHING = 0.1;
/** A step or a sending may take so many times what it took before. */
const CAUTION = 1.5;
/** Of a work's time sending may be thought to take 1 / so much. */
const SENDING_SHARE = 4;
/** Progress events come at most this often, ms. */
const PROGRESS_EVERY = 200;

interface Trained {
  /** Inner steps that were done: all, or as many as there was time for. */
  readonly done: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
}

/**
 * Runs the inner steps segment by segment and notes what was fed. Where all of them would take longer than the round waits, it stops
 * while what is done can still be sent; the rest goes back.
 */
export async function train(work: RoundWork, steps: InnerSteps, commitment: CommitmentBuilder): Promise<Trained> {
  const { assignment, context, residual, progress, signal } = work;
  const { trainer, clock } = context;
  const { dueIn } = work;
  const enough = new AbortController();
  const { round } = assignment;
  const tokensPerStep = assignment.batch * assignment.sequence;
  const startedAt = clock.monotonic();
  const count = steps.learningRates.length;
  const perStep = steps.tokens.length / count;
  let reportedAt = startedAt;
  let done = 0;
  const onSteps = (newest: readonly { readonly loss: number }[]): void => {
    done += newest.length;
    progress.step = done;
    progress.loss = newest.reduce<number | null>(
      (smoothed, step) => (smoothed === null ? step.loss : smoothed + SMOOTHING * (step.loss - smoothed)),
      progress.loss,
    );
    const now = clock.monotonic();
    if (isLate(work, { done, count, elapsed: now - startedAt })) enough.abort();
    progress.tokensPerSecond = (tokensPerStep * done * 1_000) / Math.max(1, now - startedAt);
    const { loss, tokensPerSecond } = progress;
    if (loss === null || (now - reportedAt < PROGRESS_EVERY && done < count)) return;
    reportedAt = now;
    context.onEvent({ type: "progress", round, step: done, steps: count, loss, tokensPerSecond });
  };
  let from = 0;
  for (const end of segmentEnds(count, context.segmentSteps)) {
    if (enough.signal.aborted) break;
    const tokens = steps.tokens.subarray(from * perStep, end * perStep);
    const learningRates = steps.learningRates.slice(from, end);
    const before = trainer.step;
    from += await trainer.train({ tokens, learningRates }, onSteps, { signal, enough: enough.signal, dueIn });
    if (from < end) break;
    if (end < count && !enough.signal.aborted) {
      commitment.segment(trainer.step, await trainer.digest(residual), fedDigests(tokens, learningRates, before));
    }
  }
  const { loss, tokensPerSecond } = progress;
  if (loss === null || !Number.isFinite(loss)) {
    progress.loss = null;
    throw new DivergedError(
      "TRAINING_DIVERGED",
      `The loss of round ${roundNumber(round)} is ${loss}: training diverged.`,
    );
  }
  return { done: from, loss, tokensPerSecond: tokensPerSecond ?? 0 };
}

/** Whether the steps that are left take longer than there is time, and another one would take what sending needs. */
function isLate(
  { assignment, context, timeLeft, closingMs }: RoundWork,
  { done, count, elapsed }: { readonly done: number; readonly count: number; readonly elapsed: number },
): boolean {
  const left = timeLeft();
  if (left === undefined || done < Math.min(context.leastSteps, assignment.steps)) return false;
  const stepMs = elapsed / done;
  // A sending that took long once, while the coordinator was away perhaps, must not take the time of every round after it.
  const sending = Math.min(CAUTION * closingMs, (elapsed + left) / SENDING_SHARE);
  return left < stepMs * (count - done) + sending && left < CAUTION * stepMs + sending;
}

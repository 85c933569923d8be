/** The inner steps of a round, segment by segment, and what was fed in each. */
import { roundNumber, UserError } from "../base/index.ts";
import { type CommitmentBuilder, fedDigests, segmentEnds } from "./commitment.ts";
import type { RoundWork } from "./roundWork.ts";
import type { InnerSteps } from "./trainer.ts";
import { afterSteps, lossOf } from "./trainingLoss.ts";

/** Training produced what cannot be sent; the optimizer's state is worth nothing any more. */
export class DivergedError extends UserError {
  override readonly name = "DivergedError";
}

/** A step or a sending may take so many times what it took before. */
const CAUTION = 1.5;
/** Of a work's time sending may be thought to take so much: a part counts from half of the time on. */
const SENDING_SHARE = 0.5;
/** Weight of the newest step in what a step takes now. */
const RECENT = 0.5;
/** Progress events come at most this often, ms. */
const PROGRESS_EVERY = 200;

interface Trained {
  /** Inner steps that were done: all, or as many as there was time for. */
  readonly done: number;
  readonly loss: number;
  /** Tokens that the loss is the mean of. */
  readonly lossTokens: number;
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
  let endedAt = startedAt;
  let recentMs: number | undefined;
  let done = 0;
  const onSteps = (newest: readonly { readonly loss: number }[]): void => {
    done += newest.length;
    progress.step = done;
    progress.newest = afterSteps(
      progress.newest,
      newest.map(({ loss }) => ({ loss, tokens: tokensPerStep })),
    );
    const now = clock.monotonic();
    const newestMs = (now - endedAt) / newest.length;
    recentMs = recentMs === undefined ? newestMs : recentMs + RECENT * (newestMs - recentMs);
    endedAt = now;
    if (isLate(work, { done, count, elapsed: now - startedAt, recentMs })) enough.abort();
    progress.tokensPerSecond = (tokensPerStep * done * 1_000) / Math.max(1, now - startedAt);
    const { tokensPerSecond } = progress;
    const { loss, lossTokens } = lossOf(progress.newest);
    if (loss === null || (now - reportedAt < PROGRESS_EVERY && done < count)) return;
    reportedAt = now;
    context.onEvent({ type: "progress", round, step: done, steps: count, loss, lossTokens, tokensPerSecond });
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
  const { loss, lossTokens } = lossOf(progress.newest);
  if (loss === null || !Number.isFinite(loss)) {
    progress.newest = [];
    throw new DivergedError(
      "TRAINING_DIVERGED",
      `The loss of round ${roundNumber(round)} is ${loss}: training diverged.`,
    );
  }
  return { done: from, loss, lossTokens, tokensPerSecond: progress.tokensPerSecond ?? 0 };
}

/** How far a round is, and how fast. */
interface Pace {
  readonly done: number;
  readonly count: number;
  /** Since its first step began, ms. */
  readonly elapsed: number;
  /** What a step takes now. */
  readonly recentMs: number;
}

/** Whether the steps that are left take longer than there is time, and another one would take what sending needs. */
function isLate(
  { assignment, context, timeLeft, sendings }: RoundWork,
  { done, count, elapsed, recentMs }: Pace,
): boolean {
  const left = timeLeft();
  if (left === undefined || done < Math.min(context.leastSteps, assignment.steps)) return false;
  // A machine that others use grows slow in the middle of a round, and what it did before says too little then.
  const stepMs = Math.max(elapsed / done, recentMs);
  const sending = Math.min(CAUTION * sendings.expected(stepMs), (elapsed + left) * SENDING_SHARE);
  return left < stepMs * (count - done) + sending && left < CAUTION * stepMs + sending;
}

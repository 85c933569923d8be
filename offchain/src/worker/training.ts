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
/** Progress events come at most this often, ms. */
const PROGRESS_EVERY = 200;

/** Runs the inner steps segment by segment and notes what was fed. */
export async function train(
  { assignment, context, residual, progress, signal }: RoundWork,
  steps: InnerSteps,
  commitment: CommitmentBuilder,
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
  for (const end of segmentEnds(count, context.segmentSteps)) {
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

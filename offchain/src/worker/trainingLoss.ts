/** Training loss as people see it: the mean of the newest inner steps, with the size of the sample that it rests on. */
import { LOSS_STEPS } from "@cotrain/sdk/protocol";

export interface StepLoss {
  /** Nats per token. */
  readonly loss: number;
  /** Tokens predicted in the step. */
  readonly tokens: number;
}

/** The newest steps after some more. */
export function afterSteps(before: readonly StepLoss[], more: readonly StepLoss[]): readonly StepLoss[] {
  const steps = [...before, ...more];
  // Training that diverged does not come back: what is no number stays.
  const lost = steps.find(({ loss }) => !Number.isFinite(loss));
  return lost ? [lost] : steps.slice(-LOSS_STEPS);
}

/** Their mean by tokens, nats per token, and how many tokens that are; null and 0 of no steps. */
export function lossOf(steps: readonly StepLoss[]): { readonly loss: number | null; readonly lossTokens: number } {
  const lossTokens = steps.reduce((sum, { tokens }) => sum + tokens, 0);
  const sum = steps.reduce((total, { loss, tokens }) => total + loss * tokens, 0);
  return { loss: steps.length === 0 ? null : sum / lossTokens, lossTokens };
}

/** How much each worker's pseudo-gradient counts. */
import { type Address, weightingCode } from "@cotrain/sdk/protocol";

import { InternalError } from "../base/index.ts";
import { tableOf } from "./kinds.ts";

/** A worker, the tokens that it trained on, and in how many inner steps. */
export interface Share {
  readonly worker: Address;
  readonly tokens: number;
  readonly steps: number;
}

/** A share and its weight, an fp32 value. All weights of a round sum to about 1. */
export type Weighted<T extends Share> = T & { readonly weight: number };

/** The weight of one share among those of a round. */
type Weighting = (share: Share, total: Total) => number;

interface Total {
  readonly tokens: number;
  readonly shares: number;
  /** Tokens of one step of each, summed in doubles, in ascending order of address. */
  readonly perStep: number;
}

/** fround(tokens ÷ Σ tokens), the quotient in a double. */
const byTokens: Weighting = ({ tokens }, total) => Math.fround(tokens / total.tokens);

/** All alike, however little they trained. */
const alike: Weighting = (_, { shares }) => Math.fround(1 / shares);

/**
 * By tokens, each pseudo-gradient rescaled from its own steps to as many for all: one of few steps is small, and by tokens alone its
 * smallness would count twice. FedNova (arXiv 2007.07481) goes on by the mean number of steps, which would let members of few steps
 * make everybody's sum of weights as large as there are members: how far a round goes is the outer learning rate's matter here.
 */
const normalised: Weighting = ({ tokens, steps }, { perStep }) => Math.fround(tokens / steps / perStep);

const weightingOf: (code: number) => Weighting = tableOf(
  { name: "Weighting", error: "WEIGHTING_UNKNOWN" },
  weightingCode,
  { tokens: byTokens, uniform: alike, normalised },
);

/** Whether tokens of a round, all of them together, are a number that {@link weigh} can count with. What is published may say anything. */
export const canBeWeighed = (tokens: bigint): boolean => tokens <= BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Sorts by ascending address and weighs.
 * @param weighting number in RunParams.weighting
 * @throws UserError `WEIGHTING_UNKNOWN`; InternalError `REDUCE_EMPTY` or `REDUCE_INVALID`
 */
export function weigh<T extends Share>(shares: readonly T[], weighting: number = weightingCode.tokens): Weighted<T>[] {
  const weightOf = weightingOf(weighting);
  if (shares.length === 0)
    throw new InternalError("REDUCE_EMPTY", "A round without accepted payloads has no aggregate.");
  const key = (share: T): string => share.worker.toLowerCase();
  const sorted = [...shares].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  let tokens = 0;
  for (const [i, share] of sorted.entries()) {
    const previous = sorted[i - 1];
    if (previous && key(previous) === key(share)) {
      throw new InternalError("REDUCE_INVALID", `Worker ${share.worker} counts twice in one round.`);
    }
    if (!Number.isSafeInteger(share.tokens) || share.tokens <= 0) {
      throw new InternalError(
        "REDUCE_INVALID",
        `Worker ${share.worker} has ${share.tokens} tokens; a positive integer is due.`,
      );
    }
    if (!Number.isSafeInteger(share.steps) || share.steps <= 0) {
      throw new InternalError(
        "REDUCE_INVALID",
        `Worker ${share.worker} took ${share.steps} steps; a positive integer is due.`,
      );
    }
    tokens += share.tokens;
  }
  if (!Number.isSafeInteger(tokens)) throw new InternalError("REDUCE_INVALID", "The tokens of one round exceed 2^53.");
  const perStep = sorted.reduce((sum, share) => sum + share.tokens / share.steps, 0);
  const total = { tokens, shares: sorted.length, perStep };
  return sorted.map((share) => ({ ...share, weight: weightOf(share, total) }));
}

type Pull = (share: Share) => bigint;
const pullByWeighting: (code: number) => Pull = tableOf(
  { name: "Weighting", error: "WEIGHTING_UNKNOWN" },
  weightingCode,
  {
    tokens: ({ tokens }) => BigInt(tokens),
    uniform: () => 1n,
    normalised: ({ tokens, steps }) => BigInt(tokens) / BigInt(steps),
  },
);

/** What a payload's weight is in proportion to, exactly: its tokens, one, or the tokens of a step of it. */
export const pullOf = (share: Share, weighting: number = weightingCode.tokens): bigint =>
  pullByWeighting(weighting)(share);

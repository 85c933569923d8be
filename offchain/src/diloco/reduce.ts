/**
 * Reducing: from the accepted payloads of one fragment to its next parameters and outer state (protocol.md, "Reduce").
 * Coordinator and validators call the same function, so that they get the same bits. How is what the run's parameters
 * choose: codec, weighting, aggregator and outer optimizer are rows of their tables.
 */
import { outerHyperparametersOf, type RunParams } from "@cotrain/sdk/protocol";

import { InternalError } from "../base/index.ts";
import { aggregate } from "./aggregate.ts";
import { aggregatorOf } from "./aggregator.ts";
import { codecOf } from "./codec.ts";
import { outerOptimizerOf } from "./outerOptimizer.ts";
import type { ChunkSource } from "./payload.ts";
import { WHOLE_PPM } from "./screening.ts";
import { type Share, weigh } from "./weights.ts";

/** One worker's payload of one fragment. */
export interface FragmentPayload extends Share {
  readonly source: ChunkSource;
  /** What the pseudo-gradient is multiplied by, millionths; absent = all of it. */
  readonly clipPpm?: number;
}

/** One fragment between two rounds. */
export interface OuterState {
  /** θ_r, [n]. */
  readonly params: Float32Array;
  /** The outer optimizer's state, [n]. */
  readonly outer: Float32Array;
}

/** What the run's parameters say of reducing. */
type ReduceRules = Pick<
  RunParams,
  "codec" | "weighting" | "aggregator" | "outerOptimizer" | "outerLrPpm" | "outerMomentumPpm" | "rampRounds"
>;

/** What the next state of one fragment is a function of. */
export interface ReduceInput {
  readonly state: OuterState;
  /** Accepted payloads in any order. */
  readonly payloads: readonly FragmentPayload[];
  /** Parameters in force in `round`. */
  readonly rules: ReduceRules;
  readonly round: number;
  /** Whether the outer state begins anew: by itself it would raise the loss (`dropsMomentum`). */
  readonly anew?: boolean;
  /** Elements per chunk at most, a multiple of 256; does not change the result. */
  readonly chunkElements?: number;
}

/** The state after the round. */
interface Reduced extends OuterState {
  readonly params: Float32Array<ArrayBuffer>;
  readonly outer: Float32Array<ArrayBuffer>;
}

/**
 * The aggregate in ascending order of address, then one outer step; without payloads no step, and the outer state of the
 * beginning. Inputs are not changed.
 * @throws PayloadError when a payload is malformed; what `source.read` throws
 */
export async function reduceFragment(input: ReduceInput): Promise<Reduced> {
  const { state, rules, anew = false, chunkElements } = input;
  const optimizer = outerOptimizerOf(rules.outerOptimizer);
  const elements = state.params.length;
  // Nothing was fit: what the buffer drives at may be why, and without it the next round begins anew.
  if (input.payloads.length === 0) return { params: new Float32Array(state.params), outer: optimizer.init(elements) };
  const payloads = weigh(input.payloads, rules.weighting).map(({ source, weight, clipPpm = WHOLE_PPM }) => ({
    source,
    weight,
    clip: clipPpm < WHOLE_PPM ? Math.fround(clipPpm / WHOLE_PPM) : 1,
  }));
  if (state.outer.length !== optimizer.stateSize * elements)
    throw new InternalError("REDUCE_INVALID", `An outer state of ${state.outer.length} for ${elements} elements.`);
  const params = new Float32Array(state.params);
  const outer = anew ? optimizer.init(elements) : new Float32Array(state.outer);
  const size = outerHyperparametersOf(rules, input.round);
  const [aggregator, codec] = [aggregatorOf(rules.aggregator), codecOf(rules.codec)];
  for await (const { start, gradient } of aggregate({ aggregator, codec, payloads, elements, chunkElements })) {
    const end = start + gradient.length;
    optimizer.update(params.subarray(start, end), outer.subarray(start, end), gradient, size);
  }
  return { params, outer };
}

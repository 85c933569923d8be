/**
 * Rules of aggregation as pure { plan, reduce } over the payloads of one fragment. `reduce` makes the aggregate chunk by
 * chunk and has the same chunk of every payload at hand, so that a coordinate-wise median is a row as the mean is; `plan`
 * may look at all of them before, so that one that chooses among whole payloads, as Krum does, is another. What a row
 * needs it declares, and aggregate.ts lends it that and no more.
 */
import { aggregatorCode } from "@cotrain/sdk/protocol";

import { tableOf } from "./kinds.ts";
import { mean } from "./mean.ts";

/** What a rule needs beside the aggregate itself. */
interface AggregatorNeeds {
  /** How often it goes over the payloads: `reduce` once, and `plan` as often as is left. */
  readonly passes: number;
  /** fp32 arrays of a chunk's length to write in; the more, the shorter are the chunks. */
  rows(payloads: number): number;
  /** Bytes of a plan and of what it is made from, whatever the fragment's size. */
  planBytes(payloads: number): number;
}

/** The same elements of all payloads. One at a time is read, when it is asked for: whoever needs one at a time holds one. */
export interface Chunk {
  /** Index of its first element in the fragment. */
  readonly start: number;
  readonly length: number;
  /** Arrays as many as `needs.rows` says, [length] each, with anything in them. */
  readonly rows: readonly Float32Array[];
  /** acc[i] = fround(acc[i] + fround(weight · d[i])); the weight of a clipped payload is w = fround(weight · clip). */
  add(payload: number, weight: number, acc: Float32Array): Promise<void>;
  /** out[i] = d[i]; of a clipped payload fround(clip · d[i]). */
  decode(payload: number, out: Float32Array): Promise<void>;
}

/** What a plan is made of. */
interface Payloads {
  /** By payload, in ascending order of address, as RunParams.weighting says. */
  readonly weights: readonly number[];
  readonly elements: number;
  /**
   * All chunks in order, for a first pass over the payloads.
   * @throws InternalError `AGGREGATOR_PASSES` beyond what is declared
   */
  readonly pass: () => Iterable<Chunk>;
}

export interface Aggregator<Plan = unknown> {
  readonly needs: AggregatorNeeds;
  /** Before the first chunk: what `reduce` has to know of all payloads. */
  plan(payloads: Payloads): Plan | Promise<Plan>;
  /** @param gradient zeros, becomes the aggregate of the chunk, [chunk.length] */
  reduce(plan: Plan, chunk: Chunk, gradient: Float32Array): Promise<void>;
}

/**
 * The aggregator of a number in RunParams.
 * @throws UserError `AGGREGATOR_UNKNOWN`
 */
export const aggregatorOf: (code: number) => Aggregator = tableOf(
  { name: "Aggregator", error: "AGGREGATOR_UNKNOWN" },
  aggregatorCode,
  { mean },
);

/**
 * The interface of aggregators holds rules other than the mean: a coordinate-wise median, a trimmed mean and Krum, written as
 * rows against it, give what a naive computation over whole payloads gives. They are no rules of any run.
 */
import { codecCode } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { aggregate, type WeightedPayload } from "../../../offchain/src/diloco/aggregate.ts";
import type { Aggregator, Chunk } from "../../../offchain/src/diloco/aggregator.ts";
import { codecOf, sourceOf } from "../../../offchain/src/diloco/index.ts";
import { decodePayload, encodePayload } from "./payloads.ts";
import { mean } from "../../../offchain/src/diloco/mean.ts";

const CODEC = codecCode["int8-b256"];
const codec = codecOf(CODEC);
const BLOCK = codec.block;

const decodeAll = async (chunk: Chunk): Promise<void> => {
  for (const [payload, row] of chunk.rows.entries()) await chunk.decode(payload, row);
};
const column = (rows: readonly Float32Array[], i: number): number[] => rows.map((row) => row[i]!);

/** What is in the middle of sorted numbers: of an even number the mean of both. */
const middle = (sorted: readonly number[]): number =>
  Math.fround((sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2);
/** The mean without the smallest and the largest. */
const trimmed = (sorted: readonly number[]): number =>
  Math.fround(sorted.slice(1, -1).reduce((sum, value) => sum + value, 0) / (sorted.length - 2));

/** A rule that looks at one coordinate of all payloads: it needs a row for each, and no plan. */
const coordinateWise = (of: (sorted: readonly number[]) => number): Aggregator => ({
  needs: { passes: 1, rows: (payloads) => payloads, planBytes: () => 0 },
  plan: () => null,
  reduce: async (_, chunk, gradient) => {
    await decodeAll(chunk);
    for (let i = 0; i < chunk.length; i++) gradient[i] = of(column(chunk.rows, i).toSorted((a, b) => a - b));
  },
});

/** How many payloads Krum takes for hostile, and the score of one: the distances to its nearest but those. */
const hostileOf = (payloads: number): number => Math.floor((payloads - 3) / 2);
const scoreOf = (distances: readonly number[]): number =>
  distances
    .toSorted((a, b) => a - b)
    .slice(0, distances.length + 1 - hostileOf(distances.length + 1) - 2)
    .reduce((sum, value) => sum + value, 0);

/** Krum (arXiv 1703.02757): the payload that is nearest to its neighbours. A first pass sums up the distances of all pairs. */
const krum: Aggregator<number> = {
  needs: { passes: 2, rows: (payloads) => payloads, planBytes: (payloads) => 8 * payloads ** 2 },
  plan: async ({ weights, pass }) => {
    const distances = weights.map(() => new Float64Array(weights.length));
    for (const chunk of pass()) {
      await decodeAll(chunk);
      for (const [a, row] of chunk.rows.entries())
        for (const [b, other] of chunk.rows.entries())
          for (let i = 0; i < chunk.length; i++) distances[a]![b]! += (row[i]! - other[i]!) ** 2;
    }
    const scores = distances.map((row, own) => scoreOf([...row].filter((_, other) => other !== own)));
    return scores.indexOf(Math.min(...scores));
  },
  reduce: (chosen, chunk, gradient) => chunk.decode(chosen, gradient),
};

const ELEMENTS = 5 * BLOCK + 77;

const clip = (k: number): number => (k === 2 ? 0.5 : 1);

/** Payloads around one direction, one of them far off; the third is clipped to a half. */
function payloadsOf(seed: string, count: number): { payloads: WeightedPayload[]; values: number[][] } {
  const random = createRandom(seed);
  const direction = Array.from({ length: ELEMENTS }, () => random.normal());
  const encoded = Array.from({ length: count }, (_, k) => {
    const delta = Float32Array.from(direction, (value) => value + random.normal() * (k === 1 ? 50 : 0.3));
    return encodePayload(CODEC, delta).bytes;
  });
  return {
    payloads: encoded.map((bytes, k) => ({ source: sourceOf(bytes), weight: Math.fround(1 / count), clip: clip(k) })),
    values: encoded.map((bytes, k) =>
      [...decodePayload(CODEC, bytes, ELEMENTS)].map((value) => Math.fround(clip(k) * value)),
    ),
  };
}

async function aggregated<Plan>(
  aggregator: Aggregator<Plan>,
  payloads: readonly WeightedPayload[],
  chunkElements?: number,
): Promise<number[]> {
  const out = new Float32Array(ELEMENTS).fill(Number.NaN);
  const input = { aggregator, codec, payloads, elements: ELEMENTS, chunkElements };
  for await (const { start, gradient } of aggregate(input)) out.set(gradient, start);
  return [...out];
}

const perElement = (values: readonly number[][], of: (sorted: readonly number[]) => number): number[] =>
  Array.from({ length: ELEMENTS }, (_, i) => of(values.map((each) => each[i]!).toSorted((a, b) => a - b)));

const distance = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);

function naiveKrum(values: readonly number[][]): number[] {
  const scores = values.map((own) =>
    scoreOf(values.filter((other) => other !== own).map((other) => distance(own, other))),
  );
  return values[scores.indexOf(Math.min(...scores))]!;
}

const rules: [string, Aggregator, (values: readonly number[][]) => number[]][] = [
  ["a coordinate-wise median", coordinateWise(middle), (values) => perElement(values, middle)],
  ["a trimmed mean", coordinateWise(trimmed), (values) => perElement(values, trimmed)],
  ["Krum", krum, naiveKrum],
];

describe("a rule of aggregation", () => {
  it.each(rules)("may be %s, whatever the chunks", async (_, rule, naive) => {
    for (const count of [5, 8]) {
      const { payloads, values } = payloadsOf(`payloads ${count}`, count);
      const due = naive(values);
      for (const chunkElements of [undefined, BLOCK, 2 * BLOCK])
        expect(await aggregated(rule, payloads, chunkElements)).toEqual(due);
    }
  });

  it("is lent rows that are as much shorter as they are more", async () => {
    const elements = 1 << 20;
    const { bytes } = encodePayload(codecCode.fp32, new Float32Array(elements));
    const payload = { source: sourceOf(bytes), weight: 1, clip: 1 };
    const lent: [number, number][] = [];
    for (const rows of [0, 16, 1_000, 16_384]) {
      const spy: Aggregator = {
        needs: { passes: 1, rows: () => rows, planBytes: () => 0 },
        plan: () => null,
        reduce: async (_, chunk) => {
          if (chunk.start > 0) throw new Error("seen");
          lent.push([chunk.rows.length, chunk.length]);
        },
      };
      const chunks = aggregate({ aggregator: spy, codec: codecOf(codecCode.fp32), payloads: [payload], elements });
      await chunks.next();
    }
    expect(lent).toEqual([
      [0, 1 << 18],
      [16, 1 << 18],
      [1_000, 4_194],
      [16_384, 256],
    ]);
  });

  it("does not go over the payloads more often, plan more bytes, or read two at once, than it said", async () => {
    const { payloads } = payloadsOf("refused", 5);
    const greedy = { ...krum, needs: { ...krum.needs, passes: 1 } };
    await expect(aggregated(greedy, payloads)).rejects.toMatchObject({ code: "AGGREGATOR_PASSES" });
    const large = { ...mean, needs: { ...mean.needs, planBytes: () => 1e9 } };
    await expect(aggregated(large, payloads)).rejects.toMatchObject({ code: "AGGREGATOR_MEMORY" });
    const hasty: Aggregator = {
      ...coordinateWise(middle),
      reduce: async (_, chunk) => {
        await Promise.all(chunk.rows.map((row, payload) => chunk.decode(payload, row)));
      },
    };
    await expect(aggregated(hasty, payloads)).rejects.toMatchObject({ code: "AGGREGATOR_OVERLAP" });
  });
});

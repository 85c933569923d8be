import { readFileSync } from "node:fs";

import { aggregatorCode, codecCode, outerOptimizerCode, weightingCode } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createRandom, float32Of } from "../../../offchain/src/base/index.ts";
import {
  codecOf,
  type FragmentPayload,
  fragmentLayouts,
  gatherFragment,
  outerOptimizerOf,
  PayloadError,
  pseudoGradient,
  reduceFragment,
  type ReduceInput,
  scatterFragment,
  tensorViews,
  sourceOf,
  pullOf,
  weigh,
} from "../../../offchain/src/diloco/index.ts";
import { encodePayload } from "./payloads.ts";
import { aggregatorOf } from "../../../offchain/src/diloco/aggregator.ts";
import { type DilocoVectors, toHex, vectorsPath } from "./vectors.ts";

const INT8 = codecCode["int8-b256"];
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const vectors: DilocoVectors = JSON.parse(readFileSync(vectorsPath, "utf8"));
const address = (i: number): `0x${string}` => `0x${i.toString(16).padStart(40, "0")}`;

const rules = {
  codec: INT8,
  weighting: weightingCode.tokens,
  aggregator: aggregatorCode.mean,
  outerOptimizer: outerOptimizerCode.nesterov,
  outerLrPpm: 700_000,
  outerMomentumPpm: 900_000,
  rampRounds: 0,
};

/** A round of `k` workers on `n` elements. */
function round(seed: string, n: number, k: number): ReduceInput {
  const random = createRandom(seed);
  const normal = (size: number): Float32Array => Float32Array.from({ length: n }, () => random.normal() * size);
  const payloads: FragmentPayload[] = Array.from({ length: k }, (_, i) => ({
    worker: address(i * 7 + 1),
    tokens: 1 + random.below(100_000),
    steps: 1,
    source: sourceOf(encodePayload(INT8, normal(1e-2)).bytes),
  }));
  return {
    state: { params: normal(0.1), outer: normal(1e-2) },
    payloads,
    rules,
    round: 0,
  };
}

describe("reduce", () => {
  it.each(vectors.reduce)("vector: $name", async (vector) => {
    const next = await reduceFragment({
      state: { params: float32Of(bytes(vector.params)), outer: float32Of(bytes(vector.buffer)) },
      payloads: vector.contributions.map(({ worker, tokens, payload }) => ({
        worker: worker as `0x${string}`,
        tokens,
        steps: 1,
        source: sourceOf(bytes(payload)),
      })),
      rules: { ...rules, outerLrPpm: vector.lrPpm, outerMomentumPpm: vector.momentumPpm },
      round: 0,
    });
    expect(toHex(next.params)).toBe(vector.nextParams);
    expect(toHex(next.outer)).toBe(vector.nextBuffer);
  });

  it("depends on the set of payloads alone: not on their order, nor on the chunk, nor on letter case", async () => {
    const input = round("order", 3000, 5);
    const expected = await reduceFragment(input);
    const random = createRandom("orders");
    for (const chunkElements of [256, 512, 2560, 1 << 20]) {
      const payloads = random.shuffle(
        input.payloads.map((c) => ({ ...c, worker: c.worker.toUpperCase().replace("0X", "0x") as `0x${string}` })),
      );
      expect(await reduceFragment({ ...input, payloads, chunkElements })).toEqual(expected);
    }
  });

  it("reads asynchronous sources that reuse their buffer, one chunk of one worker at a time", async () => {
    const input = round("sources", 5000, 4);
    const expected = await reduceFragment(input);
    let open = 0;
    let largest = 0;
    const scratch = new Uint8Array(4096);
    const payloads = input.payloads.map((payload) => ({
      ...payload,
      source: {
        length: payload.source.length,
        read: async (offset: number, length: number) => {
          open++;
          largest = Math.max(largest, open, length / 512);
          await Promise.resolve();
          open--;
          scratch.set(await payload.source.read(offset, length));
          return scratch.subarray(0, length);
        },
      },
    }));
    expect(await reduceFragment({ ...input, payloads, chunkElements: 512 })).toEqual(expected);
    expect(largest).toBe(1);
  });

  it("averages plainly with learning rate 1 and momentum 0", async () => {
    const global = new Float32Array([1, 2, 3, 4]);
    const locals = [new Float32Array([2, 2, 3, 0]), new Float32Array([4, 2, 1, 4])];
    const payloads = locals.map((local, i) => ({
      worker: address(i + 1),
      tokens: i === 0 ? 300 : 100,
      steps: 1,
      source: sourceOf(encodePayload(codecCode.fp32, pseudoGradient(global, local)).bytes),
    }));
    const next = await reduceFragment({
      state: { params: global, outer: outerOptimizerOf(rules.outerOptimizer).init(4) },
      payloads,
      // What the ramp is.
      rules: { ...rules, codec: codecCode.fp32, rampRounds: 1 },
      round: 0,
    });
    expect(next.params).toEqual(new Float32Array([2.5, 2, 2.5, 1]));
    expect(global).toEqual(new Float32Array([1, 2, 3, 4]));
  });

  it("takes no step without payloads, and begins the buffer anew", async () => {
    const input = round("nobody", 600, 2);
    const { params, outer } = await reduceFragment({ ...input, payloads: [] });
    expect(params).toEqual(input.state.params);
    expect(outer).toEqual(new Float32Array(600));
  });

  it("begins the buffer anew where it is told to, as if it were zeros", async () => {
    const input = round("anew", 600, 2);
    const zeros = { ...input.state, outer: new Float32Array(600) };
    expect(await reduceFragment({ ...input, anew: true })).toEqual(await reduceFragment({ ...input, state: zeros }));
    expect(await reduceFragment({ ...input, anew: true })).not.toEqual(await reduceFragment(input));
  });

  it("refuses a malformed payload, a worker twice, a wrong buffer, a source that gives too little", async () => {
    const input = round("refusals", 600, 2);
    const [first, second] = input.payloads;
    const tampered = new Uint8Array(await first!.source.read(0, first!.source.length));
    tampered[15] = 0x80;
    const withFirst = (source: FragmentPayload["source"]): ReduceInput => ({
      ...input,
      payloads: [{ ...first!, source }, second!],
    });
    await expect(reduceFragment(withFirst(sourceOf(tampered)))).rejects.toMatchObject({ code: "PAYLOAD_VALUE" });
    await expect(reduceFragment(withFirst(sourceOf(tampered.subarray(1))))).rejects.toBeInstanceOf(PayloadError);
    await expect(
      reduceFragment(withFirst({ length: tampered.length, read: () => new Uint8Array(3) })),
    ).rejects.toMatchObject({ code: "PAYLOAD_LENGTH" });
    await expect(reduceFragment({ ...input, payloads: [first!, first!] })).rejects.toMatchObject({
      code: "REDUCE_INVALID",
    });
    const state = { ...input.state, outer: new Float32Array(599) };
    await expect(reduceFragment({ ...input, state })).rejects.toMatchObject({ code: "REDUCE_INVALID" });
    await expect(reduceFragment({ ...input, chunkElements: 100 })).rejects.toMatchObject({ code: "REDUCE_INVALID" });
    expect(codecOf(INT8).block).toBe(256);
  });
});

describe("weights", () => {
  it("are fp32 quotients in ascending order of address and sum to about 1", () => {
    const weighted = weigh([
      { worker: address(0xff), tokens: 1, steps: 1 },
      { worker: address(0x0a), tokens: 2, steps: 1 },
    ]);
    expect(weighted.map(({ worker, weight }) => [worker, weight])).toEqual([
      [address(0x0a), Math.fround(2 / 3)],
      [address(0xff), Math.fround(1 / 3)],
    ]);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuse %s tokens", (tokens) => {
    expect(() => weigh([{ worker: address(1), tokens, steps: 1 }])).toThrow(/positive integer/);
    expect(() => weigh([{ worker: address(1), tokens: 1, steps: tokens }])).toThrow(/positive integer/);
  });

  it.each(vectors.weights)("are those of the vectors: $name", ({ weighting, shares, weights, pulls }) => {
    const members = shares.map((share, i) => ({ worker: address(i + 1), ...share }));
    expect(toHex(weigh(members.toReversed(), weightingCode[weighting]).map(({ weight }) => weight))).toBe(weights);
    expect(members.map((member) => String(pullOf(member, weightingCode[weighting])))).toEqual(pulls);
  });

  it("count a slow worker's smallness once where they are normalised, and not at all where they are uniform", () => {
    // Steps of equal size: a pseudo-gradient is as large as it has steps.
    const shares = [8, 32, 32].map((steps, i) => ({ worker: address(i + 1), tokens: 100 * steps, steps }));
    const pulls = (code: number) => weigh(shares, code).map(({ weight, steps }) => weight * steps);
    const ratio = (code: number) => pulls(code)[1]! / pulls(code)[0]!;
    expect(ratio(weightingCode.tokens)).toBeCloseTo(16);
    expect(ratio(weightingCode.normalised)).toBeCloseTo(4);
    expect(ratio(weightingCode.uniform)).toBeCloseTo(4);
    // Not by how many sequences a step has: twice as many weigh twice as much, but where all weigh alike.
    const [wide, narrow] = [
      { worker: address(1), tokens: 200, steps: 1 },
      { worker: address(2), tokens: 100, steps: 1 },
    ];
    const of = (code: number) => weigh([wide, narrow], code).map(({ weight }) => weight);
    expect(of(weightingCode.normalised)).toEqual(of(weightingCode.tokens));
    expect(of(weightingCode.uniform)).toEqual([0.5, 0.5]);
  });

  it("sum to 1, however few steps some took", () => {
    const crowd = Array.from({ length: 64 }, (_, i) => ({ steps: i === 0 ? 72 : 1 }));
    const shares = crowd.map(({ steps }, i) => ({ worker: address(i + 1), tokens: 512 * steps, steps }));
    for (const code of Object.values(weightingCode)) {
      const sum = weigh(shares, code).reduce((all, { weight }) => all + weight, 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  });

  it("refuse a weighting that is not built, as do the other tables", () => {
    expect(() => weigh([{ worker: address(1), tokens: 1, steps: 1 }], 7)).toThrow(
      "Weighting 7 is not known here; allowed are 0 (tokens) and 1 (uniform) and 2 (normalised).",
    );
    expect(() => outerOptimizerOf(9)).toThrow("Outer optimizer 9 is not known here; allowed is 0 (nesterov).");
    expect(() => aggregatorOf(1)).toThrow("Aggregator 1 is not known here; allowed is 0 (mean).");
  });
});

const make = (): Map<string, Float32Array> =>
  new Map([
    ["embedding", new Float32Array([1, 2, 3, 4, 5, 6])],
    ["layer0", new Float32Array([7, 8, 9, 10])],
    ["layer1", new Float32Array([11, 12, 13, 14])],
  ]);

describe("fragments", () => {
  const table = [
    { name: "embedding", shape: [3, 2], fragment: 1 },
    { name: "layer0", shape: [2, 2], fragment: 0 },
    { name: "layer1", shape: [4], fragment: 1 },
  ];
  it("hold their tensors in table order and come back unchanged", () => {
    const layouts = fragmentLayouts(table);
    expect(layouts.map((layout) => layout.elements)).toEqual([4, 10]);
    const parameters = make();
    const gathered = layouts.map((layout) => gatherFragment(parameters, layout));
    expect(gathered[1]).toEqual(new Float32Array([1, 2, 3, 4, 5, 6, 11, 12, 13, 14]));
    const other = new Map([...parameters].map(([name, values]) => [name, new Float32Array(values.length)]));
    for (const [f, layout] of layouts.entries()) scatterFragment(gathered[f]!, layout, other);
    expect(other).toEqual(parameters);
    expect(tensorViews(gathered, layouts, table)).toEqual([...parameters.values()]);
  });

  it("refuse tensors and tables that do not fit", () => {
    const [layout] = fragmentLayouts(table);
    const parameters = make();
    parameters.set("layer0", new Float32Array(3));
    expect(() => gatherFragment(parameters, layout!)).toThrow(/layer0 has 3 elements/);
    parameters.delete("layer0");
    expect(() => gatherFragment(parameters, layout!)).toThrow(/layer0 has no elements/);
    expect(() => scatterFragment(new Float32Array(3), layout!, make())).toThrow(/has 4 elements, not 3/);
    const fragments = [new Float32Array(4), new Float32Array(9)];
    expect(() => tensorViews(fragments, fragmentLayouts(table), table)).toThrow(/Fragment 1 has 9 elements.* says 10/);
    expect(() => tensorViews([], fragmentLayouts(table), table)).toThrow(/Fragment 0 has no elements/);
    expect(() => fragmentLayouts([{ name: "a", shape: [1], fragment: 1 }])).toThrow(/without tensors/);
    expect(() => fragmentLayouts([])).toThrow(/without tensors/);
    expect(() => pseudoGradient(new Float32Array(1), new Float32Array(2))).toThrow(/differ in size/);
  });
});

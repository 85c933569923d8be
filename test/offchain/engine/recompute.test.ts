/** Activations that are computed again: less memory, the same bits. */
import { expect, test } from "vitest";

import { bytesOf } from "../../../offchain/src/base/index.ts";
import {
  buildPrograms,
  initialParameters,
  presets,
  readSignature,
  type TransformerConfig,
} from "../../../offchain/src/engine/index.ts";
import { createGraph, input, output } from "../../../offchain/src/engine/graph.ts";
import { readForm } from "../../../offchain/src/engine/inspect/form.ts";
import * as op from "../../../offchain/src/engine/ops.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { compile } from "./run.ts";

const small = presets["0.1m"];

/** What three steps leave behind, and their losses. */
async function threeSteps(model: TransformerConfig, accumulation: number, recompute: boolean) {
  const microBatch = small.microBatch / accumulation;
  const { step } = buildPrograms(model, { microBatch, accumulation, recompute });
  const engine = await openCpuEngine({ programs: { step: step.bytes }, threads: 2 });
  await engine.setParameters(initialParameters(model, 5).map(({ data }) => data));
  const tokens = Uint16Array.from({ length: 3 * small.microBatch * (model.sequence + 1) }, (_, i) => (i * i) % 1021);
  const results = await engine.train({ tokens, learningRate: 1e-3 });
  const state = await engine.stateDigest();
  await engine.close();
  return { results, state };
}

test.each([
  { tiedEmbeddings: true, accumulation: 1 },
  { tiedEmbeddings: false, accumulation: 2 },
])(
  "not a bit of losses, norms and state is another ($accumulation micro-batches)",
  async ({ tiedEmbeddings, accumulation }) => {
    const model = { ...small.model, tiedEmbeddings };
    expect(await threeSteps(model, accumulation, true)).toEqual(await threeSteps(model, accumulation, false));
  },
);

test("only the step is another program, as the config says where the options do not", () => {
  const { model, microBatch } = small;
  const kept = buildPrograms(model, { microBatch });
  const again = buildPrograms({ ...model, recompute: true }, { microBatch });
  expect(again.step.digest).toBe(buildPrograms(model, { microBatch, recompute: true }).step.digest);
  expect(again.step.digest).not.toBe(kept.step.digest);
  expect([again.eval.digest, again.logits.digest]).toEqual([kept.eval.digest, kept.logits.digest]);
  expect(buildPrograms({ ...model, recompute: true }, { microBatch, recompute: false }).step.digest).toBe(
    kept.step.digest,
  );
});

test("activations are there for one layer at a time", () => {
  const { model, microBatch } = presets["20m"];
  const peakOf = (sequences: number, recompute: boolean): number => {
    const { step } = buildPrograms(model, { microBatch: sequences, recompute });
    return readSignature(step.bytes, 2 ** 40).model.peak;
  };
  // Parameters and state, new beside old, are 444 MiB of it, which nothing makes less.
  expect(peakOf(microBatch, true)).toBeLessThan(0.85 * peakOf(microBatch, false));
  expect(peakOf(2 * microBatch, true)).toBeLessThan(0.55 * peakOf(2 * microBatch, false));
});

/** How many nodes of a step are like another: the same operator of the same values, and not of constants alone. */
function alike(recompute: boolean): number {
  const { step } = buildPrograms(small.model, { microBatch: small.microBatch, recompute });
  const { nodes, initializers } = readForm(step.bytes).graph;
  const constant = new Set(initializers.map(({ name }) => name));
  const varying = nodes.filter(({ inputs, outputs }) => {
    const fixed = inputs.every((name) => constant.has(name));
    if (fixed) for (const name of outputs) constant.add(name);
    return !fixed;
  });
  const kinds = new Set(varying.map(({ op: name, inputs, attributes }) => JSON.stringify([name, inputs, attributes])));
  return varying.length - kinds.size;
}

test("what is computed again is nothing that a runtime would merge with what was computed first", () => {
  expect(alike(true)).toBe(alike(false));
});

test("what is held back until something else is there keeps its bits", async () => {
  const x = Float32Array.of(-0, 0, Number.NaN, -Infinity, 1e-45, 3, -3, 7);
  for (const waited of [-1, 0, 1, Number.NaN, Infinity]) {
    const graph = createGraph("after");
    const [held, first] = [input(graph, "x", [2, 4]), input(graph, "waited", [2, 4])];
    output("y", op.afterAll(held, [first, op.sumAll(first)]));
    const run = await compile(graph);
    const y = (await run({ x, waited: new Float32Array(8).fill(waited) })).get("y");
    expect(bytesOf(y!)).toEqual(bytesOf(x));
  }
});

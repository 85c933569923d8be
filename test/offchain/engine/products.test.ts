/** What a step is measured against (test/bench/products.ts): its own products, and no others. */
import ort from "onnxruntime-node";
import { expect, test } from "vitest";

import { presetOf } from "../../../offchain/src/engine/index.ts";
import { elements } from "../../../offchain/src/engine/graph.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";
import { stepGraph } from "../../../offchain/src/engine/programs.ts";
import { sessionOptions } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { productsOf } from "../../bench/products.ts";

test.each(["0.1m", "1m", "3.5m", "20m", "150m"] as const)(
  "the products that a step of %s is held against are its own, in their order",
  (preset) => {
    const { model, microBatch } = presetOf(preset);
    const { graph } = stepGraph(model, { microBatch });
    const shapes = ({ products }: typeof graph) =>
      products.map(({ op, m, n, k, transA, batch }) => ({ op, m, n, k, transA, batch }));
    const alone = productsOf(graph);
    expect(alone.products.length).toBeGreaterThan(10);
    expect(shapes(alone)).toEqual(shapes(graph));
  },
);

test("they compute in the engine's runtime, a row of each", async () => {
  const { model, microBatch } = presetOf("0.1m");
  const graph = productsOf(stepGraph(model, { microBatch }).graph);
  const session = await ort.InferenceSession.create(writeModel(graph, {}), sessionOptions({ threads: 1, peak: 0 }));
  const feeds = graph.inputs.map(({ name, shape }) => {
    const ones = new Float32Array(elements(shape)).fill(1);
    return [name, new ort.Tensor("float32", ones, shape)] as const;
  });
  const { rows } = await session.run(Object.fromEntries(feeds));
  // Of ones a product has the number that it adds up; what is added to it is 1.
  const due = graph.products.flatMap(({ n, k }) => Array.from({ length: n }, () => k));
  const found = [...(rows!.data as Float32Array)];
  expect(found).toHaveLength(due.length);
  for (const [i, value] of found.entries()) expect(value - due[i]!).toBeOneOf([0, 1]);
  await session.release();
});

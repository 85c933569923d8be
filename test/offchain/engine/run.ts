/** Helpers of the engine's tests: run a bare graph, and numbers that a seed determines. */
import "../../../offchain/src/engine/runtime/node/noTelemetry.ts";
import ort from "onnxruntime-node";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { elements, type Graph, type Shape } from "../../../offchain/src/engine/graph.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";

export type Values = Readonly<Record<string, Float32Array | BigInt64Array>>;

/** Opens a graph; the result takes all inputs by name and gives all outputs. */
export async function compile(
  graph: Graph,
  threads = 1,
): Promise<(values: Values) => Promise<Map<string, Float32Array>>> {
  const session = await ort.InferenceSession.create(writeModel(graph, {}), {
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  return async (values) => {
    const feeds = Object.fromEntries(
      graph.inputs.map(({ name, shape }) => {
        const data = values[name];
        if (!data) throw new RangeError(`no value for ${name}`);
        return [
          name,
          data instanceof Float32Array ? new ort.Tensor("float32", data, shape) : new ort.Tensor("int64", data, shape),
        ];
      }),
    );
    const results = await session.run(feeds);
    return new Map(Object.entries(results).map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]));
  };
}

/** Normal numbers of a shape. */
export function normal(seed: string, shape: Shape, deviation = 1): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: elements(shape) }, () => random.normal() * deviation);
}

export const inner = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
export const norm = (a: Float32Array): number => Math.sqrt(inner(a, a));

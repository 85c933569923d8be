/**
 * The products of a preset's step alone: one program of its Gemm and MatMul nodes in their order, with the transposes that they read
 * through, fed with operands that lie ready, one for all of a shape. Same runtime, same options, same allocator as the engine's process. What a step takes
 * beyond them is its overhead.
 *
 * Alone: node --conditions=cotrain-source test/bench/products.ts PRESET THREADS SECONDS
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import "../../offchain/src/engine/runtime/node/noTelemetry.ts";
import ort from "onnxruntime-node";

import { presetOf, type PresetName } from "../../offchain/src/engine/index.ts";
import {
  createGraph,
  elements,
  type Graph,
  input,
  output,
  type Shape,
  type Tensor,
} from "../../offchain/src/engine/graph.ts";
import { writeModel } from "../../offchain/src/engine/onnx.ts";
import * as op from "../../offchain/src/engine/ops.ts";
import type { Product } from "../../offchain/src/engine/products.ts";
import { stepGraph } from "../../offchain/src/engine/programs.ts";
import { sessionOptions } from "../../offchain/src/engine/runtime/node/cpu.ts";
import { allocation } from "../../offchain/src/engine/runtime/node/host/spawn.ts";
import { ownTime, timed } from "./timed.ts";

export interface ProductsBenchmark {
  /** All products of one step. */
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
}

/** Would compute products of the same shapes once, since they have the same operands. */
const MERGES = "CommonSubexpressionElimination";

/** A graph of the products of another. Its output is the first row of each, so that none is left out and little is handed back. */
export function productsOf({ nodes, products }: Graph): Graph {
  const graph = createGraph("products");
  const operands = new Map<string, Tensor>();
  const operandOf = (shape: Shape): Tensor => {
    const name = shape.join("×");
    const operand = operands.get(name) ?? input(graph, name, shape);
    operands.set(name, operand);
    return operand;
  };
  const makers = new Map(nodes.map((node) => [node.outputs[0] ?? "", node]));
  /** The operand as it is read; where the step makes it by swapping its last two axes, that is done here, too. */
  const operand = (shape: Shape, read: string): Tensor => {
    const perm = makers.get(read)?.op === "Transpose" ? makers.get(read)?.attributes["perm"] : undefined;
    const swapped = Array.isArray(perm) && perm.at(-1) === perm.length - 2;
    if (!swapped) return operandOf(shape);
    const [columns = 0, rows = 0, ...batch] = shape.toReversed();
    return op.swapLast(operandOf([...batch.toReversed(), columns, rows]));
  };
  const rows = products.map((product) => {
    const { inputs: [a = "", b = "", plus] = [], attributes } = makers.get(product.name) ?? {};
    const result = productOf(product, { a, b, plus }, attributes?.["transB"] === 1, operand);
    const width = result.shape.at(-1) ?? 1;
    return op.reshape(op.slice(op.reshape(result, [elements(result.shape) / width, width]), 0, 0, 1), [width]);
  });
  output("rows", op.concat(rows, 0));
  return graph;
}

function productOf(
  { op: kind, m, n, k, transA, batch }: Product,
  read: { readonly a: string; readonly b: string; readonly plus: string | undefined },
  transB: boolean,
  operand: (shape: Shape, read: string) => Tensor,
): Tensor {
  const many = batch > 1 ? [batch] : [];
  const a = operand(transA ? [k, m] : [...many, m, k], read.a);
  const b = operand(transB ? [n, k] : [...many, k, n], read.b);
  if (kind === "MatMul") return op.matMul(a, b);
  const plus = read.plus === undefined ? undefined : operand([m, n], read.plus);
  return op.gemm(a, b, { transA, transB, plus });
}

/** The products of a preset's step, in a process that is given its memory as an engine's is. */
export function benchmarkProducts(preset: PresetName, threads: number, seconds: number): ProductsBenchmark {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=cotrain-source", fileURLToPath(import.meta.url), preset, String(threads), String(seconds)],
    { encoding: "utf8", env: { ...process.env, ...allocation } },
  );
  if (status !== 0) throw new Error(`The products of ${preset} could not be measured: ${stderr}`);
  return JSON.parse(stdout) as ProductsBenchmark;
}

async function measure(preset: PresetName, threads: number, seconds: number): Promise<ProductsBenchmark> {
  const { model, microBatch } = presetOf(preset);
  const graph = productsOf(stepGraph(model, { microBatch }).graph);
  const options = sessionOptions({ threads, peak: 0 });
  const { optimization } = options.extra as { optimization: { disable_specified_optimizers: string } };
  optimization.disable_specified_optimizers += `;${MERGES}`;
  const session = await ort.InferenceSession.create(writeModel(graph, {}), options);
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, shape }) => {
      const values = Float32Array.from({ length: elements(shape) }, () => Math.random() - 0.5);
      return [name, new ort.Tensor("float32", values, shape)];
    }),
  );
  const { calls, ...time } = await timed(seconds, () => session.run(feeds), ownTime);
  await session.release();
  return { milliseconds: (time.seconds * 1_000) / calls, cpuMilliseconds: (time.cpuSeconds * 1_000) / calls };
}

if (import.meta.main) {
  const [preset = "", threads, seconds] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(await measure(preset as PresetName, Number(threads), Number(seconds))));
}

/**
 * The products of a preset's step alone: one program of its Gemm and MatMul nodes in their order, with the transposes that they read
 * through, fed with operands that lie ready. Same runtime, same options, same allocator as the engine's process. What a step takes
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

/** A graph of the products of another; each operand is an input of its own, each result an output. */
export function productsOf({ nodes, products }: Graph): Graph {
  const graph = createGraph("products");
  const makers = new Map(nodes.map((node) => [node.outputs[0] ?? "", node]));
  /** The operand as it is read; where the step makes it by swapping its last two axes, that is done here, too. */
  const operand = (name: string, shape: Shape, read: string): Tensor => {
    const perm = makers.get(read)?.op === "Transpose" ? makers.get(read)?.attributes["perm"] : undefined;
    const swapped = Array.isArray(perm) && perm.at(-1) === perm.length - 2;
    if (!swapped) return input(graph, name, shape);
    const [columns = 0, rows = 0, ...batch] = shape.toReversed();
    return op.swapLast(input(graph, name, [...batch.toReversed(), columns, rows]));
  };
  for (const product of products) {
    const [a = "", b = "", plus] = makers.get(product.name)?.inputs ?? [];
    output(
      product.name,
      productOf(product, { a, b, plus }, makers.get(product.name)?.attributes["transB"] === 1, operand),
    );
  }
  return graph;
}

function productOf(
  { op: kind, name, m, n, k, transA, batch }: Product,
  read: { readonly a: string; readonly b: string; readonly plus: string | undefined },
  transB: boolean,
  operand: (name: string, shape: Shape, read: string) => Tensor,
): Tensor {
  const many = batch > 1 ? [batch] : [];
  const a = operand(`${name}.a`, transA ? [k, m] : [...many, m, k], read.a);
  const b = operand(`${name}.b`, transB ? [n, k] : [...many, k, n], read.b);
  if (kind === "MatMul") return op.matMul(a, b);
  const plus = read.plus === undefined ? undefined : operand(`${name}.c`, [m, n], read.plus);
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

/** One tensor for all operands of a shape, or for all results: a step finds most of its operands in the cache, too. */
function sharing(fill: () => number): (shape: Shape) => ort.Tensor {
  const shared = new Map<string, ort.Tensor>();
  return (shape) => {
    const key = shape.join("×");
    const known = shared.get(key);
    if (known) return known;
    const made = new ort.Tensor("float32", Float32Array.from({ length: elements(shape) }, fill), shape);
    shared.set(key, made);
    return made;
  };
}

async function measure(preset: PresetName, threads: number, seconds: number): Promise<ProductsBenchmark> {
  const { model, microBatch } = presetOf(preset);
  const graph = productsOf(stepGraph(model, { microBatch }).graph);
  const session = await ort.InferenceSession.create(writeModel(graph, {}), sessionOptions({ threads, peak: 0 }));
  const [operands, results] = [sharing(() => Math.random() - 0.5), sharing(() => 0)];
  const feeds = Object.fromEntries(graph.inputs.map(({ name, shape }) => [name, operands(shape)]));
  const fetches = Object.fromEntries(graph.outputs.map(({ name, tensor }) => [name, results(tensor.shape)]));
  const { calls, ...time } = await timed(seconds, () => session.run(feeds, fetches), ownTime);
  await session.release();
  return { milliseconds: (time.seconds * 1_000) / calls, cpuMilliseconds: (time.cpuSeconds * 1_000) / calls };
}

if (import.meta.main) {
  const [preset = "", threads, seconds] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(await measure(preset as PresetName, Number(threads), Number(seconds))));
}

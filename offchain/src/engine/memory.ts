/**
 * What an inner step takes, from a model's numbers alone: nothing is built and nothing allocated, so it can be asked of any size.
 *
 * `stepSize(presets["150m"].model, { microBatch: 4 })` says what an engine's process needs for the tensors of a step; add what
 * a process needs without any. A worker's own process has its share besides (worker/resources.ts). Counted is what the
 * inspection counts (inspect/inspect.ts): every value from the node that computes it to the last that reads it, what follows from
 * constants all the time, operands of products and sums once more. Symbols as in model.ts, and h the hidden width, A = B·H·S² the attention's weights of a layer.
 */
import { parameterCount, tensorSpecs, type TransformerConfig } from "./config.ts";
import type { Precision } from "./graph.ts";
import type { Place } from "./runtime/device.ts";
import { defaultOptimizer, type OptimizerConfig, stateElements } from "./optimizer.ts";

interface StepSize {
  /** Number of parameters, N. */
  readonly parameters: number;
  /** Floating-point operations of training on one token, what is computed again not counted. */
  readonly flopsPerToken: number;
  /** The same with what is computed again. */
  readonly computedPerToken: number;
  /** Bytes at the fullest moment of a step. */
  readonly memory: StepMemory;
}

export interface StepMemory {
  /** θ, twice: a step writes the new ones beside the old. */
  readonly parameters: number;
  /** The optimizer's tensors, twice. */
  readonly optimizer: number;
  /** Those gradients that are there at that moment. */
  readonly gradients: number;
  /** What the way back needs of the way there, and what is being computed. */
  readonly activations: number;
  /** What follows from the program alone and is large: a runtime computes it once, and keeps it. */
  readonly constants: number;
  /** All of it. */
  readonly total: number;
}

interface StepOptions {
  /** Sequences that are computed at once, B. */
  readonly microBatch: number;
  /** Micro-batches of one inner step; default 1. */
  readonly accumulation?: number;
  /** Default: {@link defaultOptimizer}. */
  readonly optimizer?: OptimizerConfig;
  /** Default as the config says. */
  readonly recompute?: boolean;
  /** Of the model's products; default fp32. */
  readonly precision?: Precision;
}

/** Bytes of an fp32 number. */
const BYTES = 4;

/**
 * The causal mask, which runtimes have once for all layers, as it is made, of bits, numbers and sums of both, and the zeros that gradients of a table are added to
 * where it is not the output layer's, whose gradient is there before. In fp16 the zeros are those that one-hot rows begin as.
 */
function constantBytes(
  { vocabulary, width, sequence, tiedEmbeddings }: TransformerConfig,
  { microBatch, precision }: StepOptions,
): number {
  const rows = precision === "fp16" ? microBatch * sequence : tiedEmbeddings ? 0 : width;
  return (1 + 2 * BYTES) * sequence ** 2 + BYTES * vocabulary * rows;
}

/** What a step of a model takes. */
export function stepSize(model: TransformerConfig, options: StepOptions): StepSize {
  const { recompute = model.recompute ?? false, optimizer = defaultOptimizer } = options;
  const parameters = parameterCount(model);
  const { gradients, activations } = fullest(model, options, parameters, recompute);
  const state = stateElements(optimizer, tensorSpecs(model));
  const memory = {
    parameters: 2 * BYTES * parameters,
    optimizer: 2 * BYTES * state,
    gradients: BYTES * gradients,
    activations: BYTES * activations,
    constants: constantBytes(model, options),
  };
  const total = Object.values(memory).reduce((sum, bytes) => sum + bytes, 0);
  return { parameters, ...flops(model, parameters, recompute), memory: { ...memory, total } };
}

/** Bytes that an engine takes at its fullest, its process included. */
interface EngineMemory {
  /** Of the machine's memory. */
  readonly host: number;
  /** Of the device's own: a GPU's, or what a module of WebAssembly has addresses for. */
  readonly own: number;
}

/** Node and ONNX Runtime, 200 MiB with no model loaded, and what their heaps hold unused while they train. */
const PROCESS_BYTES = 240 << 20;

/**
 * What an engine takes where its device has its tensors (runtime/node). On a GPU the driver's own part, which nobody can count,
 * comes besides.
 */
export function engineMemory(
  place: Place,
  { parameters, optimizer, gradients, activations, constants }: StepMemory,
): EngineMemory {
  const held = parameters + optimizer;
  /** Parameters and state once. */
  const state = held / 2;
  const step = gradients + activations;
  /** There before the first step, and to the end. */
  const always = held + constants;
  const places: Readonly<Record<Place, EngineMemory>> = {
    // What a step wrote is copied on its way back (runtime/onnxRuntime.ts), when gradients and activations are gone.
    cpu: { host: always + Math.max(step, state), own: 0 },
    // Arrays are outside the module, which copies what it is fed and what it answers.
    wasm: { host: always + held + step, own: always + step },
    // Parameters and state, before they are there and when they are hashed, and parameters on their way.
    webgpu: { host: state + parameters, own: always + step },
    // They cross with every call, which takes many steps in a loop; that holds them twice more.
    cuda: { host: held + state, own: always + held + step },
  };
  const { host, own } = places[place];
  return { host: PROCESS_BYTES + host, own };
}

/** Parameters of one layer. */
function layerParameters({ width: d, heads, keyValueHeads, hidden: h }: TransformerConfig): number {
  return 2 * d * d + 2 * d * (d / heads) * keyValueHeads + 3 * d * h + 2 * d;
}

/**
 * 6 for each parameter that is multiplied with (2 forward, 4 back), and 12·L·d·S for attention: PaLM's count
 * (https://arxiv.org/abs/2204.02311, appendix B), which takes the whole square of scores, as the programs here compute it. An
 * embedding table that is not the output layer too is only read.
 */
function flops(model: TransformerConfig, parameters: number, recompute: boolean) {
  const { vocabulary, width: d, layers: L, hidden, sequence: S, tiedEmbeddings } = model;
  const multiplied = tiedEmbeddings ? parameters : parameters - vocabulary * d;
  const flopsPerToken = 6 * multiplied + 12 * L * d * S;
  // The last product of a layer is not needed on the way back.
  const again = L * (2 * (layerParameters(model) - d * hidden) + 4 * d * S);
  return { flopsPerToken, computedPerToken: recompute ? flopsPerToken + again : flopsPerToken };
}

/** Numbers of both kinds that are there together. */
interface Moment {
  readonly gradients: number;
  readonly activations: number;
}

/** The fullest of the moments that can be it. */
function fullest(
  model: TransformerConfig,
  { microBatch, accumulation = 1, precision = "fp32" }: StepOptions,
  parameters: number,
  recompute: boolean,
): Moment {
  const { vocabulary: V, width: d, layers: L, heads: H, keyValueHeads, hidden: h, sequence: S } = model;
  const T = microBatch * S;
  const A = T * H * S;
  const half = precision === "fp16";
  // Both norms with their units, queries, keys and values, the mixed ones twice, four of the feed-forward layer. In fp16 what products
  // read is half as large; the attention's weights and one of the feed-forward layer are there both ways, and the shares of rows are not.
  const layer = half
    ? T * (5 * d + (d / H) * keyValueHeads + 4.5 * h + 2) + 1.5 * A
    : T * (7 * d + 2 * (d / H) * keyValueHeads + 4 * h + H + 2) + A;
  const kept = recompute ? T * d : layer;
  // Gradients of the scores beside their transposed copy, or those of the feed-forward layer.
  const working = (recompute ? layer : 0) + Math.max(2 * A + 4 * T * d, 3 * T * h + 2 * T * d);
  const table = V * d;
  // Matrices in fp16, once for a step: the way back reads them too.
  const narrow = half ? (L * (layerParameters(model) - 2 * d) + table) / 2 : 0;
  // The next micro-batch reads them too.
  const left = (matrices: number): number => (accumulation > 1 ? narrow : matrices);
  // From the second micro-batch on there are the sums of all of them.
  const before = (there: number): number => (accumulation > 1 ? parameters : there);
  const moments: Moment[] = [
    // The loss: shifted logits, their exponentials, and these once more while they are summed.
    { gradients: before(0), activations: narrow + L * kept + T * ((half ? 2.5 : 2) * d + 3 * V) },
    // The way back through the last layer, and through the first.
    { gradients: before(table), activations: narrow + L * kept + working },
    {
      gradients: before(parameters - layerParameters(model)),
      activations: left(half ? layerParameters(model) / 2 : 0) + kept + working,
    },
    // The embedding's gradient: one-hot rows and a copy of them.
    ...(half ? [{ gradients: parameters, activations: left(0) + T * (2 * V + 3 * d) }] : []),
    // The update of the largest tensor.
    { gradients: parameters, activations: 4 * Math.max(table, d * h) },
  ];
  const sum = ({ gradients, activations }: Moment): number => gradients + activations;
  return moments.reduce((most, moment) => (sum(moment) > sum(most) ? moment : most));
}

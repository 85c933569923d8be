/** From a model's config to the programs that a run trains by: ONNX bytes, each named by its digest. */
import type { Digest } from "@cotrain/sdk/protocol";

import { sha256Bytes } from "../base/core.ts";
import { globalNorm } from "./clipping.ts";
import { checkConfig, tensorSpecs, type TransformerConfig } from "./config.ts";
import { EngineError } from "./errors.ts";
import { gradients } from "./gradients.ts";
import { programLimits } from "./inspect/inspect.ts";
import { createGraph, input, lossScaleOf, output, type Precision, scalar, type Graph, type Tensor } from "./graph.ts";
import { forward } from "./model.ts";
import { liveNodes, writeModel } from "./onnx.ts";
import * as op from "./ops.ts";
import { defaultOptimizer, type OptimizerConfig, optimizerStep } from "./optimizer.ts";
import { maxThreads } from "./products.ts";
import { rules } from "./rules.ts";
import { SIGNATURE_KEY, type ProgramKind, type Signature } from "./signature.ts";

/** A program is its bytes; the digest is its identity. */
interface Program {
  readonly kind: ProgramKind;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
}

export interface Programs {
  readonly step: Program;
  readonly eval: Program;
  readonly logits: Program;
}

export interface ProgramOptions {
  /** Sequences that are computed at once, and of one eval call. */
  readonly microBatch: number;
  /** Micro-batches of one inner step, one after the other in the memory of one; default 1. */
  readonly accumulation?: number;
  /** Default: {@link defaultOptimizer}. */
  readonly optimizer?: OptimizerConfig;
  /** Whether a step computes activations again where it needs them; default as the config says. Changes memory and time, no bit. */
  readonly recompute?: boolean;
  /** Of the model's products in a step; default fp32. Eval and logits are fp32 always: see {@link halfStep}. */
  readonly precision?: Precision;
}

/**
 * How many micro-batches an inner step of a model can have: each stands in the program with nodes of its own. Counted with two and
 * three of them, since the first has less.
 */
function mostAccumulation(config: TransformerConfig, options: Omit<ProgramOptions, "accumulation">): number {
  const nodesOf = (accumulation: number): number =>
    liveNodes(stepGraph(config, { ...options, accumulation }).graph).length;
  const two = nodesOf(2);
  const each = nodesOf(3) - two;
  return Math.max(1, 2 + Math.floor((programLimits.nodes - two) / each));
}

/**
 * That a model's tables are no larger than a program may be: cosines and sines of all positions for queries and for keys, the two
 * matrices that turn a head, and positions for the mask. No parameter is as large as they are, and a config may come from anybody.
 */
function requireRoom(config: TransformerConfig): void {
  const { width, heads, sequence } = checkConfig(config);
  const head = width / heads;
  const bytes = 4 * (4 * sequence * head + 2 * head ** 2 + 2 * sequence);
  if (bytes > programLimits.bytes)
    throw new EngineError(
      "PROGRAM_TOO_LARGE",
      `Programs of this model would have ${Math.ceil(bytes / 2 ** 20)} MiB of tables for ${sequence} positions and heads of ${head}; ${programLimits.bytes / 2 ** 20} MiB are accepted.`,
    );
}

/**
 * Builds the three programs of a model. The same config and options give the same bytes.
 * @throws EngineError CONFIG_INVALID; PROGRAM_TOO_LARGE, before anything is built, for more micro-batches than a program can have, or
 * larger tables
 */
export function buildPrograms(config: TransformerConfig, options: ProgramOptions): Programs {
  const { accumulation = 1 } = options;
  requireRoom(config);
  if (accumulation > 1) {
    const most = mostAccumulation(config, options);
    if (accumulation > most)
      throw new EngineError(
        "PROGRAM_TOO_LARGE",
        `An inner step of this model can have ${most} micro-batches at most, since each is written out in its program, and a program has ${programLimits.nodes} nodes at most; ${accumulation} are too many.`,
      );
  }
  return {
    step: finish("step", config, stepGraph(config, options)),
    eval: finish("eval", config, evalGraph(config, options)),
    logits: finish("logits", config, logitsGraph(config)),
  };
}

/**
 * The step of a model with products in fp16; parameters, moments, norms, softmax and loss are fp32. What is held against others'
 * numbers, held-out losses and the model's words, is computed by fp32's programs whatever trained it: gate and validators compare
 * losses far finer than fp16 has them, and neither takes more than a small part of the time.
 * @throws EngineError CONFIG_INVALID; PROGRAM_TOO_LARGE as in {@link buildPrograms}
 */
export function halfStep(config: TransformerConfig, options: Omit<ProgramOptions, "precision">): Program {
  requireRoom(config);
  return finish("step", config, stepGraph(config, { ...options, precision: "fp16" }));
}

/** Graph and what its signature says beyond kind and vocabulary. */
export interface ProgramDraft {
  readonly graph: Graph;
  readonly signature: Omit<Signature, "version" | "kind" | "vocabulary" | "maxThreads">;
}

/** One inner step: forward and backward of each micro-batch, the optimizer's update by the mean of their gradients. */
export function stepGraph(config: TransformerConfig, options: ProgramOptions): ProgramDraft {
  const { optimizer = defaultOptimizer } = options;
  const { graph, parameters, tokens, parts, lossOf } = batchGraph("step", config, options);
  const scale = lossScaleOf(graph);
  let found: readonly Tensor[] = [];
  const losses: Tensor[] = [];
  for (const part of parts) {
    // A runtime that began with every forward pass would keep the activations of all.
    const own = lossOf(op.afterAll(part, found));
    losses.push(own);
    found = gradients(own, [...parameters.values()], { weight: scale / parts.length, sums: found });
  }
  const loss = mean(losses);
  const scaledNorm = globalNorm(found);
  // A gradient that overflowed counts as none, and moments go on by themselves: what fp32 products give is always finite here.
  if (scale !== 1) found = found.map((gradient) => op.whereFinite(gradient, scaledNorm));
  const norm = scale === 1 ? scaledNorm : op.mul(op.whereFinite(scaledNorm, scaledNorm), scalar(graph, 1 / scale));
  const trained = [...parameters].map(([name, parameter], i) => ({ name, parameter, gradient: found[i]! }));
  const next = optimizerStep(optimizer, trained, norm);
  for (const name of parameters.keys()) output(`next.${name}`, next.parameters.get(name)!);
  for (const [name, after] of next.state) output(`next.${name}`, after);
  output("loss", loss);
  output("gradient_norm", norm);
  return {
    graph,
    signature: {
      tokens: tokens.name,
      parameters: carried(parameters),
      state: carried(next.state),
      scalars: next.scalars,
      loss: "loss",
      gradientNorm: "gradient_norm",
    },
  };
}

/** Mean loss of a batch. */
export function evalGraph(config: TransformerConfig, { microBatch }: ProgramOptions): ProgramDraft {
  const { graph, parameters, tokens, lossOf } = batchGraph("eval", config, { microBatch, recompute: false });
  output("loss", lossOf(tokens));
  return { graph, signature: { ...readOnly(parameters, tokens), loss: "loss" } };
}

/** Logits of one sequence at every position. */
function logitsGraph(config: TransformerConfig): ProgramDraft {
  const graph = createGraph("logits");
  const parameters = parameterInputs(graph, config);
  const tokens = input(graph, "tokens", [1, config.sequence], "int64");
  output("logits", forward(config, parameters, op.reshape(tokens, [config.sequence]), 1));
  return { graph, signature: { ...readOnly(parameters, tokens), logits: "logits" } };
}

/** What a step reads by its name and writes as the next. */
const carried = (tensors: ReadonlyMap<string, Tensor>): Signature["state"] =>
  [...tensors.keys()].map((name) => ({ name, input: name, output: `next.${name}` }));

function parameterInputs(graph: Graph, config: TransformerConfig): Map<string, Tensor> {
  return new Map(tensorSpecs(config).map(({ name, shape }) => [name, input(graph, name, shape)]));
}

/** tokens [k·B, S + 1] of k micro-batches, and the mean loss of predicting each next token of one of them. */
function batchGraph(
  name: string,
  config: TransformerConfig,
  { microBatch, accumulation = 1, recompute = config.recompute ?? false, precision }: ProgramOptions,
) {
  for (const [what, count] of Object.entries({ "micro-batch": microBatch, accumulation: accumulation })) {
    if (!Number.isSafeInteger(count) || count < 1)
      throw new EngineError("CONFIG_INVALID", `The ${what} must be a positive whole number, not ${count}.`);
  }
  const S = config.sequence;
  const graph = createGraph(name, precision);
  const parameters = parameterInputs(graph, config);
  const tokens = input(graph, "tokens", [accumulation * microBatch, S + 1], "int64");
  const parts = Array.from({ length: accumulation }, (_, i) =>
    accumulation === 1 ? tokens : op.slice(tokens, 0, i * microBatch, (i + 1) * microBatch),
  );
  const lossOf = (part: Tensor): Tensor => {
    const inputs = op.reshape(op.slice(part, 1, 0, S), [microBatch * S]);
    const targets = op.reshape(op.slice(part, 1, 1, S + 1), [microBatch * S]);
    return rules.crossEntropy(forward(config, parameters, inputs, microBatch, recompute), targets);
  };
  return { graph, parameters, tokens, parts, lossOf };
}

/** Of scalars. */
function mean(losses: readonly Tensor[]): Tensor {
  const [first] = losses;
  if (first && losses.length === 1) return first;
  const sum = op.sumOf(losses);
  return op.mul(sum, scalar(sum.graph, 1 / losses.length));
}

const readOnly = (parameters: ReadonlyMap<string, Tensor>, tokens: Tensor) => ({
  tokens: tokens.name,
  parameters: [...parameters.keys()].map((name) => ({ name, input: name, output: name })),
  state: [],
  scalars: [],
});

function finish(kind: ProgramKind, config: TransformerConfig, { graph, signature }: ProgramDraft): Program {
  const full: Signature = {
    version: 1,
    kind,
    vocabulary: config.vocabulary,
    ...signature,
    maxThreads: maxThreads(graph.products),
  };
  const bytes = writeModel(graph, { [SIGNATURE_KEY]: JSON.stringify(full) });
  return { kind, bytes, digest: sha256Bytes(bytes) };
}

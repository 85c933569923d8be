/** From a model's config to the programs that a run trains by: ONNX bytes, each named by its digest. */
import type { Digest } from "@cotrain/sdk/protocol";

import { sha256Bytes } from "../base/index.ts";
import { globalNorm } from "./clipping.ts";
import { tensorSpecs, type TransformerConfig } from "./config.ts";
import { EngineError } from "./errors.ts";
import { gradients } from "./gradients.ts";
import { createGraph, input, output, type Graph, type Tensor } from "./graph.ts";
import { forward } from "./model.ts";
import { writeModel } from "./onnx.ts";
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
  /** Sequences of one inner step and of one eval call. */
  readonly microBatch: number;
  /** Default: {@link defaultOptimizer}. */
  readonly optimizer?: OptimizerConfig;
}

/** Builds the three programs of a model. The same config and options give the same bytes. */
export function buildPrograms(config: TransformerConfig, options: ProgramOptions): Programs {
  return {
    step: finish("step", config, stepGraph(config, options)),
    eval: finish("eval", config, evalGraph(config, options)),
    logits: finish("logits", config, logitsGraph(config)),
  };
}

/** Graph and what its signature says beyond kind and vocabulary. */
export interface ProgramDraft {
  readonly graph: Graph;
  readonly signature: Omit<Signature, "version" | "kind" | "vocabulary" | "maxThreads">;
}

/** One inner step: forward, backward, the optimizer's update. */
export function stepGraph(
  config: TransformerConfig,
  { microBatch, optimizer = defaultOptimizer }: ProgramOptions,
): ProgramDraft {
  const { graph, parameters, tokens, loss } = lossGraph("step", config, microBatch);
  const found = gradients(loss, [...parameters.values()]);
  const norm = globalNorm(found);
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
  const { graph, parameters, tokens, loss } = lossGraph("eval", config, microBatch);
  output("loss", loss);
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

/** tokens [B, S + 1] → mean loss of predicting each next token. */
function lossGraph(name: string, config: TransformerConfig, batch: number) {
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new EngineError("CONFIG_INVALID", `The micro-batch must be a positive whole number, not ${batch}.`);
  }
  const S = config.sequence;
  const graph = createGraph(name);
  const parameters = parameterInputs(graph, config);
  const tokens = input(graph, "tokens", [batch, S + 1], "int64");
  const inputs = op.reshape(op.slice(tokens, 1, 0, S), [batch * S]);
  const targets = op.reshape(op.slice(tokens, 1, 1, S + 1), [batch * S]);
  const loss = rules.crossEntropy(forward(config, parameters, inputs, batch), targets);
  return { graph, parameters, tokens, loss };
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

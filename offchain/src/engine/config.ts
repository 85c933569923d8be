/** Models by numbers: the parameters that follow from a config, and their first values. */
import { MAX_TENSORS, type TensorSpec } from "@cotrain/sdk/protocol";

import { createRandom } from "../base/core.ts";
import { EngineError } from "./errors.ts";
import { elements } from "./graph.ts";

export type { TensorSpec };

/** A Llama-style decoder. Flat, so that a run's definition can carry it as it is. */
export interface TransformerConfig {
  /** Number of tokens that the tokenizer knows, V. */
  readonly vocabulary: number;
  /** Model width, d. */
  readonly width: number;
  readonly layers: number;
  /** Query heads; each has width ÷ heads features, an even number. */
  readonly heads: number;
  /** Key-value heads; divides heads. */
  readonly keyValueHeads: number;
  /** Width of the feed-forward layer. */
  readonly hidden: number;
  /** Tokens of one training sequence, S. */
  readonly sequence: number;
  /** Whether the output layer is the embedding table again. */
  readonly tiedEmbeddings: boolean;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  /** Whether a step keeps only the inputs of layers and computes the rest again on its way back: less memory, more time, no other bits. */
  readonly recompute?: boolean;
}

/** Of a layer, and of all else: the table, the last norm, the output layer (see {@link tensorSpecs}). */
const [LAYER_TENSORS, OTHER_TENSORS] = [9, 3];
/** As many as a definition's table can name: every list here has a row for each layer, and a config may come from anybody. */
const MAX_LAYERS = Math.floor((MAX_TENSORS - OTHER_TENSORS) / LAYER_TENSORS);

function refuse(what: string): never {
  throw new EngineError("CONFIG_INVALID", `The model config is not usable: ${what}.`);
}

/**
 * Checks a config that came from outside.
 * @throws EngineError CONFIG_INVALID, naming the field and what is allowed
 */
export function checkConfig(config: TransformerConfig): TransformerConfig {
  for (const field of ["vocabulary", "width", "layers", "heads", "keyValueHeads", "hidden", "sequence"] as const) {
    const value = config[field];
    if (!Number.isSafeInteger(value) || value < 1) refuse(`${field} must be a positive whole number, not ${value}`);
  }
  const { width, heads, keyValueHeads } = config;
  if (config.layers > MAX_LAYERS) refuse(`layers must be at most ${MAX_LAYERS}, not ${config.layers}`);
  if (config.vocabulary < 2) refuse("vocabulary must be at least 2");
  if (width % (2 * heads) !== 0) refuse(`width ${width} must be a multiple of 2 × heads, ${2 * heads}`);
  if (heads % keyValueHeads !== 0) refuse(`heads ${heads} must be a multiple of keyValueHeads, ${keyValueHeads}`);
  if (!(config.ropeTheta > 1) || !Number.isFinite(config.ropeTheta)) refuse("ropeTheta must be a number above 1");
  if (!["undefined", "boolean"].includes(typeof config.recompute)) refuse("recompute must be true or false");
  if (!(config.normEpsilon > 0 && config.normEpsilon < 1)) refuse("normEpsilon must be between 0 and 1");
  return config;
}

/** All parameters in the order of the parameter vector, named as Hugging Face's Llama names them; weights are [out, in]. */
export function tensorSpecs(config: TransformerConfig): TensorSpec[] {
  const { vocabulary, width, hidden, heads, keyValueHeads } = checkConfig(config);
  const keyValueWidth = (width / heads) * keyValueHeads;
  const layer = (l: number): TensorSpec[] =>
    (
      [
        ["input_layernorm.weight", [width]],
        ["self_attn.q_proj.weight", [width, width]],
        ["self_attn.k_proj.weight", [keyValueWidth, width]],
        ["self_attn.v_proj.weight", [keyValueWidth, width]],
        ["self_attn.o_proj.weight", [width, width]],
        ["post_attention_layernorm.weight", [width]],
        ["mlp.gate_proj.weight", [hidden, width]],
        ["mlp.up_proj.weight", [hidden, width]],
        ["mlp.down_proj.weight", [width, hidden]],
      ] as const
    ).map(([name, shape]) => ({ name: `model.layers.${l}.${name}`, shape, layer: l }));
  return [
    { name: "model.embed_tokens.weight", shape: [vocabulary, width] },
    ...Array.from({ length: config.layers }, (_, l) => layer(l)).flat(),
    { name: "model.norm.weight", shape: [width] },
    ...(config.tiedEmbeddings ? [] : [{ name: "lm_head.weight", shape: [vocabulary, width] }]),
  ];
}

/** Number of parameters. */
export const parameterCount = (config: TransformerConfig): number =>
  tensorSpecs(config).reduce((sum, { shape }) => sum + elements(shape), 0);

/** f: FLOP of a token, 6 for each parameter, and 12 · layers · width · sequence for attention. */
export const flopPerToken = (
  parameters: number,
  { layers, width, sequence }: Pick<TransformerConfig, "layers" | "width" | "sequence">,
): number => 6 * parameters + 12 * layers * width * sequence;

/** Values of a tensor with its name and shape. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** GPT-2's deviation for every matrix; those that write into the residual stream are smaller by √(2 · layers). */
const DEVIATION = 0.02;

/**
 * First values of parameters: norms 1, matrices normal with deviation 0.02, projections into the residual stream
 * scaled by 1/√(2 · layers). Each tensor has its own stream, so that a name's values do not depend on the others.
 * They are an artefact (checkpoint 0) and no recipe: a JS engine's Math.log may change a last bit.
 * @param wanted which ones, by name; default all
 */
export function initialParameters(
  config: TransformerConfig,
  seed: string | number | bigint,
  wanted: (name: string) => boolean = () => true,
): NamedTensor[] {
  const random = createRandom(seed);
  const intoResidual = DEVIATION / Math.sqrt(2 * config.layers);
  const specs = tensorSpecs(config).filter(({ name }) => wanted(name));
  return specs.map(({ name, shape }) => {
    const data = new Float32Array(elements(shape));
    if (shape.length === 1) return { name, shape, data: data.fill(1) };
    const stream = random.split(name);
    const deviation = /\.(o_proj|down_proj)\.weight$/.test(name) ? intoResidual : DEVIATION;
    for (let i = 0; i < data.length; i++) data[i] = stream.normal() * deviation;
    return { name, shape, data };
  });
}

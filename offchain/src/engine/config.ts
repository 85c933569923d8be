/** Models by numbers: the one dial for size, the parameters that follow from it, and their first values. */
import type { TensorSpec } from "@cotrain/sdk/protocol";

import { createRandom } from "../base/index.ts";
import { EngineError } from "./errors.ts";
import { elements } from "./graph.ts";

export type { TensorSpec };

/** A Llama-style decoder. Flat, so that a run's definition can carry it as it is. */
export interface ModelConfig {
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
}

/** A model and the sequences of one inner step that suit it. */
export interface Preset {
  readonly model: ModelConfig;
  readonly microBatch: number;
}

const family = { tiedEmbeddings: true, ropeTheta: 10_000, normEpsilon: 1e-5 } as const;

/** One dial for size. Named by parameters; up to 20m for CPUs, the larger ones have the shapes of the papers' models. */
export const presets = {
  "0.1m": {
    model: { ...family, vocabulary: 1024, width: 48, layers: 2, heads: 3, keyValueHeads: 1, hidden: 144, sequence: 64 },
    microBatch: 4,
  },
  "1m": {
    model: {
      ...family,
      vocabulary: 1024,
      width: 128,
      layers: 4,
      heads: 4,
      keyValueHeads: 2,
      hidden: 384,
      sequence: 128,
    },
    microBatch: 8,
  },
  "3.5m": {
    model: {
      ...family,
      vocabulary: 1024,
      width: 256,
      layers: 4,
      heads: 4,
      keyValueHeads: 2,
      hidden: 768,
      sequence: 128,
    },
    microBatch: 8,
  },
  "20m": {
    model: {
      ...family,
      vocabulary: 1024,
      width: 512,
      layers: 6,
      heads: 8,
      keyValueHeads: 4,
      hidden: 1536,
      sequence: 256,
    },
    microBatch: 4,
  },
  /** DiLoCo's 150 M, https://arxiv.org/abs/2311.08105: 12 layers of width 896, 16 heads, C4 with 32,000 tokens. */
  "150m": {
    model: {
      ...family,
      vocabulary: 32_000,
      width: 896,
      layers: 12,
      heads: 16,
      keyValueHeads: 16,
      hidden: 2432,
      sequence: 1024,
    },
    microBatch: 4,
  },
  /** OpenDiLoCo's 1.1 B, https://arxiv.org/abs/2407.07852: TinyLlama's shape. */
  "1b": {
    model: {
      ...family,
      tiedEmbeddings: false,
      vocabulary: 32_000,
      width: 2048,
      layers: 22,
      heads: 32,
      keyValueHeads: 4,
      hidden: 5632,
      sequence: 1024,
    },
    microBatch: 4,
  },
  /** INTELLECT-1's 10 B, https://arxiv.org/abs/2412.01152: Llama 3's shape with 42 layers. */
  "10b": {
    model: {
      ...family,
      tiedEmbeddings: false,
      ropeTheta: 500_000,
      vocabulary: 128_256,
      width: 4096,
      layers: 42,
      heads: 32,
      keyValueHeads: 8,
      hidden: 14_336,
      sequence: 8192,
    },
    microBatch: 1,
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets).filter((name): name is PresetName => name in presets);

/**
 * The preset of a name.
 * @throws EngineError PRESET_UNKNOWN
 */
export function presetOf(name: string): Preset {
  const known = presetNames.find((candidate) => candidate === name);
  if (known) return presets[known];
  throw new EngineError("PRESET_UNKNOWN", `There is no model preset ${name}; choose one of ${presetNames.join(", ")}.`);
}

function refuse(what: string): never {
  throw new EngineError("CONFIG_INVALID", `The model config is not usable: ${what}.`);
}

/**
 * Checks a config that came from outside.
 * @throws EngineError CONFIG_INVALID, naming the field and what is allowed
 */
export function checkConfig(config: ModelConfig): ModelConfig {
  for (const field of ["vocabulary", "width", "layers", "heads", "keyValueHeads", "hidden", "sequence"] as const) {
    const value = config[field];
    if (!Number.isSafeInteger(value) || value < 1) refuse(`${field} must be a positive whole number, not ${value}`);
  }
  const { width, heads, keyValueHeads } = config;
  if (config.vocabulary < 2) refuse("vocabulary must be at least 2");
  if (width % (2 * heads) !== 0) refuse(`width ${width} must be a multiple of 2 × heads, ${2 * heads}`);
  if (heads % keyValueHeads !== 0) refuse(`heads ${heads} must be a multiple of keyValueHeads, ${keyValueHeads}`);
  if (!(config.ropeTheta > 1) || !Number.isFinite(config.ropeTheta)) refuse("ropeTheta must be a number above 1");
  if (!(config.normEpsilon > 0 && config.normEpsilon < 1)) refuse("normEpsilon must be between 0 and 1");
  return config;
}

/** All parameters in the order of the parameter vector, named as Hugging Face's Llama names them; weights are [out, in]. */
export function tensorSpecs(config: ModelConfig): TensorSpec[] {
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
export const parameterCount = (config: ModelConfig): number =>
  tensorSpecs(config).reduce((sum, { shape }) => sum + elements(shape), 0);

/** Values of a tensor with its name and shape. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** GPT-2's deviation for every matrix; those that write into the residual stream are smaller by √(2 · layers). */
const DEVIATION = 0.02;

/**
 * First values of all parameters: norms 1, matrices normal with deviation 0.02, projections into the residual stream
 * scaled by 1/√(2 · layers). Each tensor has its own stream, so that a name's values do not depend on the others.
 * They are an artefact (checkpoint 0) and no recipe: a JS engine's Math.log may change a last bit.
 */
export function initialParameters(config: ModelConfig, seed: string | number | bigint): NamedTensor[] {
  const random = createRandom(seed);
  const intoResidual = DEVIATION / Math.sqrt(2 * config.layers);
  return tensorSpecs(config).map(({ name, shape }) => {
    const data = new Float32Array(elements(shape));
    if (shape.length === 1) return { name, shape, data: data.fill(1) };
    const stream = random.split(name);
    const deviation = /\.(o_proj|down_proj)\.weight$/.test(name) ? intoResidual : DEVIATION;
    for (let i = 0; i < data.length; i++) data[i] = stream.normal() * deviation;
    return { name, shape, data };
  });
}

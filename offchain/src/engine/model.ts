/**
 * The model: a Llama-style decoder, forward only, in the words of `rules.ts`; gradients follow by themselves.
 *
 * B sequences of S tokens, T = B·S, d width, H query heads, K key-value heads, G = H / K, D = d / H, V vocabulary.
 */
import type { TransformerConfig } from "./config.ts";
import { GraphError } from "./errors.ts";
import { recomputed } from "./gradients.ts";
import { constant, type Graph, once, type Tensor } from "./graph.ts";
import { rules, type RotaryTables } from "./rules.ts";

const { attention, embedding, linear, reshape, rmsNorm, rotary, swiglu, transpose } = rules;

/** Parameters as graph inputs, by name. */
export type ParameterTensors = ReadonlyMap<string, Tensor>;

/**
 * tokens [T] of B sequences → logits [T, V].
 * @param recompute whether the way back computes each layer again from its input, so that only one layer's activations are there
 */
export function forward(
  config: TransformerConfig,
  parameters: ParameterTensors,
  tokens: Tensor,
  batch: number,
  recompute = false,
): Tensor {
  const { width, layers, heads: H, keyValueHeads: K, normEpsilon } = config;
  const D = width / H;
  const S = (tokens.shape[0] ?? 0) / batch;
  const weight = (name: string): Tensor => {
    const found = parameters.get(`${name}.weight`);
    if (!found) throw new GraphError(`The model has no parameter ${name}.weight.`);
    return found;
  };
  /** [T, heads·D] → [B, heads, S, D] */
  const split = (x: Tensor, heads: number): Tensor => transpose(reshape(x, [batch, S, heads, D]), [0, 2, 1, 3]);

  const rotateKeys = rotaryTables(tokens.graph, S, D, config.ropeTheta, 1);
  const rotateQueries = rotaryTables(tokens.graph, S, D, config.ropeTheta, 1 / Math.sqrt(D)); // attention's scale costs nothing here
  const table = weight("model.embed_tokens");

  /** x [T, d] → [T, d] */
  const layerOf =
    (l: number) =>
    (x: Tensor): Tensor => {
      const layer = `model.layers.${l}`;
      const a = rmsNorm(x, weight(`${layer}.input_layernorm`), normEpsilon); //            [T, d]
      const q = rotary(split(linear(a, weight(`${layer}.self_attn.q_proj`)), H), rotateQueries); // [B, H, S, D]
      const k = rotary(split(linear(a, weight(`${layer}.self_attn.k_proj`)), K), rotateKeys); //    [B, K, S, D]
      const v = split(linear(a, weight(`${layer}.self_attn.v_proj`)), K); //                        [B, K, S, D]
      const mixed = attention(reshape(q, [batch, K, (H / K) * S, D]), k, v); //            [B, K, G·S, D]
      const joined = reshape(transpose(reshape(mixed, [batch, H, S, D]), [0, 2, 1, 3]), [batch * S, width]);
      const y = linear(joined, weight(`${layer}.self_attn.o_proj`), x); //                 [T, d], residual added

      const m = rmsNorm(y, weight(`${layer}.post_attention_layernorm`), normEpsilon); //   [T, d]
      const open = swiglu(linear(m, weight(`${layer}.mlp.gate_proj`)), linear(m, weight(`${layer}.mlp.up_proj`)));
      return linear(open, weight(`${layer}.mlp.down_proj`), y); //                          [T, d], residual added
    };

  let x = embedding(table, tokens); //                                                   [T, d]
  for (let l = 0; l < layers; l++) x = recompute ? recomputed(x, layerOf(l)) : layerOf(l)(x);
  const last = rmsNorm(x, weight("model.norm"), normEpsilon); //                         [T, d]
  return linear(last, config.tiedEmbeddings ? table : weight("lm_head")); //             [T, V]
}

/** cos and sin of position / θ^(2i/D), both halves alike, times `scale`: [S, D] each. */
function rotaryTables(graph: Graph, length: number, width: number, theta: number, scale: number): RotaryTables {
  const half = width / 2;
  const table = (name: "cos" | "sin"): Tensor =>
    once(graph, `${name} ${length} ${width} ${theta} ${scale}`, () => {
      const of = Math[name];
      const values = new Float32Array(length * width);
      for (let position = 0; position < length; position++) {
        for (let i = 0; i < width; i++) {
          values[position * width + i] = of(position / theta ** ((2 * (i % half)) / width)) * scale;
        }
      }
      return constant(graph, values, [length, width]);
    });
  return { cos: table("cos"), sin: table("sin") };
}

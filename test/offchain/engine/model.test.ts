/** The model against Llama written out in plain loops and doubles; sampling against its definition. */
import { expect, test } from "vitest";

import {
  buildPrograms,
  EngineError,
  generate,
  sample,
  tensorSpecs,
  type TransformerConfig,
} from "../../../offchain/src/engine/index.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { normal } from "./run.ts";

const config: TransformerConfig = {
  vocabulary: 19,
  width: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  hidden: 20,
  sequence: 7,
  tiedEmbeddings: true,
  ropeTheta: 50,
  normEpsilon: 1e-5,
};

type Vector = readonly number[];
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
const plus = (a: Vector, b: Vector): Vector => a.map((x, i) => x + (b[i] ?? 0));

/** As in Hugging Face's modeling_llama.py, one position after the other. */
function plainLlama(
  { width, layers, heads, keyValueHeads, ropeTheta, normEpsilon }: TransformerConfig,
  weights: ReadonlyMap<string, Float32Array>,
  tokens: readonly number[],
): Vector[] {
  const D = width / heads;
  const flat = (name: string): Vector => [...(weights.get(`${name}.weight`) ?? [])];
  const rows = (name: string, columns: number): Vector[] => {
    const values = flat(name);
    return Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns));
  };
  const project = (name: string, x: Vector): Vector => rows(name, x.length).map((row) => dot(row, x));
  const normalise = (name: string, x: Vector): Vector => {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + normEpsilon);
    return plainProduct(flat(name), x).map((value) => value * scale);
  };
  const head = (x: Vector, h: number): Vector => x.slice(h * D, (h + 1) * D);
  const rotate = (x: Vector, position: number): Vector =>
    x.map((value, i) => {
      const angle = position / ropeTheta ** ((2 * (i % (D / 2))) / D);
      const partner = i < D / 2 ? -(x[i + D / 2] ?? 0) : (x[i - D / 2] ?? 0);
      return value * Math.cos(angle) + partner * Math.sin(angle);
    });
  const table = rows("model.embed_tokens", width);
  let stream = tokens.map((token) => table[token] ?? []);
  for (let l = 0; l < layers; l++) {
    const at = `model.layers.${l}`;
    const inputs = stream.map((x) => normalise(`${at}.input_layernorm`, x));
    const of = (kind: "q" | "k" | "v"): Vector[] => inputs.map((x) => project(`${at}.self_attn.${kind}_proj`, x));
    const [q, k, v] = [of("q"), of("k"), of("v")];
    stream = stream.map((x, position) => {
      const mixed = Array.from({ length: heads }, (_, h) => {
        const shared = Math.floor(h / (heads / keyValueHeads));
        const query = rotate(head(q[position] ?? [], h), position);
        const past = Array.from({ length: position + 1 }, (_, j) => j);
        const scores = past.map((j) => dot(query, rotate(head(k[j] ?? [], shared), j)) / Math.sqrt(D));
        const weightsOf = scores.map((score) => Math.exp(score - Math.max(...scores)));
        const total = weightsOf.reduce((sum, w) => sum + w, 0);
        return Array.from({ length: D }, (_, i) =>
          past.reduce((sum, j) => sum + ((weightsOf[j] ?? 0) / total) * (head(v[j] ?? [], shared)[i] ?? 0), 0),
        );
      }).flat();
      return plus(x, project(`${at}.self_attn.o_proj`, mixed));
    });
    stream = stream.map((x) => {
      const m = normalise(`${at}.post_attention_layernorm`, x);
      const gate = project(`${at}.mlp.gate_proj`, m).map((g) => g / (1 + Math.exp(-g)));
      return plus(x, project(`${at}.mlp.down_proj`, plainProduct(gate, project(`${at}.mlp.up_proj`, m))));
    });
  }
  const output = weights.has("lm_head.weight") ? "lm_head" : "model.embed_tokens";
  return stream.map((x) => project(output, normalise("model.norm", x)));
}

const plainProduct = (a: Vector, b: Vector): Vector => a.map((x, i) => x * (b[i] ?? 0));

test.each([
  ["tied, grouped queries", config],
  ["untied, a key-value head each", { ...config, tiedEmbeddings: false, keyValueHeads: 4 }],
  ["untied, one key-value head", { ...config, tiedEmbeddings: false, keyValueHeads: 1 }],
])("logits are Llama's: %s", async (_, model) => {
  const { logits } = buildPrograms(model, { microBatch: 1 });
  const engine = await openCpuEngine({ programs: { logits: logits.bytes }, threads: 1 });
  const specs = tensorSpecs(model);
  const values = specs.map(({ name, shape }) => normal(name, shape, 0.4).map((x) => (shape.length === 1 ? 1 + x : x)));
  await engine.setParameters(values);
  const tokens = [3, 1, 4, 1, 5, 9, 2];
  const expected = plainLlama(
    model,
    new Map(specs.map(({ name }, i) => [name, values[i] ?? new Float32Array()])),
    tokens,
  );
  const found = await engine.logits(Int32Array.from(tokens));
  const worst = expected.flat().reduce((max, x, i) => Math.max(max, Math.abs(x - (found[i] ?? Number.NaN))), 0);
  expect(expected.flat().length).toBe(found.length);
  expect(worst).toBeLessThan(1e-4);
  await engine.close();
});

test("sampling follows the softmax of the topK, and greedily at temperature 0", () => {
  const logits = Float32Array.from([Math.log(1), Math.log(6), Math.log(3), -100]);
  expect([0, 0.59, 0.61, 0.89, 0.91].map((u) => sample(logits, 1, Infinity, u))).toEqual([1, 1, 2, 2, 0]);
  expect([0, 0.66, 0.67, 0.999].map((u) => sample(logits, 1, 2, u))).toEqual([1, 1, 2, 2]);
  expect([0, 0.999].map((u) => sample(logits, 0, Infinity, u))).toEqual([1, 1]);
  expect([0.79, 0.81].map((u) => sample(logits, 0.5, 2, u))).toEqual([1, 2]); // 36 : 9
});

test("sampling refuses what it cannot do", async () => {
  const { logits, eval: evaluation } = buildPrograms(config, { microBatch: 1 });
  const engine = await openCpuEngine({ programs: { logits: logits.bytes }, threads: 1 });
  const other = await openCpuEngine({ programs: { eval: evaluation.bytes }, threads: 1 });
  const options = { engine, prompt: [1], maxTokens: 1 };
  await expect(generate({ ...options, prompt: [] }).next()).rejects.toThrow(/at least one token/);
  await expect(generate({ ...options, temperature: -1 }).next()).rejects.toThrow(EngineError);
  await expect(generate({ ...options, topK: 0 }).next()).rejects.toThrow(/topK/);
  await expect(generate({ ...options, prompt: [19] }).next()).rejects.toThrow(/outside the vocabulary, 0 to 18/);
  await expect(generate({ ...options, engine: other }).next()).rejects.toThrow(/without a logits program/);
  await engine.close();
  await other.close();
});

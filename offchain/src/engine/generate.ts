/** Text from a model, token by token, by its logits program over a sliding window. */
import { createRandom } from "../base/core.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./errors.ts";

export interface GenerateOptions {
  readonly engine: Pick<Engine, "logits" | "shapes">;
  /** At least one token to go on from. */
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** 0 always takes the likeliest token; 1, the default, the model's own distribution. */
  readonly temperature?: number;
  /** Choose among so many likeliest tokens only; default all. */
  readonly topK?: number;
  readonly seed?: string | number | bigint;
  /** Stop after this token. */
  readonly endToken?: number;
  readonly signal?: AbortSignal;
}

/**
 * Yields the tokens that follow the prompt.
 * @throws EngineError SAMPLING_INVALID, TOKENS_INVALID, PROGRAM_MISSING
 */
export async function* generate(options: GenerateOptions): AsyncGenerator<number, void> {
  const { engine, prompt, maxTokens, temperature = 1, topK = Infinity, seed = 0, endToken, signal } = options;
  const shape = engine.shapes.logits;
  if (!shape) throw new EngineError("PROGRAM_MISSING", "This engine was opened without a logits program.");
  if (prompt.length < 1) throw new EngineError("SAMPLING_INVALID", "The prompt needs at least one token.");
  if (!(temperature >= 0) || !Number.isFinite(temperature)) {
    throw new EngineError("SAMPLING_INVALID", `The temperature must be a number from 0, not ${temperature}.`);
  }
  if (!(topK >= 1)) throw new EngineError("SAMPLING_INVALID", `topK must be at least 1, not ${topK}.`);
  const random = createRandom(seed);
  const window = shape.tokensPerSequence;
  const text = [...prompt];
  for (let n = 0; n < maxTokens; n++) {
    if (signal?.aborted) return;
    const context = text.slice(-window);
    const logits = await engine.logits(Int32Array.from(context));
    const last = logits.subarray((context.length - 1) * shape.vocabulary, context.length * shape.vocabulary);
    const token = sample(last, temperature, topK, random.float());
    text.push(token);
    yield token;
    if (token === endToken) return;
  }
}

/**
 * The token that a uniform number in [0, 1) falls on, candidates in order of falling logits, equal ones by index.
 * @param logits one per token of the vocabulary
 */
export function sample(logits: Float32Array, temperature: number, topK: number, uniform: number): number {
  const order = Array.from(logits.keys()).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  const best = order[0] ?? 0;
  if (temperature === 0) return best;
  const kept = order.slice(0, topK);
  const weights = kept.map((token) => Math.exp(((logits[token] ?? 0) - (logits[best] ?? 0)) / temperature));
  let left = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, token] of kept.entries()) {
    left -= weights[i] ?? 0;
    if (left < 0) return token;
  }
  return kept.at(-1) ?? best;
}

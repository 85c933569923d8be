/** Text from a checkpoint: parameters and programs by digest, sampled token by token. */
import {
  asDigest,
  type DataManifest,
  type Digest,
  MAX_BUILD_BYTES,
  MAX_DEFINITION_BYTES,
  MAX_PROGRAM_BYTES,
  MAX_TOKENIZER_BYTES,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { openSequences, parseTokenizer } from "../data/index.ts";
import { fragmentLayouts, scatterFragment } from "../diloco/index.ts";
import { generate } from "../engine/index.ts";
import { openEngineHost } from "../engine/runtime/node/index.ts";
import { type BlobReader, parseBuild, parseDefinition, readCheckpoint } from "../storage/index.ts";

export interface TextOptions {
  readonly blobs: BlobReader;
  readonly definition: Digest;
  readonly build: Digest;
  readonly checkpoint: Digest;
  readonly prompt: string;
  readonly tokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly seed: number;
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
}

/** Tokens of the held-out text among which a prompt is looked for. */
const PROMPT_TOKENS = 256;
const PROMPT_WORDS = 4;

const wordsIn = (part: string): string[] => part.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu) ?? [];

/**
 * How some sentence of a text begins: a few plain words, which a shell takes between quotes as they are. Where there is no
 * sentence, the first words.
 */
export function promptIn(text: string): string {
  const sentences = text.split(/(?<=[.!?])\s+|\n+/).slice(1);
  const best = sentences.find((sentence) => /^\p{Lu}/u.test(sentence) && wordsIn(sentence).length > PROMPT_WORDS);
  const found = wordsIn(best ?? text)
    .slice(0, PROMPT_WORDS)
    .join(" ");
  return found === "" ? "The" : found;
}

/** A prompt that fits what the model was trained on: words from the part of its text that was held out. */
export async function promptFor(blobs: BlobReader, data: DataManifest): Promise<string> {
  const tokenizer = parseTokenizer(await blobs.get(asDigest(data.tokenizer), MAX_TOKENIZER_BYTES));
  const length = Math.min(PROMPT_TOKENS, data.heldOut.tokens - 1);
  if (length < 1) return promptIn("");
  return promptIn(tokenizer.decode(await openSequences(blobs, data, "heldOut", length).tokens([0])));
}

/** Yields the continuation of the prompt as text, piece by piece. @throws UserError `PROMPT_EMPTY` */
export async function* textFrom(options: TextOptions): AsyncGenerator<string> {
  const { blobs } = options;
  const definition = parseDefinition(await blobs.get(options.definition, MAX_DEFINITION_BYTES));
  const build = parseBuild(await blobs.get(options.build, MAX_BUILD_BYTES));
  const tokenizer = parseTokenizer(await blobs.get(asDigest(definition.tokenizer), MAX_TOKENIZER_BYTES));
  const prompt = tokenizer.encode(options.prompt);
  if (prompt.length === 0) throw new UserError("PROMPT_EMPTY", "The prompt must not be empty.");
  const { states } = await readCheckpoint(blobs, options.checkpoint, definition.table);
  const parameters = new Map<string, Float32Array>(
    definition.table.map(({ name, shape }) => [
      name,
      new Float32Array(shape.reduce((product, size) => product * size, 1)),
    ]),
  );
  for (const layout of fragmentLayouts(definition.table)) {
    const state = states[layout.index];
    if (state) scatterFragment(state.params, layout, parameters);
  }
  const engine = await openEngineHost({
    programs: { logits: await blobs.get(asDigest(build.graphs.logits), MAX_PROGRAM_BYTES) },
    threads: options.threads,
  });
  try {
    await engine.setParameters([...parameters.values()]);
    const ids: number[] = [];
    let shown = "";
    const { temperature, topK, seed } = options;
    const stream = generate({
      engine,
      prompt: [...prompt],
      maxTokens: options.tokens,
      temperature,
      topK,
      seed,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    for await (const id of stream) {
      ids.push(id);
      const text = tokenizer.decode(ids);
      // A token may end inside a character: it is shown when the rest of it has come.
      if (text.endsWith("\uFFFD")) continue;
      yield text.slice(shown.length);
      shown = text;
    }
  } finally {
    await engine.close();
  }
}

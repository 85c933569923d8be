/** Text to token ids and back, by @huggingface/tokenizers with a cache of words in front of it. */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { type Digest, MAX_TOKENIZER_BYTES } from "@cotrain/sdk/protocol";

import { parseJsonBounded, sha256Bytes } from "../base/index.ts";
import { byteCharacters, splitWords } from "./bpe.ts";
import { DataError } from "./errors.ts";

/** A tokenizer.json takes at most this much; those of large models have about 10 MB. */
/** Words remembered at most; a corpus of Brown's kind has 60,000. */
const CACHED_WORDS = 131_072;
/** Longer words are rare, and what is rare is not worth remembering. */
const CACHED_LENGTH = 64;

export interface Tokenizer {
  /** SHA-256 of its tokenizer.json: the run's definition names it. */
  readonly digest: Digest;
  /** The tokenizer.json itself. */
  readonly bytes: Uint8Array;
  /** Number of tokens; ids are 0 … vocabulary − 1. */
  readonly vocabulary: number;
  /** Token ids of a text. `decode(encode(text))` is the text again. */
  encode(text: string): number[];
  /** Text of token ids; bytes that are no whole UTF-8 character become U+FFFD. */
  decode(ids: Iterable<number>): string;
  /** How many bytes of UTF-8 the token stands for. */
  bytesOf(id: number): number;
}

const invalid = (what: string): DataError =>
  new DataError("TOKENIZER_INVALID", `The tokenizer is not one that can be used here: ${what}.`);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** The vocabulary of a byte-level BPE that changes no text. @throws DataError for another tokenizer */
function vocabularyOf(json: unknown): Record<string, unknown> {
  const fields: Record<string, unknown> = isRecord(json) ? json : {};
  const { model, pre_tokenizer: preTokenizer, normalizer, added_tokens: added } = fields;
  if (!isRecord(model) || model.type !== "BPE" || !isRecord(model.vocab)) throw invalid("it is no BPE");
  if (!isRecord(preTokenizer) || preTokenizer.type !== "ByteLevel" || preTokenizer.use_regex === false) {
    throw invalid("it is not byte-level");
  }
  if (preTokenizer.add_prefix_space === true || normalizer !== null) throw invalid("it changes the text");
  if (!Array.isArray(added) || added.length > 0) throw invalid("it has added tokens");
  return model.vocab;
}

/** Tokens by id. @throws DataError unless ids are dense and below 65,536, and every byte has a token */
function tokensOf(vocabulary: Record<string, unknown>): string[] {
  const tokens: string[] = [];
  const ids = Object.entries(vocabulary);
  for (const [token, id] of ids) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= ids.length || tokens[id] !== undefined) {
      throw invalid(`token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}`);
    }
    // Byte characters are one UTF-16 unit each, so a token has as many units as bytes.
    if (token.split("").some((character) => !byteCharacters.includes(character))) {
      throw invalid(`token ${JSON.stringify(token)} has characters that stand for no byte`);
    }
    tokens[id] = token;
  }
  if (tokens.length > 65_536) throw invalid(`it has ${tokens.length} tokens, allowed are 65,536`);
  const known = new Set(tokens);
  if (byteCharacters.some((character) => !known.has(character))) throw invalid("it lacks tokens for single bytes");
  return tokens;
}

/**
 * Reads a tokenizer.json.
 * @throws DataError `TOKENIZER_INVALID`; UserError when it is no JSON or too large
 */
export function parseTokenizer(bytes: Uint8Array): Tokenizer {
  const json = parseJsonBounded(bytes, MAX_TOKENIZER_BYTES, "The tokenizer");
  const tokens = tokensOf(vocabularyOf(json));
  const inner = new HuggingFaceTokenizer(json, { clean_up_tokenization_spaces: false });
  const lengths = tokens.map((token) => token.length);
  const cache = new Map<string, number[]>();

  const encodeWord = (word: string): number[] => {
    const known = cache.get(word);
    if (known) return known;
    const ids = inner.encode(word, { add_special_tokens: false }).ids;
    if (word.length <= CACHED_LENGTH) {
      if (cache.size >= CACHED_WORDS) cache.clear();
      cache.set(word, ids);
    }
    return ids;
  };

  return {
    digest: sha256Bytes(bytes),
    bytes,
    vocabulary: tokens.length,
    // Merges never cross words, so encoding word by word gives what encoding the text gives.
    encode: (text) => {
      const out: number[] = [];
      for (const word of splitWords(text)) for (const id of encodeWord(word)) out.push(id);
      return out;
    },
    decode: (ids) => {
      const list = [...ids];
      // The library refuses to decode nothing.
      return list.length === 0 ? "" : inner.decode(list, { skip_special_tokens: false });
    },
    bytesOf: (id) => lengths[id] ?? 0,
  };
}

/** Text to token ids and back, by @huggingface/tokenizers with a cache of words in front of it. */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { type Digest, MAX_TOKENIZER_BYTES } from "@cotrain/sdk/protocol";

import { parseJsonBounded, sha256Bytes } from "../base/index.ts";
import { byteCharacters, splitWords, tokenizerJson } from "./bpe.ts";
import { DataError } from "./errors.ts";

/** Words remembered at most; a corpus of Brown's kind has 60,000. */
const CACHED_WORDS = 131_072;
/** Longer words are rare, and what is rare is not worth remembering. */
const CACHED_LENGTH = 64;
/** A token's bytes at most; the longest in use have 128. Text is decoded token by token, so this bounds what one says. */
const TOKEN_BYTES = 1024;
/** Merges at most: 4 ways to each token. */
const MERGES = 262_144;

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

const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === "";

/** Whether a part of the file is the byte-level one, or away. */
const isByteLevel = (part: unknown): boolean =>
  part === undefined || part === null || (isRecord(part) && part.type === "ByteLevel");

/** What, apart from its tokens, keeps a file from being a byte-level BPE that changes no text. */
function faultOf(fields: Record<string, unknown>, model: Record<string, unknown>): string | undefined {
  const {
    pre_tokenizer: preTokenizer,
    decoder,
    post_processor: postProcessor,
    normalizer,
    added_tokens: added,
  } = fields;
  if (!isRecord(preTokenizer) || preTokenizer.type !== "ByteLevel") return "it is not byte-level";
  const ownTokens =
    [model.continuing_subword_prefix, model.end_of_word_suffix].every(isEmpty) && model.ignore_merges !== true;
  const rules: readonly (readonly [holds: boolean, otherwise: string])[] = [
    [preTokenizer.use_regex !== false, "it is not byte-level"],
    [[decoder, postProcessor].every(isByteLevel), "what follows its model is not byte-level"],
    [preTokenizer.add_prefix_space !== true && normalizer === null, "it changes the text"],
    [ownTokens, "its tokens are not those of its merges"],
    [Array.isArray(added) && added.length === 0, "it has added tokens"],
  ];
  return rules.find(([holds]) => !holds)?.[1];
}

/** The model of a byte-level BPE that changes no text. @throws DataError for another tokenizer */
function modelOf(json: unknown): { readonly vocab: Record<string, unknown>; readonly merges: readonly unknown[] } {
  const fields: Record<string, unknown> = isRecord(json) ? json : {};
  const { model } = fields;
  if (!isRecord(model) || model.type !== "BPE" || !isRecord(model.vocab)) throw invalid("it is no BPE");
  if (!Array.isArray(model.merges)) throw invalid("it has no merges");
  const fault = faultOf(fields, model);
  if (fault !== undefined) throw invalid(fault);
  return { vocab: model.vocab, merges: model.merges };
}

const standsForByte: ReadonlySet<string> = new Set(byteCharacters);

/** Tokens by id. @throws DataError unless ids are dense and below 65,536, and every byte has a token */
function tokensOf(vocabulary: Record<string, unknown>): string[] {
  const tokens: string[] = [];
  const ids = Object.entries(vocabulary);
  if (ids.length > 65_536) throw invalid(`it has ${ids.length} tokens, allowed are 65,536`);
  for (const [token, id] of ids) {
    // Byte characters are one UTF-16 unit each, so a token has as many units as bytes. First, since one may be the whole file.
    if (token.length === 0 || token.length > TOKEN_BYTES) {
      throw invalid(`a token has ${token.length} bytes, allowed are 1 to ${TOKEN_BYTES}`);
    }
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= ids.length || tokens[id] !== undefined) {
      throw invalid(`token ${JSON.stringify(token)} has no id of its own below ${ids.length}`);
    }
    if (token.split("").some((character) => !standsForByte.has(character))) {
      throw invalid(`token ${JSON.stringify(token)} has characters that stand for no byte`);
    }
    tokens[id] = token;
  }
  const known = new Set(tokens);
  if (byteCharacters.some((character) => !known.has(character))) throw invalid("it lacks tokens for single bytes");
  return tokens;
}

/** Merges as pairs, written so or as "left right". @throws DataError unless each makes a token of two */
function mergesOf(written: readonly unknown[], tokens: readonly string[]): [string, string][] {
  if (written.length > MERGES) throw invalid(`it has ${written.length} merges, allowed are ${MERGES}`);
  const known = new Set(tokens);
  return written.map((merge, i) => {
    const pair: readonly unknown[] =
      typeof merge === "string" ? merge.split(" ", 3) : Array.isArray(merge) ? merge : [];
    const [left, right] = pair;
    if (
      pair.length !== 2 ||
      typeof left !== "string" ||
      typeof right !== "string" ||
      ![left, right, left + right].every((token) => known.has(token))
    ) {
      throw invalid(`merge ${i} does not make a token of two`);
    }
    return [left, right];
  });
}

/**
 * Reads a tokenizer.json, which may be a stranger's: the library is given nothing of it but vocabulary and merges, both
 * checked. Decoders and post-processors, for one, may hold patterns that never end.
 * @throws DataError `TOKENIZER_INVALID`; UserError when it is no JSON or too large
 */
export function parseTokenizer(bytes: Uint8Array): Tokenizer {
  const json = parseJsonBounded(bytes, MAX_TOKENIZER_BYTES, "The tokenizer");
  const model = modelOf(json);
  const tokens = tokensOf(model.vocab);
  const own: object = JSON.parse(tokenizerJson({ tokens, merges: mergesOf(model.merges, tokens) }));
  const inner = new HuggingFaceTokenizer(own, { clean_up_tokenization_spaces: false });
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

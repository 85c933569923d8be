/**
 * Byte-level byte-pair encoding: how text is cut into words before it, and how its merges are trained. Reading and
 * applying a trained one is the work of @huggingface/tokenizers (tokenizer.ts).
 */
import { DataError } from "./errors.ts";

/** GPT-2's pattern, which the Hugging Face pre-tokenizer `ByteLevel` with `use_regex` stands for. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The words that tokens never cross; joined they are the text again. */
export function splitWords(text: string): string[] {
  return text.match(WORDS) ?? [];
}

/**
 * The printable character that stands for each byte in a byte-level vocabulary (GPT-2): printable Latin-1 for itself,
 * the other bytes, in order, for the code points from 256.
 */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCodePoint(printable ? byte : next++);
  });
})();

/** A trained encoding: tokens by id in byte characters, and merges in the order they apply. */
export interface BytePairs {
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/**
 * Trains merges on words: the most frequent adjacent pair becomes a token, again and again; among equals the pair of
 * the smallest ids. Ids: the 256 bytes by code point of their character, then merges in order. The result depends on
 * the counts alone, not on the order of words.
 * @param counts how often each word occurs
 * @param vocabulary number of tokens, above 256 and at most 65,536
 * @throws DataError `DATA_TOO_SHORT` when the words do not have so many pairs
 */
export function trainBytePairs(counts: ReadonlyMap<string, number>, vocabulary: number): BytePairs {
  const tokens = byteCharacters.toSorted();
  const idOfByte = byteCharacters.map((character) => tokens.indexOf(character));
  const utf8 = new TextEncoder();
  const words = [...counts.keys()].map((word) => Uint16Array.from(utf8.encode(word), (byte) => idOfByte[byte]!));
  const weights = [...counts.values()];
  const merges: [string, string][] = [];
  /** By pair, left · vocabulary + right: how often it occurs, and the words that have or once had it. */
  const pairs = new Map<number, { count: number; words: Set<number> }>();
  const count = (w: number, sign: 1 | -1): void => {
    const ids = words[w]!;
    for (let i = 1; i < ids.length; i++) {
      const key = ids[i - 1]! * vocabulary + ids[i]!;
      const pair = pairs.get(key) ?? { count: 0, words: new Set() };
      pair.count += sign * weights[w]!;
      pair.words.add(w);
      pairs.set(key, pair);
    }
  };
  for (let w = 0; w < words.length; w++) count(w, 1);
  while (tokens.length < vocabulary) {
    let best = -1;
    let most = 0;
    for (const [key, pair] of pairs) {
      if (pair.count > most || (pair.count === most && key < best)) {
        best = key;
        most = pair.count;
      }
    }
    if (most === 0) {
      throw new DataError(
        "DATA_TOO_SHORT",
        `The text has pairs for ${tokens.length} tokens only, ${vocabulary} are asked for.`,
      );
    }
    const [left, right] = [Math.floor(best / vocabulary), best % vocabulary];
    merges.push([tokens[left]!, tokens[right]!]);
    const merged = tokens.push(tokens[left]! + tokens[right]!) - 1;
    for (const w of pairs.get(best)!.words) {
      count(w, -1);
      words[w] = mergePair(words[w]!, left, right, merged);
      count(w, 1);
    }
    pairs.delete(best);
  }
  return { tokens, merges };
}

/** Replaces every (left, right) by `merged`, from the left, in place; gives the shortened view. */
function mergePair(
  ids: Uint16Array<ArrayBuffer>,
  left: number,
  right: number,
  merged: number,
): Uint16Array<ArrayBuffer> {
  let length = 0;
  for (let i = 0; i < ids.length; i++) {
    const pair = ids[i] === left && ids[i + 1] === right;
    ids[length++] = pair ? merged : ids[i]!;
    if (pair) i++;
  }
  return ids.subarray(0, length);
}

/** The encoding in Hugging Face's `tokenizer.json` format, without special tokens. */
export function tokenizerJson({ tokens, merges }: BytePairs): string {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return `${JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  })}\n`;
}

import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { beforeAll, describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import {
  parseTokenizer,
  splitWords,
  type Tokenizer,
  tokenizerJson,
  trainBytePairs,
} from "../../../offchain/src/data/index.ts";
import { brownCorpus, loadTokenizer, trainBrownTokenizer } from "../../../offchain/src/data/node/index.ts";

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer();
});

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const byteCount = (ids: readonly number[]): number => ids.reduce((sum, id) => sum + tokenizer.bytesOf(id), 0);

/** Well-formed text of any characters, whitespace and controls often. */
function anyText(seed: string): string {
  const random = createRandom(seed);
  const kinds = [
    () => random.below(0x80),
    () => random.pick([0x20, 0x20, 0x0a, 0x09, 0x0d, 0xa0, 0x2028, 0xfeff, 0xad, 0x85]),
    () => 0x61 + random.below(26),
    () => random.below(0xd800),
    () => 0xe000 + random.below(0x2000),
    () => 0x10000 + random.below(0x100000),
  ];
  return Array.from({ length: random.below(200) }, () => String.fromCodePoint(random.pick(kinds)())).join("");
}

const awkward = [
  "",
  " ",
  "   ",
  "\n\n\n",
  "a\r\n\t b   ",
  "I'll 'S don't'",
  "\u0000\u00ad\u200b\ufeff",
  "é😀漢字",
  "ĠĊ",
  "<|endoftext|>",
];

describe("the committed tokenizer", () => {
  it("is what the training script makes of Brown's training split", async () => {
    expect((await trainBrownTokenizer()) === Buffer.from(tokenizer.bytes).toString("utf8")).toBe(true);
  });

  it("has 1,024 tokens that stand for 1 byte or more", () => {
    expect(tokenizer.vocabulary).toBe(1024);
    const lengths = Array.from({ length: 1024 }, (_, id) => tokenizer.bytesOf(id));
    expect(lengths.filter((length) => length === 1)).toHaveLength(256);
    expect(Math.min(...lengths)).toBe(1);
  });

  it("gives any text back, and its tokens stand for exactly its bytes", () => {
    for (const text of [...awkward, ...Array.from({ length: 300 }, (_, i) => anyText(`text ${i}`))]) {
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text);
      expect(byteCount(ids)).toBe(utf8(text).length);
    }
  });

  it("encodes as the library alone does", async () => {
    const library = new HuggingFaceTokenizer(JSON.parse(Buffer.from(tokenizer.bytes).toString("utf8")), {});
    const texts = [...awkward.slice(1), ...Array.from({ length: 100 }, (_, i) => anyText(`same ${i}`))];
    for await (const document of (await brownCorpus()).documents()) {
      texts.push(document);
      if (texts.length > 120) break;
    }
    for (const text of texts) expect(tokenizer.encode(text)).toEqual(library.encode(text).ids);
  });

  it("decodes bytes that are no whole character to replacement characters", () => {
    const ids = tokenizer.encode("漢");
    expect(ids.length).toBeGreaterThan(1);
    expect(tokenizer.decode(ids.slice(0, 1))).toBe("\ufffd");
  });
});

const valid = (): Record<string, unknown> => JSON.parse(Buffer.from(tokenizer.bytes).toString("utf8"));
const model = (): { type: string; vocab: Record<string, number>; merges: [string, string][] } =>
  valid().model as ReturnType<typeof model>;

describe("a tokenizer from elsewhere", () => {
  it.each<[string, () => unknown]>([
    ["another model", () => ({ ...valid(), model: { ...model(), type: "Unigram" } })],
    ["text that is changed first", () => ({ ...valid(), normalizer: { type: "Lowercase" } })],
    ["added tokens", () => ({ ...valid(), added_tokens: [{ id: 0, content: "a" }] })],
    ["no byte level", () => ({ ...valid(), pre_tokenizer: { type: "Whitespace" } })],
    ["an id twice", () => ({ ...valid(), model: { ...model(), vocab: { ...model().vocab, a: 0 } } })],
    ["an id too high", () => ({ ...valid(), model: { ...model(), vocab: { ...model().vocab, a: 5000 } } })],
    [
      "a character that is no byte",
      () => ({ ...valid(), model: { ...model(), vocab: { ...model().vocab, 漢: 1024 } } }),
    ],
    ["bytes without a token", () => ({ ...valid(), model: { ...model(), vocab: { a: 0 }, merges: [] } })],
    [
      "a decoder whose pattern never ends",
      () => ({
        ...valid(),
        decoder: {
          type: "Sequence",
          decoders: [valid().decoder, { type: "Replace", pattern: { Regex: "^(.|.)*\\u0001" }, content: "" }],
        },
      }),
    ],
    [
      "a decoder that writes megabytes",
      () => ({ ...valid(), decoder: { type: "Replace", pattern: { String: "" }, content: "x".repeat(1000) } }),
    ],
    [
      "a word said a thousand times",
      () => ({
        ...valid(),
        post_processor: {
          type: "TemplateProcessing",
          single: Array.from({ length: 1000 }, () => ({ Sequence: { id: "A", type_id: 0 } })),
          pair: [],
        },
      }),
    ],
    ["no merges", () => ({ ...valid(), model: { ...model(), merges: undefined } })],
    ["a merge of one", () => ({ ...valid(), model: { ...model(), merges: [["Ġ"]] } })],
    ["a merge of what is no token", () => ({ ...valid(), model: { ...model(), merges: [["Ġ", "Ġzz"]] } })],
    ["a merge to what is no token", () => ({ ...valid(), model: { ...model(), merges: ["z z"] } })],
    [
      "too many merges",
      () => ({ ...valid(), model: { ...model(), merges: Array.from({ length: 262_145 }, () => "Ġ t") } }),
    ],
    ["ends of words", () => ({ ...valid(), model: { ...model(), end_of_word_suffix: "</w>" } })],
    [
      "a token that is long",
      () => ({ ...valid(), model: { ...model(), vocab: { ...model().vocab, ["a".repeat(1025)]: 1024 } } }),
    ],
    ["an empty token", () => ({ ...valid(), model: { ...model(), vocab: { ...model().vocab, "": 1024 } } })],
    ["nothing", () => null],
  ])("is refused with %s", (_, json) => {
    expect(() => parseTokenizer(utf8(JSON.stringify(json())))).toThrow(
      expect.objectContaining({ code: "TOKENIZER_INVALID" }),
    );
  });

  it("is read of its vocabulary and merges alone, which may be written as texts", () => {
    const { decoder, ...rest } = valid();
    const merges = model().merges.map((pair) => pair.join(" "));
    const other = parseTokenizer(
      utf8(
        JSON.stringify({
          ...rest,
          model: { ...model(), merges, unk_token: "a" },
          decoder: { ...(decoder as object), x: 1 },
        }),
      ),
    );
    const text = "The people of the town were not";
    expect(other.encode(text)).toEqual(tokenizer.encode(text));
    expect(other.decode(other.encode(text))).toBe(text);
  });

  it("encodes as without it where it has settings that the library would follow", () => {
    const settings = { unk_token: "z", fuse_unk: true, byte_fallback: true, continuing_subword_suffix: "@@" };
    const other = parseTokenizer(utf8(JSON.stringify({ ...valid(), model: { ...model(), ...settings } })));
    for (const text of [...awkward, "zzzz buzz of the towns"])
      expect(other.encode(text)).toEqual(tokenizer.encode(text));
  });

  it("is refused for a token's length before anything else of it is looked at", () => {
    const long = { ...model().vocab, ["漢".repeat(1025)]: "no id" };
    expect(() => parseTokenizer(utf8(JSON.stringify({ ...valid(), model: { ...model(), vocab: long } })))).toThrow(
      /a token has 1025 bytes/,
    );
  });

  it("is refused when it is no JSON", () => {
    expect(() => parseTokenizer(utf8("{"))).toThrow(/not valid JSON/);
  });
});

describe("training", () => {
  it("merges the most frequent pair first, among equals the smallest", () => {
    const counts = new Map([
      ["abab", 2],
      ["cd", 4],
      ["xyz", 1],
    ]);
    expect(trainBytePairs(counts, 259).merges).toEqual([
      ["a", "b"],
      ["c", "d"],
      ["ab", "ab"],
    ]);
    expect(trainBytePairs(new Map([...counts].reverse()), 259)).toEqual(trainBytePairs(counts, 259));
    expect(() => trainBytePairs(counts, 300)).toThrow(/pairs for 261 tokens only, 300 are asked for/);
  });

  it("gives a tokenizer that applies its merges", () => {
    const text = "banana bandana ".repeat(20);
    const counts = new Map<string, number>();
    for (const word of splitWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
    const trained = parseTokenizer(utf8(tokenizerJson(trainBytePairs(counts, 262))));
    expect(trained.encode(text).length).toBeLessThan(text.length / 2);
    expect(trained.decode(trained.encode(text))).toBe(text);
  });
});

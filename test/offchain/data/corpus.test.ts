import { dirname, join } from "node:path";

import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { DataError, detokenizeBrown, heldOutBy } from "../../../offchain/src/data/index.ts";
import { brownCorpus, MAX_TEXT_BYTES, MIN_TEXT_BYTES, textCorpus } from "../../../offchain/src/data/node/index.ts";
import { collect, temporaryFile } from "./fixtures.ts";

describe("Brown corpus", () => {
  it("reads as plain text", () => {
    const tagged = [
      "\n\n\tThe/at jury/nn said/vbd ,/, ``/`` no/at evidence/nn ''/'' (/( (/( see/vb p./nn 8/cd )/) ./.",
      "It/pps was/bedz Ivan/np Allen/np Jr./np ./.",
      "\n\tMerger/nn-hl proposed/vbn-hl",
      "``/`` Why/wrb not/* ?/. ?/.",
      "''/'' He/pps didn't/dod* ;/. ;/.",
      "and/or/cc 1/2/cd --/-- '/' yes/rb '/' 12''/nn ./.\n",
    ].join("\n");
    expect(detokenizeBrown(tagged)).toBe(
      [
        'The jury said, "no evidence" (see p. 8). It was Ivan Allen Jr.',
        "Merger proposed",
        "\"Why not?\" He didn't; and/or 1/2 -- 'yes' 12\".",
        "",
      ].join("\n"),
    );
  });

  it("has 500 texts, the same each time, without tags or stray spaces", async () => {
    const corpus = await brownCorpus();
    const documents = await collect(corpus.documents());
    expect(corpus.source).toMatch(/500 texts/);
    expect(documents).toHaveLength(500);
    const text = documents.join("");
    expect(text.length).toBeGreaterThan(5_900_000);
    // One token of the corpus is broken: "material/hr./*0F./in./nil".
    expect(text.match(/\S*\/(nn|vb|at|in)\b/g)).toEqual(["material/hr./*0F./in"]);
    expect(/``|''|\( | [,;?!)]/.exec(text)).toBeNull();
    expect(documents[0]).toMatch(/^The Fulton County Grand Jury said Friday/);
    expect(await collect(corpus.documents())).toEqual(documents);
  });
});

const indices = (seed: string): number[] => Array.from({ length: 500 }, (_, i) => i).filter(heldOutBy(seed));

describe("held-out split", () => {
  it("is one of every twenty documents, drawn from the seed", () => {
    for (const seed of ["cotrain", "other"]) {
      const heldOut = heldOutBy(seed);
      for (let group = 0; group < 30; group++) {
        const drawn = Array.from({ length: 20 }, (_, i) => heldOut(group * 20 + i));
        expect(drawn.filter(Boolean)).toHaveLength(1);
      }
    }
    expect(indices("cotrain")).toEqual(indices("cotrain"));
    expect(indices("cotrain")).not.toEqual(indices("other"));
  });
});

describe("a text of the user's", () => {
  const paragraph = "It was a bright cold day in April, and the clocks were striking thirteen. Ünïcödé 漢字 😀.\n\n";

  it.each([
    ["prose", paragraph.repeat(500)],
    ["no newlines", "word ".repeat(20_000)],
    ["no spaces", "x".repeat(100_000)],
    ["only astral characters", "😀".repeat(30_000)],
    ["more than one read", paragraph.repeat(24_000)],
    ["CRLF and a byte order mark in the middle", `${"line\r\n".repeat(10_000)}\ufeff`],
  ])("comes back whole from its documents: %s", async (_, text) => {
    const corpus = await textCorpus(await temporaryFile(text));
    const documents = await collect(corpus.documents());
    expect(documents.join("") === text).toBe(true);
    expect(documents.length).toBeGreaterThan(60);
    for (const document of documents) {
      expect(document.length).toBeGreaterThan(0);
      expect(document.length).toBeLessThanOrEqual(16_384);
      expect(document.isWellFormed()).toBe(true);
    }
  });

  it("is accepted from the minimum length on", async () => {
    const text = "a ".repeat(MIN_TEXT_BYTES / 2);
    expect((await textCorpus(await temporaryFile(text))).source).toBe(`text.txt, ${MIN_TEXT_BYTES} bytes`);
    const short = await temporaryFile(text.slice(1));
    await expect(textCorpus(short)).rejects.toMatchObject({
      code: "DATA_TOO_SHORT",
      message: `${short} has ${MIN_TEXT_BYTES - 1} bytes; a text to train on has at least ${MIN_TEXT_BYTES}.`,
    });
  });

  it("is refused in one sentence when it is not there, a directory, or a device", async () => {
    const path = await temporaryFile("x");
    await expect(textCorpus(`${path}.none`)).rejects.toMatchObject({
      code: "DATA_UNREADABLE",
      message: `${path}.none does not exist.`,
    });
    await expect(textCorpus(dirname(path))).rejects.toMatchObject({
      message: `${dirname(path)} is not a regular file.`,
    });
    await expect(textCorpus("/dev/zero")).rejects.toMatchObject({ code: "DATA_UNREADABLE" });
    await expect(textCorpus(join(path, "x"))).rejects.toBeInstanceOf(DataError);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["random bytes", createRandom("binary").bytes(100_000), /malformed bytes|zero byte/],
    ["Latin-1", Buffer.from(paragraph.repeat(800), "latin1"), /malformed bytes/],
    ["UTF-16", Buffer.from("some words ".repeat(8000), "utf16le"), /zero byte near byte 1\./],
    [
      "a character cut in the end",
      Buffer.concat([Buffer.from("a".repeat(40_000)), Buffer.from([0xe6, 0xbc])]),
      /malformed/,
    ],
  ])("is refused when it is no text: %s", async (_, bytes, sentence) => {
    const path = await temporaryFile(bytes);
    const refused = textCorpus(path);
    await expect(refused).rejects.toThrow(sentence);
    await expect(refused).rejects.toMatchObject({ code: "DATA_NOT_TEXT", message: expect.stringContaining(path) });
  });

  it("allows what the manifest can hold", () => {
    // Even at a token a byte the shards of 2^18 tokens stay within the 8,192 of the manifest.
    expect(MAX_TEXT_BYTES / 2 ** 18).toBeLessThanOrEqual(8192);
  });
});

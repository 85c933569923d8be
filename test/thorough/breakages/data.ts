/** Defences of `data`. */
import type { Breakage } from "./breakage.ts";

export const data: readonly Breakage[] = [
  {
    name: "who is given which data can be foretold",
    file: "offchain/src/data/ledger.ts",
    text: ": random.below(sizeOf(from));",
    instead: ": 0;",
    tests: ["test/attack/dealing.test.ts", "test/offchain/data/ledger.test.ts"],
  },
  {
    name: "a stranger's tokenizer may bring a decoder of any kind",
    file: "offchain/src/data/tokenizer.ts",
    text: "[decoder, postProcessor].every(isByteLevel)",
    instead: "isByteLevel(postProcessor)",
    tests: ["test/offchain/data/tokenizer.test.ts", "test/attack/hostileModels.test.ts"],
  },
  {
    name: "the library is given the whole of a stranger's tokenizer",
    file: "offchain/src/data/tokenizer.ts",
    text: "JSON.parse(tokenizerJson({ tokens, merges: mergesOf(model.merges, tokens) }))",
    instead: "{ ...(json as object), merges: mergesOf(model.merges, tokens).length }",
    tests: ["test/offchain/data/tokenizer.test.ts"],
  },
  {
    name: "each character of a token is looked at, however long it is",
    file: "offchain/src/data/tokenizer.ts",
    text: "    if (token.length === 0 || token.length > TOKEN_BYTES) {",
    instead:
      "    for (const each of token) if (!standsForByte.has(each)) throw invalid(`character ${each}`);\n    if (token.length === 0 || token.length > TOKEN_BYTES) {",
    tests: ["test/offchain/data/tokenizer.test.ts"],
  },
  {
    name: "the merges of a stranger's tokenizer need make no tokens",
    file: "offchain/src/data/tokenizer.ts",
    text: "![left, right, left + right].every((token) => known.has(token))",
    instead: "false",
    tests: ["test/offchain/data/tokenizer.test.ts"],
  },
  {
    name: "a shard that is too short is read for ever",
    file: "offchain/src/data/sequences.ts",
    text: "if (part.length === 0)",
    instead: "if (part.length === 0) return out;\n        if (done > width)",
    tests: ["test/offchain/data/prepare.test.ts"],
  },
  {
    name: "a data manifest need not add up",
    file: "offchain/src/data/prepare.ts",
    text: "if (!regular || tokens === 0 ||",
    instead: "if (tokens === 0 && regular &&",
    tests: [
      "test/offchain/data/prepare.test.ts",
      "test/offchain/validator/loss.test.ts",
      "test/offchain/worker/refusals.test.ts",
    ],
  },
  {
    name: "work that is given again keeps its attempt",
    file: "offchain/src/data/ledger.ts",
    text: "attempt: old.attempt + 1, worker",
    instead: "attempt: old.attempt, worker",
    tests: ["test/offchain/data/ledger.test.ts"],
  },
  {
    name: "small assignments are drawn in as many pieces as large ones",
    file: "offchain/src/data/ledger.ts",
    text: "Math.min(PIECES, Math.ceil(size / PIECE))",
    instead: "PIECES",
    tests: ["test/offchain/data/ledger.test.ts"],
  },
  {
    name: "what is free falls apart without bound",
    file: "offchain/src/data/ledger.ts",
    text: "const CROWDED = 8_192;",
    instead: "const CROWDED = 819_200;",
    tests: ["test/offchain/data/ledger.test.ts"],
  },
  {
    name: "what comes back finds its neighbour drawn, and stays apart",
    file: "offchain/src/data/ledger.ts",
    text: "crowded ? behindOpen(ledger.open, free) : new Set<PositionRange>()",
    instead: "crowded ? new Set<PositionRange>() : behindOpen(ledger.open, free)",
    tests: ["test/offchain/data/ledger.test.ts"],
  },
  {
    name: "data that lie in too many ranges for an assignment are left as scattered as they are",
    file: "offchain/src/data/ledger.ts",
    text: "const taken = piece.slice(0, MAX_RANGES - 1 - ranges.length);",
    instead: "const taken = piece;\n    if (ranges.length + piece.length >= MAX_RANGES) break;",
    tests: ["test/offchain/data/ledger.test.ts"],
  },
];

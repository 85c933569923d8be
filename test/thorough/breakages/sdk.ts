/** Defences of `sdk`. */
import type { Breakage } from "./breakage.ts";

export const sdk: readonly Breakage[] = [
  {
    name: "a shard of the data may be of any length",
    file: "sdk/src/protocol/documents.ts",
    text: "maximum: MAX_SHARD_TOKENS }",
    instead: "maximum: Number.MAX_SAFE_INTEGER }",
    tests: ["test/offchain/data/prepare.test.ts"],
  },
  {
    name: "a held-out loss may be any number",
    file: "sdk/src/protocol/verdicts.ts",
    text: "return value > BigInt(Number.MAX_SAFE_INTEGER) ?",
    instead: "return value < 0n ?",
    tests: ["test/offchain/coordinator/refusals.test.ts"],
  },
];

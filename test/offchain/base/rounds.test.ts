import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { roundNumber } from "../../../offchain/src/base/index.ts";

const sources = join(import.meta.dirname, "../../../offchain/src");

it("round n makes checkpoint n of checkpoint n − 1", () => {
  expect([0, 7].map(roundNumber)).toEqual([1, 8]);
});

/** What is not the checkpoint that a round starts from: counts of rounds, which people count from 1 already. */
const counted = new Set(["${from}", "${summary.training.rounds}"]);

it("every sentence that names a round counts as people do", () => {
  const found = globSync("**/*.ts", { cwd: sources }).flatMap((file) => {
    const text = readFileSync(join(sources, file), "utf8");
    return [...text.matchAll(/\b[Rr]ound (\$\{[^}]*\})/g)].map(([, value = ""]) => ({ file, value }));
  });
  expect(found.length).toBeGreaterThan(20);
  expect(found.filter(({ value }) => !value.startsWith("${roundNumber(") && !counted.has(value))).toEqual([]);
});

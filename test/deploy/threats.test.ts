/** Each row of the threat model names tests that there are, and each attack stands in a row. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root, rowsOfThreats } from "../attack/rows.ts";

const page = readFileSync(join(root, "docs/threat-model.md"), "utf8");
const rows = rowsOfThreats(page);
const problemsOf = (text: string): string[] =>
  rowsOfThreats(text).flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`));

test("every row names a test or a command that shows its defence", () => {
  expect(rows.length).toBeGreaterThan(40);
  const without = rows.filter(({ files, commands }) => files.length + commands.length === 0);
  expect(without.map(({ name }) => name)).toEqual([]);
});

test("every file that a row names is there, and holds every title that the row quotes from it", () => {
  expect(problemsOf(page)).toEqual([]);
});

test.each([
  [
    "a file that is gone",
    "`test/attack/payloads.test.ts`",
    "`test/attack/payload.test.ts`",
    "payload.test.ts is no test",
  ],
  [
    "a path that does not begin at the root",
    "`test/attack/joins.test.ts`",
    "`attack/joins`",
    "attack/joins is no test",
  ],
  ["a title that no test has", '"of zeros"', '"of ones"', '"of ones" is not in test/attack/payloads.test.ts'],
])("notices %s", (_, from, to, problem) => {
  expect(page).toContain(from);
  expect(problemsOf(page.replace(from, to)).join("\n")).toContain(problem);
});

test("every file of attacks stands in a row", () => {
  const files = readdirSync(join(root, "test/attack")).filter((file) => file.endsWith(".test.ts"));
  const named = new Set(rows.flatMap((row) => row.files));
  expect(files.filter((file) => !named.has(`test/attack/${file}`))).toEqual([]);
});

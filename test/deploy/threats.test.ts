/** Each row of the threat model names tests that there are, and each attack stands in a row. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root, rowsOfThreats } from "../attack/rows.ts";

const rows = rowsOfThreats();

test("every row names a test or a command that shows its defence, and no test that is not there", () => {
  expect(rows.length).toBeGreaterThan(40);
  expect(rows.filter(({ files, commands }) => files.length + commands.length === 0).map(({ name }) => name)).toEqual(
    [],
  );
  expect(rows.flatMap(({ name, unknown }) => unknown.map((test) => `${name}: ${test}`))).toEqual([]);
});

test("every file of attacks stands in a row", () => {
  const files = readdirSync(join(root, "test/attack")).filter((file) => file.endsWith(".test.ts"));
  const named = new Set(rows.flatMap((row) => row.files));
  expect(files.filter((file) => !named.has(`test/attack/${file}`))).toEqual([]);
});

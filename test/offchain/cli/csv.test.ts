/** Tables for spreadsheets: what a row of them is, and which files they may replace. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { csvOf, writeCsv } from "../../../offchain/src/cli/csv.ts";
import { temporaryDirectory } from "./support.ts";

test("a cell stays one cell, whatever it holds", () => {
  expect(csvOf([["a", "b,c", 'say "d"', "e\nf", ""]])).toBe('a,"b,c","say ""d""","e\nf",\n');
});

test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])("%j is text and no formula", (text) => {
  expect(csvOf([[text]])).toMatch(/^"?'/);
});

test("replaces an earlier table of the same columns, and nothing else", async () => {
  const file = join(temporaryDirectory(), "table.csv");
  await writeCsv(file, ["a", "b"], [["1", "2"]]);
  await writeCsv(file, ["a", "b"], [["3", "4"]]);
  expect(readFileSync(file, "utf8")).toBe("a,b\n3,4\n");
  for (const other of ["my diary\n", "a,", ""]) {
    writeFileSync(file, other);
    await expect(writeCsv(file, ["a", "b"], [])).rejects.toMatchObject({ code: "FILE_EXISTS" });
    expect(readFileSync(file, "utf8")).toBe(other);
  }
});

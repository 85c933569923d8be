/**
 * Which rows of the table of breakages were noticed, in `docs/results/breakages.json`, a line each by name: so rows that two
 * people tried in two clones merge. A row's record holds for what the row says, the file that it breaks, and its tests with what they import
 * from `test/` themselves, and for no more: another file may change so that a test notices no longer. It is Stryker's bargain for
 * its incremental mode: what did not change is not tried again.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

import type { Breakage } from "./breakages.ts";
import { root } from "./copy.ts";
import type { Found } from "./tryBreakage.ts";

export const RECORDS = "docs/results/breakages.json";

interface Recorded extends Found {
  /** `digestsOf` the row. */
  readonly of: string;
  readonly seconds: number;
}

export type Records = Readonly<Record<string, Recorded>>;

export function readRecords(): Records {
  const file = join(root, RECORDS);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Records) : {};
}

export function writeRecords(records: Records): void {
  const file = join(root, RECORDS);
  mkdirSync(dirname(file), { recursive: true });
  // Another name first: who is interrupted leaves what was there.
  writeFileSync(`${file}.new`, linesOf(records));
  renameSync(`${file}.new`, file);
}

export function linesOf(records: Records): string {
  const lines = Object.keys(records)
    .sort()
    .map((name) => {
      const { of, seconds, noticed, hung } = records[name] as Recorded;
      return `${JSON.stringify(name)}: ${JSON.stringify({ of, seconds, noticed, hung })}`;
    });
  return `{\n${lines.join(",\n")}\n}\n`;
}

/** Lines that only say which point of the foundation a test is of: no test runs otherwise for them. */
const LABELS = /^ *\/\/ foundation \d.*\n/gm;

/** By name, 16 digits of the sha256 of all that a row's record holds for. */
export function digestsOf(rows: readonly Breakage[], from: string = root): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  const textOf = (file: string): string => {
    const text =
      known.get(file) ??
      (existsSync(join(from, file)) ? readFileSync(join(from, file), "utf8").replaceAll(LABELS, "") : "");
    known.set(file, text);
    return text;
  };
  const importsOf = (test: string): string[] =>
    [...textOf(test).matchAll(/\bfrom "(\.[^"]*)"/g)]
      .map(([, path = ""]) => posix.join(posix.dirname(test), path))
      .filter((path) => path.startsWith("test/"));
  return new Map(
    rows.map(({ name, file, text, instead, tests }) => {
      const files = [...new Set([file, ...tests.flatMap((test) => [test, ...importsOf(test)])])];
      const content = [file, text, instead, tests, files.map((each) => [each, textOf(each)])];
      return [name, createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16)];
    }),
  );
}

/** Rows whose record holds. */
export function holding(records: Records, digests: ReadonlyMap<string, string>): ReadonlySet<string> {
  return new Set([...digests].filter(([name, of]) => records[name]?.of === of).map(([name]) => name));
}

/** One sentence: how many rows have a record that holds, how many one of other sources, and how many none. */
export function standing(records: Records, digests: ReadonlyMap<string, string>): string {
  const held = holding(records, digests).size;
  const recorded = [...digests.keys()].filter((name) => name in records).length;
  const rest = `${recorded - held} have one of other sources, ${digests.size - recorded} none`;
  return `${held} of ${digests.size} rows of breakages have a record that holds; ${rest}.`;
}

/** Of all that rows look at, where each has a record that holds. */
export function digestOfAll(records: Records, digests: ReadonlyMap<string, string>): string | undefined {
  if (holding(records, digests).size < digests.size) return undefined;
  return createHash("sha256")
    .update(JSON.stringify([...digests]))
    .digest("hex");
}

/** Without the records of rows that there are no more. */
export function pruned(records: Records, digests: ReadonlyMap<string, string>): Records {
  return Object.fromEntries(Object.entries(records).filter(([name]) => digests.has(name)));
}

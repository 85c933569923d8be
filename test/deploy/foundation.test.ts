/** The points of the foundation, as docs/development.md lists them, and the tests that carry their labels. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root } from "../attack/rows.ts";

/** Files below test/ by point. */
type Points = Record<number, string[]>;

function listed(): Points {
  const page = readFileSync(join(root, "docs/development.md"), "utf8");
  const rows = page.matchAll(/^\| (\d+) \| [^|]+ \| ([^|]+) \|$/gm);
  return Object.fromEntries(
    [...rows].map(([, point, files = ""]) => [point, [...files.matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file)]),
  );
}

function labelled(): Points {
  const found: Points = {};
  for (const file of globSync("**/*.{ts,sol}", { cwd: join(root, "test") }).toSorted()) {
    const text = readFileSync(join(root, "test", file), "utf8");
    for (const [label] of text.matchAll(/^ *\/\/ foundation \d.*$/gm))
      for (const [, point] of label.matchAll(/foundation (\d+)/g))
        found[Number(point)] = [...new Set([...(found[Number(point)] ?? []), file])];
  }
  return found;
}

/** Parts of points, each with a test: `16: part`, its file, and the test's name. */
type Parts = readonly (readonly [part: string, file: string, test: string])[];

function listedParts(): Parts {
  const page = readFileSync(join(root, "docs/development.md"), "utf8");
  const rows = page.matchAll(/^\| (\d+: [^|]+) \| `([^`]+)` "(.+)" \|$/gm);
  return [...rows].map(([, part = "", file = "", name = ""]) => [part, file, name] as const);
}

/** Labels of parts with their files, and the text from there on, which begins with the test. */
function labelledParts(points: ReadonlySet<string>) {
  return globSync("**/*.test.ts", { cwd: join(root, "test") }).flatMap((file) => {
    const text = readFileSync(join(root, "test", file), "utf8");
    return [...text.matchAll(/^ *\/\/ foundation (\d+): (.+)\n/gm)].flatMap(
      ({ 0: label, 1: point = "", 2: part, index }) =>
        points.has(point) ? [{ part: `${point}: ${part}`, file, below: text.slice(index + label.length) }] : [],
    );
  });
}

/** Whether a text begins with a test, or a group of tests, of this name, which runs: a comment is none, nor what is skipped. */
function isTestOf(name: string, text: string): boolean {
  const code = text.replaceAll(/^ *\/\/.*\n/gm, "");
  const first = code.split("\n\n")[0] ?? "";
  const call = /^\s*(?:describe|it|test)((?:\.\w+)*)[(<]/.exec(first);
  if (call === null || /\.(skip|todo|fails)\b/.test(call[1] ?? "")) return false;
  return first.split(/\(\s*/).some((argument) => argument.startsWith(`"${name}",`));
}

test("a part's test is one that runs, not one of its name that is skipped or told of", () => {
  const body = ", () => {\n  expect(1).toBe(1);\n});\n";
  for (const sound of [
    `test("holds"${body}`,
    `  it.each([\n  ["a"],\n])("holds"${body}`,
    `it.runIf(a)(\n  "holds"${body}`,
  ])
    expect([sound, isTestOf("holds", sound)]).toEqual([sound, true]);
  for (const other of [
    `test.skip("holds"${body}`,
    `describe.todo("holds");\n`,
    `// test("holds"${body}`,
    `test("another"${body}\n// told of\ntest("holds"${body}`,
    `test("another, which holds"${body}`,
    `const holds = "holds";\n`,
  ])
    expect([other, isTestOf("holds", other)]).toEqual([other, false]);
});

const sorted = (all: readonly (readonly string[])[]): string[] => all.map((row) => row.join(" | ")).toSorted();

test("every part of a point has its test by name, and every label of a part is listed", () => {
  const parts = listedParts();
  const count = (point: string): number =>
    new Set(parts.flatMap(([part]) => (part.startsWith(point) ? part : []))).size;
  expect([count("16: "), count("18: ")]).toEqual([8, 3]);
  const labels = labelledParts(new Set(["16", "18"]));
  expect(sorted(labels.map(({ part, file }) => [part, file]))).toEqual(
    sorted(parts.map(([part, file]) => [part, file])),
  );
  for (const [part, file, name] of parts) {
    const found = labels.filter((label) => label.part === part && label.file === file);
    const named = found.some(({ below }) => isTestOf(name, below));
    expect([part, name, named]).toEqual([part, name, true]);
  }
});

test("every point of the foundation has tests, in the files that the developers' page names", () => {
  const points = listed();
  expect(Object.keys(points).map(Number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(labelled()).toEqual(points);
});

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
    const named = found.some(({ below }) => below.split("\n\n")[0]?.includes(`"${name}"`));
    expect([part, name, named]).toEqual([part, name, true]);
  }
});

test("every point of the foundation has tests, in the files that the developers' page names", () => {
  const points = listed();
  expect(Object.keys(points).map(Number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(labelled()).toEqual(points);
});

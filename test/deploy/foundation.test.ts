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

test("every point of the foundation has tests, in the files that the developers' page names", () => {
  const points = listed();
  expect(Object.keys(points).map(Number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(labelled()).toEqual(points);
});

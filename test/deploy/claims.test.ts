/** What the pages claim of the run: no more than was done, and that each format has its row of deviations. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root } from "../attack/rows.ts";
import { protocolPage } from "../interop/variants.ts";

const read = (file: string): string => readFileSync(join(root, file), "utf8").replaceAll(/\s*\n[\s*]*/g, " ");

const pages = [
  "README.md",
  "CHANGELOG.md",
  "sdk/README.md",
  "test/bench/README.md",
  ...globSync("docs/*.md", { cwd: root }),
];

/** Characters from a loss to the size of its sample, at most. */
const ROOM = 60;

/** Sentences, and rows of tables and lines of screens, whose ends are what they are. */
const piecesOf = (file: string): string[] =>
  readFileSync(join(root, file), "utf8")
    .split(/\n\s*\n|\n(?=\||  )|(?<=^\|.*)\n/m)
    .flatMap((paragraph) => paragraph.replaceAll(/\s+/g, " ").split(/(?<=\.) (?=[A-Z])/));

// foundation 18: the size of the sample beside each loss
test("a measured loss of a page stands with the tokens that it was measured on", () => {
  const losses = pages.flatMap((file) =>
    piecesOf(file)
      .filter((piece) => /bits\/byte|nats\/token|at the start/.test(piece))
      .flatMap((piece) => [...piece.matchAll(/\b\d\.\d{3}\b/g)].map(({ index }) => ({ file, piece, index }))),
  );
  expect(losses.length).toBeGreaterThan(6);
  const bare = losses.filter(({ piece, index }) => !/ on [1-9][\d,]*\b/.test(piece.slice(index, index + ROOM)));
  expect(bare.map(({ file, piece }) => `${file}: ${piece}`)).toEqual([]);
});

test("no page says that the engine's process has more walls than it has", () => {
  for (const file of pages) {
    const text = read(file);
    expect(
      `${file}: ${/\bempty environment\b|\bwithout keys,? (?:and |or )?(?:files|environment)\b/.exec(text)?.[0]}`,
    ).toBe(`${file}: undefined`);
  }
  expect(read("docs/threat-model.md").split("## What is known and still open")[1]).toContain(
    "runs native code in the engine's process, which is the same user's",
  );
});

// foundation 18: the outer learning rate
test("the outer learning rate was tried, not tuned, and nothing says otherwise", () => {
  for (const file of [...pages, "sdk/src/protocol/parameters.ts"])
    for (const [said] of read(file).matchAll(/\S*\s*\S*\s*\btuned\b/gi))
      expect(`${file}: ${said}`).toMatch(/\bnot tuned$/i);
  expect(read("test/bench/README.md")).toContain(
    "were tried, not tuned: the outer learning rate (0.7) is the DiLoCo paper's",
  );
});

// foundation 18: a row of deviations for each format
test("each format that is known to be departed from has a row of deviations, and no other has", () => {
  const [, section = ""] = protocolPage.split("\n## 16. ");
  const rows = [...section.matchAll(/^\| ([^|]+) \| ([^|]+) \|$/gm)].slice(1).map(([, name = ""]) => name);
  expect(rows).toEqual([
    "RFC 8785",
    "EIP-712",
    "safetensors",
    "CARv1",
    "OpenZeppelin's standard tree",
    "Llama",
    "AdamW",
    "Muon",
    "clipping",
    "Nesterov as in PyTorch",
    "error feedback",
    "ONNX",
    "tokenizer.json",
    "xoshiro128**",
    "DiLoCo",
  ]);
});

/** What the pages claim of the run: no more than was done, and that each format has its row of deviations. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root } from "../attack/rows.ts";
import { protocolPage } from "../interop/variants.ts";

const read = (file: string): string => readFileSync(join(root, file), "utf8").replaceAll(/\s*\n[\s*]*/g, " ");

// foundation 18: the outer learning rate
test("the outer learning rate was tried, not tuned, and nothing says otherwise", () => {
  const pages = [
    "README.md",
    "CHANGELOG.md",
    "sdk/README.md",
    "test/bench/README.md",
    ...globSync("docs/*.md", { cwd: root }),
  ];
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

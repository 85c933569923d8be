/** That the rules of .dependency-cruiser.mjs notice what they forbid, types and `using` included. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, it } from "vitest";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const { rooms } = (await import(pathToFileURL(join(root, ".dependency-cruiser.mjs")).href)) as {
  readonly rooms: readonly string[];
};
const cruiser = join(root, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs");

/** The rules that each file of a tree breaks. */
function cruise(files: ReadonlyMap<string, string>): Map<string, string[]> {
  const tree = mkdtempSync(join(tmpdir(), "cotrain-arrows-"));
  try {
    for (const [path, text] of files) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    const args = ["--config", join(root, ".dependency-cruiser.mjs"), "--output-type", "json", "."];
    const { stdout, stderr } = spawnSync(process.execPath, [cruiser, ...args], { cwd: tree, encoding: "utf8" });
    if (stdout === "") throw new Error(stderr);
    const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string; rule: { name: string } }[] } };
    const broken = new Map<string, string[]>();
    for (const { from, rule } of summary.violations)
      broken.set(from, [...new Set([...(broken.get(from) ?? []), rule.name])].toSorted());
    return broken;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

const target = "export const value = 1;\nexport type Value = number;\n";

const cases: readonly (readonly [what: string, from: string, to: string, rules: string[] | undefined])[] = [
  ["an arrow that runs up", "offchain/src/diloco/a", "offchain/src/chain/index.ts", ["arrows-of-diloco"]],
  ["two actors that meet", "offchain/src/worker/b", "offchain/src/coordinator/index.ts", ["arrows-of-worker"]],
  ["a room by its window", "offchain/src/worker/c", "offchain/src/service/http/server.ts", ["rooms-have-one-door"]],
  ["a room that no map has", "offchain/src/cli/d", "offchain/src/attic/index.ts", ["rooms-are-in-the-map"]],
  ["who deploys", "offchain/src/coordinator/e", "deploy/index.ts", ["only-localnet-deploys"]],
  [
    "a command of localnet",
    "offchain/src/cli/commands/k",
    "offchain/src/localnet/index.ts",
    ["commands-know-no-localnet"],
  ],
  ["contracts past the SDK", "offchain/src/chain/f", "sdk/src/abis/generated.ts", ["contracts-through-the-sdk"]],
  ["artifacts past the SDK", "offchain/src/validator/l", "artifacts/contracts/Some.ts", ["contracts-through-the-sdk"]],
  ["an SDK that knows offchain", "sdk/src/g", "offchain/src/base/index.ts", ["sdk-stands-alone"]],
  ["an SDK that knows Node", "sdk/src/h", "node:path", ["sdk-is-browser-safe"]],
  ["sources that know tests", "offchain/src/base/i", "test/help.ts", ["sources-know-no-tests"]],
  ["what the map allows", "offchain/src/worker/j", "offchain/src/base/index.ts", undefined],
];

/** The same import as a value, as a type, and in a scope with `using`. */
function forms(from: string, to: string): [path: string, text: string][] {
  const specifier = to.startsWith("node:") ? to : `${"../".repeat(from.split("/").length - 1)}${to}`;
  return [
    [`${from}1.ts`, `import { value } from "${specifier}";\nexport const other = value;\n`],
    [`${from}2.ts`, `import type { Value } from "${specifier}";\nexport const other: Value = 2;\n`],
    [
      `${from}3.ts`,
      `export async function f() {\n  await using a = (await import("${specifier}")).value;\n  return a;\n}\n`,
    ],
  ];
}

const circle = (other: string) => `import { b } from "./${other}.ts";\nexport const a = () => b;\nexport { a as b };\n`;

const broken = cruise(
  new Map([
    ...cases.flatMap(([, from, to]) => [
      ...forms(from, to),
      ...(to.startsWith("node:") ? [] : [[to, target] as const]),
    ]),
    ["offchain/src/base/left.ts", circle("right")],
    ["offchain/src/base/right.ts", circle("left")],
  ]),
);

it.each(cases)("%s: what is told of it", (_, from, to, rules) => {
  for (const [path] of forms(from, to)) expect(broken.get(path)).toEqual(rules);
});

it("circles are noticed", () => {
  expect(broken.get("offchain/src/base/left.ts")).toEqual(["no-circles"]);
});

it("every folder of offchain/src is a room that has its arrows, and its row in docs/architecture.md", () => {
  const folders = readdirSync(join(root, "offchain/src")).toSorted();
  const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const [, table = ""] = page.split("| room | what it is |\n|---|---|\n");
  const described = table.split("\n\n")[0]?.matchAll(/^\| `([\w/]+)` \| ./gm) ?? [];
  expect(rooms.toSorted()).toEqual(folders);
  expect([...described].map(([, name = ""]) => name).toSorted()).toEqual([...folders, "sdk/src/protocol"].toSorted());
});

/**
 * What `.ci/run` runs: everything that a change must pass, part by part, all of them even when one fails. It prints the
 * seconds of each part as it ends, at the end what failed parts printed last, a table, and each test that failed with its error.
 * `npm run ci -- PART…` runs some.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { BUN } from "./bun.ts";
import { CAST } from "./cast.ts";
import { prepareChromium } from "./chromium.ts";
import { commitOf } from "./commit.ts";
import { drawn } from "./draw.ts";
import { type Failure, failureLines, failuresOf, REPORTS_VARIABLE } from "./failures.ts";
import { GETH } from "./geth.ts";
import { type Prepared, prepareTool } from "./goTool.ts";
import { KUBO } from "./kubo.ts";
import { prepareNpmTool } from "./npmTool.ts";
import { long, short } from "./processFiles.ts";
import { prepareSwiftShader } from "./swiftShader.ts";

const root = resolve(fileURLToPath(import.meta.url), "../..");
/** No part takes as long, on a busy machine either; one that hangs ends all the same. */
const LIMIT_MINUTES = 60;
/** Of the tests of real processes that take minutes each so many are tried, others with each commit; `thorough` has them all. */
const LONG_ONES = 6;
/** Characters that a failed part is quoted with at the end: whoever sees only the end of the output must see why. */
const LAST_WORDS = 5_000;
/** Characters that all failures together take at the very end, and those of a part's output that are looked through. */
const FAILURES_ROOM = 3_000;
const OUTPUT = 1_000_000;

interface Part {
  readonly name: string;
  /** For `deploy/bootstrap.mjs`. */
  readonly args: readonly string[];
}

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Readonly<Record<string, string>>;
};

const parts: readonly Part[] = [
  { name: "test", args: ["test"] },
  { name: "check", args: ["check"] },
  { name: "processes", args: ["test", "--project=processes", ...short(), ...drawn(long, LONG_ONES, commitOf())] },
  // What else the threat model names has just run in `test` and `processes`.
  { name: "attack", args: ["attack", "--own"] },
  // The main job as a newcomer runs it, in sessions, and every command that its summary names.
  { name: "acceptance", args: ["acceptance"] },
  ...("interop" in scripts ? [{ name: "interop", args: ["interop", "--required"] }] : []),
  ...("chaos" in scripts ? [{ name: "chaos", args: ["chaos", "--minutes", "2"] }] : []),
  ...("thorough" in scripts ? [{ name: "thorough", args: ["thorough", "--sample"] }] : []),
];

interface Result {
  readonly name: string;
  readonly verdict: "passed" | "FAILED" | "not run";
  readonly seconds: number;
  /** What the part printed last. */
  readonly lastWords?: string;
  readonly failures?: readonly Failure[];
}

function run({ name, args }: Part): Promise<Result> {
  process.stdout.write(`\n== ${name}\n`);
  const started = performance.now();
  const reports = mkdtempSync(join(tmpdir(), "cotrain-reports-"));
  return new Promise<Result>((done, fail) => {
    const child = spawn(process.execPath, [join(root, "deploy/bootstrap.mjs"), ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, [REPORTS_VARIABLE]: reports },
      timeout: LIMIT_MINUTES * 60_000,
    });
    let output = "";
    const pass = (from: NodeJS.ReadableStream, to: NodeJS.WriteStream): void => {
      from.on("data", (chunk: Buffer) => {
        to.write(chunk);
        output = (output + chunk.toString()).slice(-OUTPUT);
      });
    };
    pass(child.stdout, process.stdout);
    pass(child.stderr, process.stderr);
    child.on("error", fail);
    child.on("close", (code) => {
      const seconds = Math.round((performance.now() - started) / 1_000);
      const verdict = code === 0 ? "passed" : "FAILED";
      process.stdout.write(`== ${name} ${verdict} in ${seconds} s\n`);
      const failures = code === 0 ? [] : failuresOf(reports, output, root);
      done({ name, verdict, seconds, lastWords: output.slice(-LAST_WORDS), failures });
    });
  }).finally(() => rmSync(reports, { recursive: true, force: true }));
}

/** Something of another make, for those of the processes that run on it. */
function prepare(name: string, make: () => Prepared): Result {
  process.stdout.write(`\n== ${name}\n`);
  const started = performance.now();
  const { kind, words } = make();
  process.stdout.write(`== ${words}\n`);
  const verdict = ({ ready: "passed", "not run": "not run", failed: "FAILED" } as const)[kind];
  const seconds = Math.round((performance.now() - started) / 1_000);
  return { name, verdict, seconds, failures: [{ name: words, words: [] }] };
}

// Whoever runs this is CI: nothing that must run there is left out for want of a tool (test/needs.ts, test/goTool.ts).
process.env["CI"] = "true";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => parts.every((part) => part.name !== name));
if (unknown.length > 0) {
  process.stderr.write(`ci: no part is called ${unknown.join(", ")}: ${parts.map(({ name }) => name).join(", ")}.\n`);
  process.exit(1);
}
const results: Result[] = [];
for (const part of parts) {
  if (wanted.length > 0 && !wanted.includes(part.name)) continue;
  if (part.name === "processes") {
    for (const tool of [GETH, KUBO]) results.push(prepare(tool.name, () => prepareTool(tool)));
    results.push(prepare("swiftshader", prepareSwiftShader));
    results.push(prepare("chromium", prepareChromium));
    for (const tool of [BUN, CAST]) results.push(prepare(tool.name.toLowerCase(), () => prepareNpmTool(tool)));
  }
  results.push(await run(part));
}
const failed = results.some(({ verdict }) => verdict === "FAILED");
for (const { name, verdict, lastWords } of results) {
  if (verdict === "FAILED") process.stdout.write(`\n== ${name} FAILED; its last words:\n${lastWords ?? "none"}\n`);
}
const total = results.reduce((sum, { seconds }) => sum + seconds, 0);
process.stdout.write("\npart          seconds\n");
for (const { name, verdict, seconds } of [
  ...results,
  {
    name: "in all",
    verdict: failed ? "FAILED" : "passed",
    seconds: total,
  },
]) {
  process.stdout.write(`${name.padEnd(12)} ${String(seconds).padStart(8)}  ${verdict}\n`);
}
const broken = results.filter(({ verdict }) => verdict === "FAILED");
for (const { name, failures = [] } of broken) {
  const lines = failureLines(failures, Math.floor(FAILURES_ROOM / broken.length));
  process.stdout.write(`\n${[`${name}, what failed:`, ...lines].join("\n")}\n`);
}
process.exitCode = failed ? 1 : 0;

/** The end of `.ci/run`, in a folder where each part is a program that ends as it is told. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, onTestFinished, test } from "vitest";

import { failureLines, failuresIn, REPORTS_VARIABLE } from "../failures.ts";

const sources = resolve(fileURLToPath(import.meta.url), "../..");

interface Ending {
  readonly code: number;
  readonly words?: string;
  /** By the name of the report. */
  readonly reports?: Readonly<Record<string, object>>;
}

/** What `.ci/run` prints of such parts. */
function runCi(parts: Readonly<Record<string, Ending>>): { readonly code: number | null; readonly output: string } {
  const folder = mkdtempSync(join(tmpdir(), "cotrain-ci-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const path of ["test", "test/e2e", "deploy"]) mkdirSync(join(folder, path));
  const files =
    "bun cast chromium ci commit debianPackage draw failures geth goTool kubo npmTool processFiles swiftShader";
  for (const file of files.split(" ").map((name) => `${name}.ts`))
    copyFileSync(join(sources, file), join(folder, "test", file));
  writeFileSync(join(folder, "package.json"), '{"type":"module","scripts":{"thorough":""}}');
  writeFileSync(
    join(folder, "deploy/bootstrap.mjs"),
    `import { writeFileSync } from "node:fs";
    const { code, words = "", reports = {} } = (${JSON.stringify(parts)})[process.argv[2]];
    for (const [name, report] of Object.entries(reports))
      writeFileSync(process.env.TEST_REPORTS + "/" + name, JSON.stringify(report).replaceAll("ROOT", process.cwd()));
    process.stdout.write(words, () => process.exit(code));`,
  );
  const { status, stdout } = spawnSync(process.execPath, [join(folder, "test/ci.ts"), ...Object.keys(parts)], {
    encoding: "utf8",
  });
  return { code: status, output: stdout };
}

const failed = (fullName: string, message: string) => ({ fullName, status: "failed", failureMessages: [message] });
const passed = { fullName: "passes", status: "passed", failureMessages: [] };
const stack = "\n    at /ROOT/test/sdk/a.test.ts:2:76\n    at file:///ROOT/node_modules/vitest/run.js:9:1";
const inFile = (name: string, ...assertionResults: object[]) => ({
  name: `ROOT/test/sdk/${name}`,
  status: "failed",
  message: "",
  assertionResults,
});
const report = {
  testResults: [
    inFile("a.test.ts", passed, failed("heads link", `\u001b[31mAssertionError\u001b[39m: 1 is not 2${stack}`)),
    { ...inFile("b.test.ts"), message: "cannot load it" },
  ],
};

test("what .ci/run sets is no name that a command takes for a setting that it does not know", () => {
  expect(REPORTS_VARIABLE).not.toMatch(/^COTRAIN_/);
});

describe("the end of .ci/run", () => {
  test("names each test that failed with its error, after whatever was printed before", () => {
    const noise = "noise\n".repeat(5_000);
    const solidity = {
      testResults: [{ name: "Solidity", status: "failed", message: "1 failing\nPaused()", assertionResults: [] }],
    };
    const { code, output } = runCi({
      test: { code: 1, words: noise, reports: { "vitest.json": report, "solidity.json": solidity } },
      check: { code: 1, words: `${noise}lint: a word\n` },
      acceptance: { code: 0 },
      thorough: { code: 1, words: `FAIL breakages: a guard is gone (3 s)\n     a.test.ts does not notice\n${noise}` },
    });
    expect(code).toBe(1);
    const end = output.slice(-3_500);
    expect(end).toContain("in all");
    expect(end.slice(end.indexOf("\ntest, what failed:"))).toBe(
      [
        "",
        "test, what failed:",
        "  Solidity",
        "    1 failing",
        "    Paused()",
        "  test/sdk/a.test.ts > heads link",
        "    AssertionError: 1 is not 2",
        "        at /test/sdk/a.test.ts:2:76",
        "  test/sdk/b.test.ts",
        "    cannot load it",
        "",
        "check, what failed:",
        "  no test is named; its last lines",
        ...Array.from({ length: 7 }, () => "    noise"),
        "    lint: a word",
        "",
        "thorough, what failed:",
        "  breakages: a guard is gone (3 s)",
        "    a.test.ts does not notice",
        "",
      ].join("\n"),
    );
  });

  test("says no word more where all passed", () => {
    const { code, output } = runCi({ test: { code: 0, reports: { "vitest.json": report } } });
    expect(code).toBe(0);
    expect(output).not.toContain("failed");
  });

  test("has room for names before errors, and says how many it has no room for", () => {
    const many = Array.from({ length: 60 }, (_, at) => failed(`number ${at} fails`, "word ".repeat(500)));
    const failures = failuresIn({ testResults: [inFile("a.test.ts", ...many)] } as never, "ROOT");
    expect(failures).toHaveLength(60);
    const lines = failureLines(failures, 1_000);
    expect(lines.join("\n").length).toBeLessThan(1_100);
    expect(lines[0]).toBe("  test/sdk/a.test.ts > number 0 fails");
    expect(lines.at(-1)).toBe(`  and ${60 - (lines.length - 1)} more`);
    expect(failureLines(failures.slice(0, 2), 1_000)).toHaveLength(4);
  });
});

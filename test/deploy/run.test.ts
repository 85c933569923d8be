/** `npm test` in a folder where Hardhat and Vitest are programs that end as they are told. */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, onTestFinished, test, vi } from "vitest";
import { drawn } from "../draw.ts";
import { secondsBeside } from "../e2e/finishedRun/seconds.ts";
import { finishedRun, firstOfRooms, long, ofRooms, short } from "../processFiles.ts";

const script = resolve(fileURLToPath(import.meta.url), "../../run.ts");
const root = resolve(script, "../..");

interface Ending {
  readonly code: number;
  /** A directory that one of its tests makes in the tree. */
  readonly leaves?: string;
  /** What Hardhat's build ends with, by itself 0. */
  readonly build?: number;
  /** What Hardhat prints; what Vitest reports, if it does. */
  readonly words?: string;
  readonly report?: { readonly numPassedTests: number; readonly numFailedTests: number };
}

interface Ran {
  readonly code: number | null;
  /** Those that Vitest was asked for; null where it was not begun. */
  readonly projects: readonly string[] | null;
  readonly line: string;
}

const daily = ["--project=rooms", "--project=mocks", "--project=run"];
const hardhat: Ending = { code: 0, words: "\n  14 passing\n" };
const vitest: Ending = { code: 0, report: { numPassedTests: 3, numFailedTests: 0 } };

function runTests(solidity: Ending, typescript: Ending, ...filters: string[]): Ran {
  const folder = mkdtempSync(join(tmpdir(), "cotrain-run-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const path of ["test", "node_modules/.bin"]) mkdirSync(join(folder, path), { recursive: true });
  copyFileSync(script, join(folder, "test/run.ts"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const program = (name: string, source: string): void =>
    writeFileSync(join(folder, "node_modules/.bin", name), `#!${process.execPath}\n${source}`, { mode: 0o755 });
  program(
    "hardhat",
    `if (process.argv[2] === "build") process.exitCode = ${solidity.build ?? 0};
    if (process.argv[2] === "test") { console.log(${JSON.stringify(solidity.words ?? "")}); process.exitCode = ${solidity.code}; }`,
  );
  program(
    "vitest",
    `const file = process.argv.find((flag) => flag.startsWith("--outputFile.json=")).split("=")[1];
    const report = ${JSON.stringify(typescript.report ?? null)};
    if (report) require("node:fs").writeFileSync(file, JSON.stringify(report));
    if (process.env.TEST_REPORTS !== undefined) process.exit(9);
    if (${JSON.stringify(typescript.leaves ?? "")}) require("node:fs").mkdirSync(${JSON.stringify(typescript.leaves ?? "")});
    require("node:fs").writeFileSync("arguments.json", JSON.stringify(process.argv.filter((flag) => flag.startsWith("--project"))));
    process.exitCode = ${typescript.code};`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, "test/run.ts"), ...filters], {
    encoding: "utf8",
  });
  const asked = join(folder, "arguments.json");
  const projects = existsSync(asked) ? (JSON.parse(readFileSync(asked, "utf8")) as string[]) : null;
  return { code: status, projects, line: `${stderr}${stdout.trimEnd().split("\n").at(-1)}` };
}

describe("npm test", () => {
  test("leaves reports where .ci/run wants them, of Solidity too, and has what it runs leave none", () => {
    const folder = mkdtempSync(join(tmpdir(), "cotrain-reports-"));
    onTestFinished(() => {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true, force: true });
    });
    vi.stubEnv("TEST_REPORTS", folder);
    const words = "\n  13 passing\n  1 failing\n\n  Failure (1): testPause\n  Reason: Paused()\n";
    expect(runTests({ code: 1, words }, vitest).line).toBe("16 passed, 1 failed");
    const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));
    expect(read("vitest.json")).toEqual(vitest.report);
    expect(read("solidity.json")).toMatchObject({
      testResults: [{ status: "failed", message: expect.stringMatching(/^ {2}1 failing[^]*Paused/) as string }],
    });
  });

  test("ends with 0 when both parts ran and passed", () => {
    expect(runTests(hardhat, vitest)).toEqual({ code: 0, projects: daily, line: "17 passed, 0 failed" });
  });

  test("runs TypeScript alone where files are named", () => {
    expect(runTests({ code: 1 }, vitest, "test/sdk")).toEqual({
      code: 0,
      projects: [],
      line: "3 passed, 0 failed",
    });
  });

  test("builds the contracts first, whatever is named, and ends with 1 where that fails", () => {
    const unbuilt = { code: 0, build: 1 };
    expect(runTests(unbuilt, vitest, "test/sdk")).toEqual({
      code: 1,
      projects: null,
      line: "test: no Solidity test ran.\n0 passed, 1 failed",
    });
    expect(runTests(unbuilt, vitest)).toEqual({
      code: 1,
      projects: daily,
      line: "test: no Solidity test ran.\n3 passed, 1 failed",
    });
  });

  test.each<[string, Ending, Ending, string]>([
    ["Hardhat ran nothing and ended with 0", { code: 0 }, vitest, "test: no Solidity test ran.\n3 passed, 1 failed"],
    ["Hardhat counts none", { code: 0, words: "0 passing" }, vitest, "test: no Solidity test ran.\n3 passed, 1 failed"],
    [
      "Vitest counts none",
      hardhat,
      { code: 0, report: { numPassedTests: 0, numFailedTests: 0 } },
      "test: no TypeScript test ran.\n14 passed, 1 failed",
    ],
    ["Vitest wrote no report", hardhat, { code: 0 }, "test: no TypeScript test ran.\n14 passed, 1 failed"],
    ["Solidity tests fail", { code: 1, words: "13 passing\n2 failing" }, vitest, "16 passed, 2 failed"],
    ["Hardhat fails without a count", { code: 1, words: "14 passing" }, vitest, "17 passed, 1 failed"],
    [
      "TypeScript tests fail",
      hardhat,
      { code: 1, report: { numPassedTests: 2, numFailedTests: 1 } },
      "16 passed, 1 failed",
    ],
    [
      "a test leaves a state directory in the tree",
      hardhat,
      { ...vitest, leaves: ".cotrain" },
      "test: a test left .cotrain in the tree.\n17 passed, 1 failed",
    ],
    ["Vitest fails without a count", hardhat, { ...vitest, code: 1 }, "17 passed, 1 failed"],
  ])("ends with 1 when %s", (_name, solidity, typescript, line) => {
    expect(runTests(solidity, typescript)).toEqual({ code: 1, projects: daily, line });
  });
});

test("what is named as long, of rooms, or begun first are files that there are, each once", () => {
  const named = [finishedRun, ...long, ...ofRooms, ...firstOfRooms];
  expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  expect(new Set(named).size).toBe(named.length);
});

test("of the tests of real processes .ci/run leaves out nothing but long ones", () => {
  const runs = readdirSync(join(root, "test/e2e"))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/e2e/${name}`);
  expect([...short(), ...long, finishedRun].toSorted()).toEqual([...ofRooms, ...runs].toSorted());
});

test("a sample has so many, each once; the same seed draws the same, in whatever order they come", () => {
  const one = drawn(long, 6, "a");
  expect(new Set(one).size).toBe(6);
  expect(drawn(long.toReversed(), 6, "a")).toEqual(one);
  const others = ["b", "c", "d", "e", "f", "g", "h", "i"].flatMap((seed) => drawn(long, 6, seed));
  expect(new Set([...one, ...others]).size).toBe(long.length);
});

test("the one run has half as much time again on two idle processors, for the tests beside it, and more where others are at work", () => {
  expect([0, 1, 2, 6, 50].map((load) => secondsBeside(load, 2))).toEqual([113, 113, 150, 300, 300]);
  expect([0, 30].map((load) => secondsBeside(load, 16))).toEqual([75, 150]);
});

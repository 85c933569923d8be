/**
 * `npm test`: builds the contracts, runs the Solidity suite in Hardhat, then in Vitest one whole run, which mostly waits, and
 * beside it the tests of the rooms, without those that take minutes; it closes with one line that counts the tests of both.
 * With arguments it builds them too, and runs Vitest alone, with them. The other projects of vitest.config.ts are for `.ci/run`.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const bin = (name: string): string => join(root, "node_modules/.bin", name);

/** Runs a command with its output passed through; answers its exit code and what it printed. */
function run(command: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
      // Tests of this file leave no reports.
      env: { ...process.env, CI: process.env["CI"] ?? "", TEST_REPORTS: undefined },
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk);
      output = (output + chunk.toString()).slice(-1_000_000);
    });
    child.on("error", fail);
    child.on("close", (code) => done({ code: code ?? 1, output }));
  });
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** A part in which no test ran has failed, whatever its exit code says. */
function countsOf(part: string, code: number, { passed, failed }: Counts): Counts {
  if (failed === 0 && code === 0 && passed > 0) return { passed, failed };
  if (passed + failed === 0) process.stderr.write(`test: no ${part} test ran.\n`);
  return { passed, failed: Math.max(failed, 1) };
}

/** Where `test/ci.ts` wants reports (test/failures.ts). */
const reports = process.env["TEST_REPORTS"];

/** Hardhat tells what failed at its end, after the counts. */
function reportSolidity(output: string): void {
  if (reports === undefined) return;
  const message = output.slice(Math.max(0, output.search(/^.*\bfailing\b/m)));
  const testResults = [{ name: "Solidity", status: "failed", message, assertionResults: [] }];
  writeFileSync(join(reports, "solidity.json"), JSON.stringify({ testResults }));
}

/** What is deployed in tests: a clone in which nothing ran yet has none of it. @returns what it counts as where it failed */
async function build(): Promise<Counts | undefined> {
  const { code, output } = await run(bin("hardhat"), ["build"]);
  if (code === 0) return undefined;
  reportSolidity(output);
  return countsOf("Solidity", code, { passed: 0, failed: 0 });
}

async function solidity(): Promise<Counts> {
  const { code, output } = await run(bin("hardhat"), ["test", "solidity", "--no-compile"]);
  if (code !== 0) reportSolidity(output);
  const count = (word: string): number => Number(new RegExp(`(\\d+) ${word}`).exec(output)?.[1] ?? 0);
  return countsOf("Solidity", code, { passed: count("passing"), failed: count("failing") });
}

async function typescript(filters: readonly string[]): Promise<Counts> {
  const folder = reports ?? mkdtempSync(join(tmpdir(), "cotrain-test-"));
  try {
    const file = join(folder, "vitest.json");
    const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...filters];
    const { code } = await run(bin("vitest"), args);
    // Where vitest ends before it runs anything, there is no report.
    const report = existsSync(file)
      ? (JSON.parse(readFileSync(file, "utf8")) as { numPassedTests: number; numFailedTests: number })
      : { numPassedTests: 0, numFailedTests: 0 };
    return countsOf("TypeScript", code, { passed: report.numPassedTests, failed: report.numFailedTests });
  } finally {
    if (reports === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** State directories in the tree; tests have theirs elsewhere. */
const states = (): string[] => readdirSync(root).filter((name) => name.startsWith(".cotrain"));

const daily = ["rooms", "mocks", "run"].map((project) => `--project=${project}`);
const filters = process.argv.slice(2);
const before = states();
const unbuilt = await build();
const results =
  filters.length > 0
    ? [unbuilt ?? (await typescript(filters))]
    : [unbuilt ?? (await solidity()), await typescript(daily)];
const passed = results.reduce((sum, { passed: count }) => sum + count, 0);
const left = states().filter((name) => !before.includes(name));
if (left.length > 0) process.stderr.write(`test: a test left ${left.join(", ")} in the tree.\n`);
const failed = results.reduce((sum, { failed: count }) => sum + count, left.length > 0 ? 1 : 0);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

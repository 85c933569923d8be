/** Which lines and branches of the contracts the Solidity tests come to, as forge counts them: Hardhat counts no branches. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { suite } from "../../hardhat.config.ts";
import { openWorkshop } from "./foundry.ts";

/** Without the optimizer, and with every step written down. */
const LIMIT_MINUTES = 50;
/** Values that a fuzz test tries, and sequences of an invariant: to come to a line takes few. */
const RUNS = { fuzz: 32, invariant: 8 };

/** Percent that tests must come to at the least. */
const LEAST = { lines: 98, branches: 95 } as const;

type Counted = keyof typeof LEAST;

interface Count {
  readonly found: number;
  /** `file:line` of each that no test comes to; of branches a line may stand more than once. */
  readonly missed: readonly string[];
}

/** Reads a report of the format that lcov writes. */
export function read(report: string): Readonly<Record<Counted, Count>> {
  const found = { lines: 0, branches: 0 };
  const missed: Record<Counted, string[]> = { lines: [], branches: [] };
  let file = "";
  const count = (what: Counted, line: string, times: string | undefined): void => {
    found[what] += 1;
    if (!(Number(times) > 0)) missed[what].push(`${file}:${line}`);
  };
  for (const row of report.split("\n")) {
    const [kind = "", rest = ""] = row.trim().split(/:(.*)/s);
    const [line = "", ...cells] = rest.split(",");
    if (kind === "SF") file = rest;
    if (kind === "DA") count("lines", line, cells[0]);
    // Where the condition was never come to, it says "-".
    if (kind === "BRDA") count("branches", line, cells[2]);
  }
  return {
    lines: { found: found.lines, missed: missed.lines },
    branches: { found: found.branches, missed: missed.branches },
  };
}

/** @returns a line for each of the two, and what is wrong, if something is */
export function judge(counts: Readonly<Record<Counted, Count>>): { lines: readonly string[]; problem?: string } {
  const lines: string[] = [];
  const problems: string[] = [];
  for (const what of ["lines", "branches"] as const) {
    const { found, missed } = counts[what];
    const percent = found === 0 ? 0 : (100 * (found - missed.length)) / found;
    lines.push(
      `${what}: ${found - missed.length} of ${found}, ${percent.toFixed(2)}%, not ${missed.join(" ") || "any"}`,
    );
    if (percent < LEAST[what]) problems.push(`${percent.toFixed(2)}% of ${what}, less than ${LEAST[what]}%`);
  }
  return problems.length === 0 ? { lines } : { lines, problem: problems.join("; ") };
}

/** @throws ToolMissing */
export function openCoverage(): { attempt: () => Promise<string | undefined>; close: () => void } {
  const { depth, failOnRevert } = suite.invariant;
  const workshop = openWorkshop({
    sources: "contracts",
    tests: "test/contracts",
    profile: [
      "[profile.default.fuzz]",
      `runs = ${RUNS.fuzz}`,
      'seed = "0x9"',
      "[profile.default.invariant]",
      `runs = ${RUNS.invariant}`,
      `depth = ${depth}`,
      `fail_on_revert = ${failOnRevert}`,
    ],
  });
  const report = "coverage.lcov";
  return {
    attempt: async () => {
      const { code, output } = await workshop.run(
        "forge",
        ["coverage", "--report", "lcov", "--report-file", report, "--no-match-coverage", "^(test|node_modules)/"],
        LIMIT_MINUTES,
      );
      if (code !== 0) return `forge ended with ${code}: ${output.trim().slice(-3_000)}`;
      const { lines, problem } = judge(read(readFileSync(join(workshop.directory, report), "utf8")));
      for (const line of lines) process.stdout.write(`     ${line}\n`);
      return problem;
    },
    close: workshop.remove,
  };
}

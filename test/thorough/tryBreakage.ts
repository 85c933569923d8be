/** Takes one defence out of a copy of the tree and sees whether its tests notice. */
import type { Breakage } from "./breakages.ts";
import type { Copy } from "./copy.ts";

/** @returns what is wrong, if something is */
export async function tryBreakage(copy: Copy, breakage: Breakage): Promise<string | undefined> {
  const { file, text, instead, tests } = breakage;
  const source = copy.read(file);
  if (source.split(text).length !== 2) return `${file} does not hold the text once that is to be broken`;
  for (const test of tests) {
    if (!(await passes(copy, test))) return `${test} does not pass in the first place`;
  }
  try {
    copy.write(
      file,
      source.replace(text, () => instead),
    );
    for (const test of tests) {
      const broken = await runTest(copy, test);
      if (broken !== "failed") return broken === "passed" ? `${test} does not notice` : `${test}: ${broken}`;
    }
    return undefined;
  } finally {
    copy.write(file, source);
  }
}

const passing = new WeakMap<Copy, Set<string>>();

/** What passes in the whole copy is not run again for the next breakage. */
async function passes(copy: Copy, test: string): Promise<boolean> {
  const known = passing.get(copy) ?? new Set();
  passing.set(copy, known);
  if (!known.has(test) && (await runTest(copy, test)) === "passed") known.add(test);
  return known.has(test);
}

/** @returns `passed`, `failed`, or what it said when it could not run */
async function runTest(copy: Copy, test: string): Promise<string> {
  // One test that notices is enough, and others may then wait for what never comes.
  const { code, output } = await copy.run("vitest", ["run", test, "--reporter=dot", "--bail=1"]);
  if (code === 0 && /Tests +\d+ passed/.test(output)) return "passed";
  // A test that failed noticed; one that could not run at all did not.
  return /Tests +.*\d+ failed/.test(output) || /Failed Suites/.test(output) ? "failed" : output.slice(-500);
}

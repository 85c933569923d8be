/** Takes one defence out of a copy of the tree and sees whether its tests notice. */
import type { Breakage } from "./breakages.ts";
import type { Copy } from "./copy.ts";

/** @returns what is wrong, if something is */
export async function tryBreakage(copy: Copy, breakage: Breakage): Promise<string | undefined> {
  const { file, text, instead, tests } = breakage;
  const source = copy.read(file);
  if (source.split(text).length !== 2) return `${file} does not hold the text once that is to be broken`;
  for (const test of tests) {
    const { verdict, said } = await passes(copy, test);
    if (verdict !== "passed") return `${test} does not pass in the first place: ${said}`;
  }
  try {
    copy.write(
      file,
      source.replace(text, () => instead),
    );
    for (const test of tests) {
      const { verdict, said } = await runTest(copy, test);
      if (verdict !== "failed") return verdict === "passed" ? `${test} does not notice` : `${test}: ${said}`;
    }
    return undefined;
  } finally {
    copy.write(file, source);
  }
}

const passing = new WeakMap<Copy, Set<string>>();

interface Tried {
  readonly verdict: "passed" | "failed" | "could not run";
  /** What it said last. */
  readonly said: string;
}

/** What passes in the whole copy is not run again for the next breakage. */
async function passes(copy: Copy, test: string): Promise<Tried> {
  const known = passing.get(copy) ?? new Set();
  passing.set(copy, known);
  if (known.has(test)) return { verdict: "passed", said: "" };
  const tried = await runTest(copy, test);
  if (tried.verdict === "passed") known.add(test);
  return tried;
}

async function runTest(copy: Copy, test: string): Promise<Tried> {
  // One test that notices is enough, and others may then wait for what never comes.
  const { code, output } = await copy.run("vitest", ["run", test, "--reporter=dot", "--bail=1"]);
  const said = output.slice(-1_500);
  if (code === 0 && /Tests +\d+ passed/.test(output)) return { verdict: "passed", said };
  // A test that failed noticed; one that could not run at all did not.
  const failed = /Tests +.*\d+ failed/.test(output) || /Failed Suites/.test(output);
  return { verdict: failed ? "failed" : "could not run", said };
}

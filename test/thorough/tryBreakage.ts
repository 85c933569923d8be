/** Takes one defence out of a copy of the tree and sees whether its tests notice. */
import type { Breakage } from "./breakages.ts";
import type { TestRunner } from "./testRunner.ts";
import type { Answer } from "./testServer.ts";

/** Which test noticed, for each file of a row's tests; `""` where it was the file as a whole. */
export type Noticed = readonly string[];

/**
 * @param before who noticed last time, and is asked first
 * @returns who noticed, or what is wrong
 */
export async function tryBreakage(
  runner: TestRunner,
  breakage: Breakage,
  before: Noticed = [],
): Promise<Noticed | { readonly problem: string }> {
  const { file, text, instead, tests } = breakage;
  const source = runner.read(file);
  if (source.split(text).length !== 2) return { problem: `${file} does not hold the text once that is to be broken` };
  const noticed: string[] = [];
  try {
    runner.write(
      file,
      source.replace(text, () => instead),
    );
    for (const [index, test] of tests.entries()) {
      const { verdict, failed = "", said } = await runBroken(runner, test, before[index] ?? "");
      if (verdict === "passed") return { problem: `${test} does not notice` };
      if (verdict !== "failed") return { problem: `${test}: ${said}` };
      noticed.push(failed);
    }
  } finally {
    runner.write(file, source);
  }
  for (const [index, test] of tests.entries()) {
    const { verdict, said } = await runWhole(runner, test, noticed[index] ?? "");
    if (verdict !== "passed") return { problem: `${test} does not pass in the first place: ${said}` };
  }
  return noticed;
}

async function runBroken(runner: TestRunner, test: string, before: string): Promise<Answer> {
  const first = before === "" ? undefined : await runner.run({ test, only: before });
  return first?.verdict === "failed" ? first : runner.run({ test });
}

/** So many tests of a file are asked one by one whether they pass where nothing is broken; for more, the whole file is. */
const FEW = 4;

/** What is known to pass where nothing is broken, and not run again for the next breakage: tests of a file, or all of it. */
interface Passing {
  readonly alone: Set<string>;
  whole?: Answer;
}

const passing = new WeakMap<TestRunner, Map<string, Passing>>();

/** The test that noticed must pass where nothing is broken: by itself, or, where it needs those before it, with them. */
async function runWhole(runner: TestRunner, test: string, noticed: string): Promise<Answer> {
  const files = passing.get(runner) ?? new Map<string, Passing>();
  passing.set(runner, files);
  const known = files.get(test) ?? { alone: new Set() };
  files.set(test, known);
  const passed: Answer = { verdict: "passed", said: "" };
  const whole = async (): Promise<Answer> => (known.whole ??= await runner.run({ test }));
  if (known.alone.has(noticed)) return passed;
  if (known.whole?.verdict === "passed" || (known.alone.size >= FEW && (await whole()).verdict === "passed"))
    return passed;
  const single = noticed === "" ? undefined : await runner.run({ test, only: noticed });
  if (single?.verdict !== "passed") return whole();
  known.alone.add(noticed);
  return passed;
}

/** Takes one defence out of a copy of the tree and sees whether its tests notice. */
import type { Breakage } from "./breakages.ts";
import type { TestRunner } from "./testRunner.ts";
import type { Answer } from "./testServer.ts";

/** Which test noticed, for each file of a row's tests; `""` where it was the file as a whole. */
export type Noticed = readonly string[];

/**
 * What waits for something that never comes where it is broken would wait for as long as the busiest machine may take. These
 * milliseconds are enough for a test that takes a quarter of them, or less, where nothing is broken.
 */
const BOUND_MS = 40_000;
const SPARE = 4;

/**
 * @param before who noticed last time, and is asked first
 * @param bound milliseconds that a test may take where something is broken, unless it takes long where nothing is
 * @returns who noticed, or what is wrong
 */
export async function tryBreakage(
  runner: TestRunner,
  breakage: Breakage,
  before: Noticed = [],
  bound: number = BOUND_MS,
): Promise<Noticed | Problem> {
  const first = await tryOnce(runner, breakage, before, bound);
  if (!("tooSoon" in first)) return first;
  const second = await tryOnce(runner, breakage, first.tooSoon);
  return "tooSoon" in second ? second.tooSoon : second;
}

interface Problem {
  readonly problem: string;
}

/** @returns `tooSoon` where a test may have failed for the bound alone */
async function tryOnce(
  runner: TestRunner,
  breakage: Breakage,
  before: Noticed,
  bound?: number,
): Promise<Noticed | Problem | { readonly tooSoon: Noticed }> {
  const { file, text, instead, tests } = breakage;
  const source = runner.read(file);
  if (source.split(text).length !== 2) return { problem: `${file} does not hold the text once that is to be broken` };
  const noticed: string[] = [];
  const took: number[] = [];
  try {
    runner.write(
      file,
      source.replace(text, () => instead),
    );
    for (const [index, test] of tests.entries()) {
      const answer = await runBroken(runner, { test, ...(bound === undefined ? {} : { bound }) }, before[index] ?? "");
      const { verdict, failed = "", said } = answer;
      if (verdict === "passed") return { problem: `${test} does not notice` };
      if (verdict !== "failed") return { problem: `${test}: ${said}` };
      noticed.push(failed);
      took.push(answer.took[failed] ?? 0);
    }
  } finally {
    runner.write(file, source);
  }
  for (const [index, test] of tests.entries()) {
    const name = noticed[index] ?? "";
    const { verdict, said, took: whole } = await runWhole(runner, test, name);
    if (verdict !== "passed") return { problem: `${test} does not pass in the first place: ${said}` };
    const [broken = 0, sound = Infinity] = [took[index], whole[name]];
    if (bound !== undefined && broken >= bound && sound * SPARE > bound) return { tooSoon: noticed };
  }
  return noticed;
}

async function runBroken(
  runner: TestRunner,
  asked: { readonly test: string; readonly bound?: number },
  before: string,
): Promise<Answer> {
  const first = before === "" ? undefined : await runner.run({ ...asked, only: before });
  return first?.verdict === "failed" ? first : runner.run(asked);
}

/** So many tests of a file are asked one by one whether they pass where nothing is broken; for more, the whole file is. */
const FEW = 4;

/** What is known to pass where nothing is broken, and not run again for the next breakage: tests of a file, or all of it. */
interface Passing {
  readonly alone: Map<string, Answer>;
  whole?: Answer;
}

const passing = new WeakMap<TestRunner, Map<string, Passing>>();

/** The test that noticed must pass where nothing is broken: by itself, or, where it needs those before it, with them. */
async function runWhole(runner: TestRunner, test: string, noticed: string): Promise<Answer> {
  const files = passing.get(runner) ?? new Map<string, Passing>();
  passing.set(runner, files);
  const known = files.get(test) ?? { alone: new Map<string, Answer>() };
  files.set(test, known);
  const whole = async (): Promise<Answer> => {
    const answer = known.whole ?? (await runner.run({ test }));
    // What hung once is no answer for the next.
    if (answer.verdict !== "could not run") known.whole = answer;
    return answer;
  };
  const before = known.alone.get(noticed);
  if (before) return before;
  if (known.whole?.verdict === "passed") return known.whole;
  if (known.alone.size >= FEW) {
    const all = await whole();
    if (all.verdict === "passed") return all;
  }
  const single = noticed === "" ? undefined : await runner.run({ test, only: noticed });
  if (single?.verdict !== "passed") return whole();
  known.alone.set(noticed, single);
  return single;
}

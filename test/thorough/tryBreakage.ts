/** Takes one defence out of a copy of the tree and sees whether its tests notice. */
import type { Breakage } from "./breakages.ts";
import type { TestRunner } from "./testRunner.ts";
import type { Answer } from "./testServer.ts";

/** Which test noticed, for each file of a row's tests; `""` where it was the file as a whole. */
type Noticed = readonly string[];

/** Who noticed a breakage. */
export interface Found {
  readonly noticed: Noticed;
  /** Somebody of these failed when the bound was over, not before: what was broken hangs, or takes several times as long. */
  readonly hung?: true;
}

interface Problem {
  readonly problem: string;
}

/**
 * What waits for something that never comes where it is broken would wait for as long as the busiest machine may take. A test
 * that takes a quarter of these milliseconds, or less, where nothing is broken is not waited for longer where something is.
 */
const BOUND_MS = 40_000;
const SPARE = 4;
/** Timers may fire a little early. */
const EARLY_MS = 100;

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
): Promise<Found | Problem> {
  const first = await tryOnce(runner, breakage, before, bound);
  if (!("tooSoon" in first)) return first;
  const second = await tryOnce(runner, breakage, first.tooSoon);
  return "tooSoon" in second ? { noticed: second.tooSoon } : second;
}

/** @returns `tooSoon` where a test may have failed for the bound alone, and takes long where nothing is broken too */
async function tryOnce(
  runner: TestRunner,
  breakage: Breakage,
  before: Noticed,
  bound?: number,
): Promise<Found | Problem | { readonly tooSoon: Noticed }> {
  const { file, text, instead, tests } = breakage;
  const source = runner.read(file);
  if (source.split(text).length !== 2) return { problem: `${file} does not hold the text once that is to be broken` };
  const noticed: string[] = [];
  /** Of those who noticed: whether the bound was over by then. */
  const late: boolean[] = [];
  try {
    runner.write(
      file,
      source.replace(text, () => instead),
    );
    for (const [index, test] of tests.entries()) {
      const answer = await runBroken(runner, { test, ...(bound === undefined ? {} : { bound }) }, before[index] ?? "");
      const { verdict, failed = "", said, took } = answer;
      if (verdict === "passed") return { problem: `${test} does not notice` };
      if (verdict !== "failed") return { problem: `${test}: ${said}` };
      noticed.push(failed);
      late.push(bound !== undefined && (took[failed] ?? 0) >= bound - EARLY_MS);
    }
  } finally {
    runner.write(file, source);
  }
  for (const [index, test] of tests.entries()) {
    const name = noticed[index] ?? "";
    if (bound !== undefined && late[index] === true) {
      if (!(await isQuick(runner, test, name, bound))) return { tooSoon: noticed };
      continue;
    }
    const { verdict, said } = await runWhole(runner, test, name);
    if (verdict !== "passed") return { problem: `${test} does not pass in the first place: ${said}` };
  }
  return late.includes(true) ? { noticed, hung: true } : { noticed };
}

/** Whether a test takes a quarter of the bound at most where nothing is broken: as the machine is now, whatever it took before. */
async function isQuick(runner: TestRunner, test: string, name: string, bound: number): Promise<boolean> {
  const quick = ({ verdict, took }: Answer): boolean =>
    verdict === "passed" && (took[name] ?? Infinity) * SPARE <= bound;
  if (name !== "" && quick(await runner.run({ test, only: name, bound }))) return true;
  // It may need those before it.
  return quick(await runner.run({ test, bound }));
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

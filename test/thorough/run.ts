/**
 * `npm run thorough [-- PART…]`: what is too long for every change. Each part works for an hour at most; what it did not get to
 * it does when it is called again. What it found goes into docs/results/thorough.json.
 * `--sample` tries a few items of each part, drawn by the commit (or `--seed`), and writes nothing: for `.ci/run`.
 * `--only TEXT`, once or several times, tries the items whose names hold such a text, and writes nothing either: for who has just changed them.
 * `--honest` only marks what has changed since it passed; `--check` says where the file claims more than is so.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { createRandom } from "../../offchain/src/base/index.ts";
import { root } from "./copy.ts";
import { type Part, parts } from "./parts.ts";
import { digestOfSources, falsehoods, honest, readResults, writeResults } from "./results.ts";

/** After this no further item is begun: the last may take some minutes, and an hour is all that a part gets. */
const MINUTES = 50;

/** What was tried so far, of which sources. */
interface Progress {
  readonly sources: string;
  readonly tried: Readonly<Record<string, { readonly seconds: number; readonly problem?: string }>>;
}

const progressFile = (part: Part): string => join(root, ".thorough", `${part.name}.json`);

function readProgress(part: Part, sources: string): Progress {
  const file = progressFile(part);
  const found = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Progress) : undefined;
  return found?.sources === sources ? found : { sources, tried: {} };
}

function writeProgress(part: Part, progress: Progress): void {
  mkdirSync(join(root, ".thorough"), { recursive: true });
  writeFileSync(progressFile(part), JSON.stringify(progress));
}

const commitOf = (): string =>
  spawnSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim() || "unknown";

/** Tries items until all are tried or time is over; says each. @returns what was wrong with each item */
async function tryAll(
  part: Part,
  items: readonly string[],
  end: number,
  told: (item: string, seconds: number, problem: string | undefined) => void,
): Promise<void> {
  if (items.length === 0) return;
  const work = part.open();
  try {
    for (const item of items) {
      if (Date.now() > end) return;
      const started = Date.now();
      const problem = await work.attempt(item);
      const seconds = Math.round((Date.now() - started) / 1_000);
      process.stdout.write(`${problem === undefined ? "ok  " : "FAIL"} ${part.name}: ${item} (${seconds} s)\n`);
      if (problem !== undefined) process.stdout.write(`     ${problem}\n`);
      told(item, seconds, problem);
    }
  } finally {
    await work.close();
  }
}

/** @returns whether all that was tried is as it should be, and all was tried */
async function thorough(part: Part): Promise<boolean> {
  process.stdout.write(`\n${part.name}: ${part.what}\n`);
  const sources = digestOfSources(part.sources);
  let progress = readProgress(part, sources);
  const items = part.items();
  const open = items.filter((item) => !(item in progress.tried));
  await tryAll(part, open, Date.now() + MINUTES * 60_000, (item, seconds, problem) => {
    const entry = problem === undefined ? { seconds } : { seconds, problem };
    progress = { sources, tried: { ...progress.tried, [item]: entry } };
    writeProgress(part, progress);
  });
  const left = items.filter((item) => !(item in progress.tried));
  if (left.length > 0) {
    process.stdout.write(`${part.name}: ${left.length} of ${items.length} are left; run it again to go on\n`);
    return false;
  }
  const problems = items.flatMap((item) => {
    const problem = progress.tried[item]?.problem;
    return problem === undefined ? [] : [`${item}: ${problem}`];
  });
  const outcome = {
    commit: commitOf(),
    date: new Date().toISOString(),
    seconds: items.reduce((sum, item) => sum + (progress.tried[item]?.seconds ?? 0), 0),
    tried: items.length,
    sources,
  };
  writeResults({
    ...readResults(),
    [part.name]:
      problems.length === 0
        ? { status: "passed", ...outcome }
        : { status: "failed", ...outcome, problems: problems.join("\n") },
  });
  // What failed is tried again next time.
  writeProgress(part, { sources, tried: problems.length === 0 ? progress.tried : {} });
  return problems.length === 0;
}

function sampleOf(part: Part, seed: string): readonly string[] {
  if (part.sample === undefined) return [];
  if (typeof part.sample === "string") return [part.sample];
  return [...part.items()]
    .sort()
    .map((item) => ({ item, at: createRandom(`${seed} ${item}`).uint32() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, part.sample)
    .map(({ item }) => item);
}

/** @returns whether all of these are as they should be */
async function tryThese(part: Part, items: readonly string[]): Promise<boolean> {
  let sound = true;
  await tryAll(part, items, Infinity, (_item, _seconds, problem) => {
    sound &&= problem === undefined;
  });
  return sound;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    honest: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    seed: { type: "string", default: commitOf() },
  },
});
const unknown = positionals.filter((name) => parts.every((part) => part.name !== name));
if (unknown.length > 0) {
  const names = parts.map(({ name }) => name).join(", ");
  process.stderr.write(`thorough: no part is called ${unknown.join(", ")}; there are ${names}.\n`);
  process.exit(1);
}
const sourcesOfAll = (): Record<string, string> =>
  Object.fromEntries(parts.map(({ name, sources }) => [name, digestOfSources(sources)]));

let sound = true;
if (values.honest) {
  const results = readResults();
  writeResults(
    Object.fromEntries(Object.entries(sourcesOfAll()).map(([name, sources]) => [name, honest(results[name], sources)])),
  );
} else if (values.check) {
  const found = falsehoods(readResults(), sourcesOfAll());
  for (const sentence of found) process.stdout.write(`${sentence}\n`);
  if (found.length > 0)
    process.stdout.write('Run "npm run thorough -- PART", or say so with "npm run thorough -- --honest".\n');
  sound = found.length === 0;
} else {
  const { only, seed } = values;
  const chosen = parts.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const items = (part: Part): readonly string[] =>
    only.length === 0 ? sampleOf(part, seed) : part.items().filter((item) => only.some((text) => item.includes(text)));
  const unfound = only.filter((text) => chosen.every((part) => part.items().every((item) => !item.includes(text))));
  for (const text of unfound) process.stderr.write(`thorough: nothing that is tried has "${text}" in its name.\n`);
  sound = unfound.length === 0;
  for (const part of chosen) {
    const whole = only.length === 0 && !values.sample;
    sound = (whole ? await thorough(part) : await tryThese(part, items(part))) && sound;
  }
}
process.exitCode = sound ? 0 : 1;

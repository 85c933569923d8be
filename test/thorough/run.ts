/**
 * `npm run thorough [-- PART…]`: what is too long for every change. Each part works for an hour at most; what it did not get to
 * it does when it is called again. What it found goes into docs/results/thorough.json.
 * `--sample` tries a few items of each part, drawn by the commit (or `--seed`), and writes nothing: for `.ci/run`.
 * `--only TEXT`, once or several times, tries the items whose names hold such a text, for who has just changed them, and writes
 * nothing but what is recorded item by item (`records.ts`).
 * `--honest` only marks what has changed since it passed; `--check` says where the file claims more than is so, and how many rows of
 * `breakages` have a record that holds.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { commitOf } from "../commit.ts";
import { drawn } from "../draw.ts";
import { root } from "./copy.ts";
import { type Part, parts } from "./parts.ts";
import { digestOfAll, holding, pruned, readRecords, RECORDS, standing, writeRecords } from "./records.ts";
import { digestOfSources, falsehoods, honest, type Present, readResults, writeResults } from "./results.ts";

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

/** Tries items until all are tried or time is over; says each. @returns what was wrong with each item */
async function tryAll(
  part: Part,
  items: readonly string[],
  end: number,
  told: (item: string, seconds: number, problem: string | undefined) => void,
  record = true,
): Promise<void> {
  if (items.length === 0) return;
  const work = await part.open();
  try {
    for (const item of items) {
      if (Date.now() > end) return;
      const started = Date.now();
      const problem = await work.attempt(item);
      const seconds = Math.round((Date.now() - started) / 1_000);
      process.stdout.write(`${problem === undefined ? "ok  " : "FAIL"} ${part.name}: ${item} (${seconds} s)\n`);
      if (problem !== undefined) process.stdout.write(`     ${problem}\n`);
      else if (record) work.record?.(item, seconds);
      told(item, seconds, problem);
    }
  } finally {
    await work.close();
  }
}

/** @returns whether all that was tried is as it should be, and all was tried */
async function thorough(part: Part): Promise<boolean> {
  process.stdout.write(`\n${part.name}: ${part.what}\n`);
  return typeof part.sources === "function"
    ? itemByItem(part, part.sources())
    : asAWhole(part, digestOfSources(part.sources));
}

/** Goes through a part whose items all depend on the same sources. */
async function asAWhole(part: Part, sources: string): Promise<boolean> {
  let progress = readProgress(part, sources);
  const items = part.items();
  const open = items.filter((item) => !(item in progress.tried));
  await tryAll(part, open, Date.now() + MINUTES * 60_000, (item, seconds, problem) => {
    const entry = problem === undefined ? { seconds } : { seconds, problem };
    progress = { sources, tried: { ...progress.tried, [item]: entry } };
    writeProgress(part, progress);
  });
  const left = items.filter((item) => !(item in progress.tried));
  if (left.length > 0) return remain(part, left.length);
  const problems = items.flatMap((item) => {
    const problem = progress.tried[item]?.problem;
    return problem === undefined ? [] : [`${item}: ${problem}`];
  });
  const seconds = items.reduce((sum, item) => sum + (progress.tried[item]?.seconds ?? 0), 0);
  // What failed is tried again next time.
  writeProgress(part, { sources, tried: problems.length === 0 ? progress.tried : {} });
  return conclude(part, { seconds, sources, problems });
}

/** Goes through what has no record that holds, what never had one first; what fails has none, and is tried again next time. */
async function itemByItem(part: Part, digests: ReadonlyMap<string, string>): Promise<boolean> {
  writeRecords(pruned(readRecords(), digests));
  const before = readRecords();
  const held = holding(before, digests);
  const open = part.items().filter((item) => !held.has(item));
  const failed = new Map<string, string>();
  const order = [...open.filter((item) => !(item in before)), ...open.filter((item) => item in before)];
  await tryAll(part, order, Date.now() + MINUTES * 60_000, (item, _seconds, problem) => {
    if (problem !== undefined) failed.set(item, problem);
  });
  const after = readRecords();
  writeHonest([part]);
  const now = holding(after, digests);
  const left = part.items().filter((item) => !now.has(item) && !failed.has(item));
  if (left.length > 0) return remain(part, left.length);
  const seconds = Object.values(after).reduce((sum, record) => sum + record.seconds, 0);
  const problems = [...failed].map(([item, problem]) => `${item}: ${problem}`);
  return conclude(part, { seconds, sources: digestOfAll(after, digests) ?? "", problems });
}

function remain(part: Part, left: number): false {
  process.stdout.write(`${part.name}: ${left} of ${part.items().length} are left; run it again to go on\n`);
  return false;
}

/** Writes down how a part ended that was gone through. */
function conclude(
  part: Part,
  { problems, ...of }: { seconds: number; sources: string; problems: readonly string[] },
): boolean {
  const outcome = { commit: commitOf(), date: new Date().toISOString(), tried: part.items().length, ...of };
  writeResults({
    ...readResults(),
    [part.name]:
      problems.length === 0
        ? { status: "passed", ...outcome }
        : { status: "failed", ...outcome, problems: problems.join("\n") },
  });
  return problems.length === 0;
}

function sampleOf(part: Part, seed: string): readonly string[] {
  if (part.sample === undefined) return [];
  if (typeof part.sample === "string") return [part.sample];
  return drawn((part.sampled ?? part.items)(), part.sample, seed);
}

/** @returns whether all of these are as they should be */
async function tryThese(part: Part, items: readonly string[], record: boolean): Promise<boolean> {
  let sound = true;
  const told = (_item: string, _seconds: number, problem: string | undefined): void => {
    sound &&= problem === undefined;
  };
  await tryAll(part, items, Infinity, told, record);
  return sound;
}

function presentOf({ sources }: Part): Present {
  if (typeof sources !== "function") return { digest: digestOfSources(sources), recorded: false };
  const [records, digests] = [readRecords(), sources()];
  return { digest: digestOfAll(records, digests), recorded: holding(records, digests).size > 0 };
}

/** Lets the file say of these parts what is so. */
function writeHonest(those: readonly Part[]): void {
  const results = readResults();
  const entries = those.map((part) => [part.name, honest(results[part.name], presentOf(part))] as const);
  writeResults({ ...results, ...Object.fromEntries(entries) });
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
let sound = true;
if (values.honest) {
  for (const { sources } of parts) if (typeof sources === "function") writeRecords(pruned(readRecords(), sources()));
  writeHonest(parts);
} else if (values.check) {
  const digests = new Map(parts.flatMap(({ sources }) => (typeof sources === "function" ? [...sources()] : [])));
  const present = Object.fromEntries(parts.map((part) => [part.name, presentOf(part)]));
  const found = [
    ...falsehoods(readResults(), present),
    ...Object.keys(readRecords())
      .filter((name) => !digests.has(name))
      .map((name) => `${RECORDS} has a row "${name}" that there is not.`),
  ];
  process.stdout.write(`${standing(readRecords(), digests)}\n`);
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
    sound = (whole ? await thorough(part) : await tryThese(part, items(part), !values.sample)) && sound;
  }
}
process.exitCode = sound ? 0 : 1;

/** Commands that a sentence tells to type: they work as they stand, where they are read, on the state that is meant. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";

import { flagOf } from "../flags.ts";
import { redactUrl } from "../redact.ts";

/** The clone that this program runs from: where npm runs `npm start`, and from where the default state is meant. */
export const PROGRAM_ROOT = resolve(import.meta.dirname, "../../../..");
const DEFAULT_STATE = ".cotrain";
const MAX_RUN_FILE_BYTES = 1 << 20;

/** A word as POSIX shells take it; where double quotes do, Windows takes it too. */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", `'\\''`)}'` : `"${word}"`;
}

/** The words of a command, each as a shell takes it. */
export const shellWords = (words: readonly string[]): string => words.map(shellWord).join(" ");

/** A path as it is typed where this process was started: short only where npm and npx start there too. */
export function typedPath(path: string): string {
  const here = process.cwd();
  const short = relative(here, path);
  return here !== PROGRAM_ROOT || short.startsWith("..") || isAbsolute(short) ? path : short || ".";
}

/** `--state` and its value, nothing where the commands take this state by themselves. */
export function stateFlag(state: string, standard = DEFAULT_STATE): string[] {
  const path = resolve(state);
  return path === join(PROGRAM_ROOT, standard) && process.cwd() === PROGRAM_ROOT ? [] : ["--state", typedPath(path)];
}

/** `npx cotrain WORDS` for a state. */
export const commandFor = (state: string, ...words: string[]): string =>
  `npx cotrain ${shellWords([...words, ...stateFlag(state)])}`;

/** `npm start` for a state. */
export function startCommand(state: string, ...words: string[]): string {
  const all = shellWords([...words, ...stateFlag(state)]);
  return all === "" ? "npm start" : `npm start -- ${all}`;
}

/** The state directory that a path lies in, or is: the outermost of those that carry a stamp. */
export function stateOf(path: string): string {
  let found: string | undefined;
  for (let at = resolve(path); ; at = dirname(at)) {
    const stamped = existsSync(join(at, "VERSION"));
    if (stamped) found = at;
    if ((found !== undefined && !stamped) || at === dirname(at)) return found ?? resolve(path);
  }
}

/** What says how a new run's inner steps are taken: keys of a start's options, and of the settings that `run.json` keeps. */
export const recipeChoices = [
  "innerSteps",
  "optimizer",
  "schedule",
  "warmupSteps",
  "totalSteps",
  "decaySteps",
  "lrFloor",
  "microBatches",
  "recompute",
] as const;
/** What decides which run a start makes. */
const choices = ["preset", "data", "rpc", ...recipeChoices] as const;
export type RunChoice = Partial<Record<(typeof choices)[number], string | number | boolean | undefined>>;

/** What the run of a state was started with, as far as it can be read. */
function choiceOf(state: string): RunChoice {
  try {
    const file = join(state, "run.json");
    if (statSync(file).size > MAX_RUN_FILE_BYTES) return {};
    const { settings } = JSON.parse(readFileSync(file, "utf8")) as { settings?: Record<string, unknown> };
    const kept = choices.map((key) => [key, settings?.[key]] as const);
    return Object.fromEntries(kept.filter(([, value]) => ["string", "number", "boolean"].includes(typeof value)));
  } catch {
    return {};
  }
}

/** An RPC's address may hold a key, which no sentence repeats: who typed it knows what to put in its place. */
const typedUrl = (url: string): string => (redactUrl(url).includes("/…") || url.includes("@") ? "URL" : url);

/**
 * The command that puts the state aside that `path` lies in, and starts a run of the same kind anew.
 * @param other what is to be otherwise than the run has it
 */
export function freshCommand(path: string, other: RunChoice = {}): string {
  const state = stateOf(path);
  const chosen: RunChoice = { ...choiceOf(state), ...other };
  const words = choices.flatMap((key) => {
    const value = chosen[key];
    if (value === undefined) return [];
    if (typeof value === "boolean") return [value ? flagOf(key) : flagOf(key).replace(/^--/, "--no-")];
    return [flagOf(key), key === "rpc" ? typedUrl(String(value)) : String(value)];
  });
  return startCommand(state, "--fresh", ...words);
}

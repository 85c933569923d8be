/**
 * What the thorough tests last found, in `docs/results/thorough.json`, bound to the sources that they looked at: a part that
 * passed has passed for those sources and no others. `npm run check` holds the file against the tree.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { filesOf, root } from "./copy.ts";

const RESULTS = "docs/results/thorough.json";

/** A finished run of one part. */
interface Outcome {
  readonly commit: string;
  /** UTC. */
  readonly date: string;
  readonly seconds: number;
  /** How many things were tried. */
  readonly tried: number;
  /** sha256 of the sources that it looks at. */
  readonly sources: string;
}

export type Entry =
  | { readonly status: "never run" }
  /** Some of its items have a record that holds (`records.ts`), but it has not been gone through. */
  | { readonly status: "in part" }
  | ({ readonly status: "passed" } & Outcome)
  | ({ readonly status: "failed"; readonly problems: string } & Outcome)
  /** Its sources are others by now than those of `last`. */
  | { readonly status: "not passed since"; readonly last: Outcome };

export type Results = Readonly<Record<string, Entry>>;

/** sha256 over the names and contents of all files below some paths, but pages: what is told of a result changes none. */
export function digestOfSources(paths: readonly string[], from: string = root): string {
  const hash = createHash("sha256");
  for (const file of filesOf(...paths).filter((each) => !each.endsWith(".md"))) {
    const content = readFileSync(join(from, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

export function readResults(): Results {
  const file = join(root, RESULTS);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Results) : {};
}

export function writeResults(results: Results): void {
  const file = join(root, RESULTS);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}

/** What is so of the tree: a digest of what a part looks at, and whether some of its items are recorded one by one. */
export interface Present {
  /** None where an item lacks its record. */
  readonly digest: string | undefined;
  readonly recorded: boolean;
}

/** An entry as it is true of these sources: what passed for others has not passed for these. */
export function honest(entry: Entry = { status: "never run" }, { digest, recorded }: Present): Entry {
  if (entry.status === "never run") return recorded ? { status: "in part" } : entry;
  if (entry.status === "in part") return recorded ? entry : { status: "never run" };
  if (entry.status !== "passed" || entry.sources === digest) return entry;
  const { status: _, ...last } = entry;
  return { status: "not passed since", last };
}

/** One sentence for each part of which the file says what is not so. */
export function falsehoods(results: Results, present: Readonly<Record<string, Present>>): string[] {
  const unknown = Object.keys(results).filter((part) => !(part in present));
  return [
    ...unknown.map((part) => `${RESULTS} has a part "${part}" that there is not.`),
    ...Object.entries(present).flatMap(([part, state]) => {
      const entry = results[part];
      if (entry === undefined) return [`${RESULTS} says nothing of "${part}".`];
      if (honest(entry, state) === entry) return [];
      return entry.status === "passed"
        ? [`${RESULTS} says that "${part}" passed, but what it tests has changed since.`]
        : [`${RESULTS} says "${entry.status}" of "${part}", but it is "${honest(entry, state).status}".`];
    }),
  ];
}

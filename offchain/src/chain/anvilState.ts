/**
 * The embedded node's state file. anvil truncates it and writes it anew every second, so kill -9 can leave half of it: a
 * whole copy is kept beside it and put back before the node starts again. What the copy lacks is a chain that moved
 * backwards, which the posting journal handles. Node's own modules only: the launcher runs before anything else is loaded.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";

/** Where the copy of a state file lies. */
export const copyOf = (file: string): string => `${file}.previous`;

/** The last member of a dump, which anvil writes in one fixed order. */
const END = /"historical_states":(null|\{.*\})\}\s*$/s;

/** Whether the file ends as a dump does: enough to tell a whole file from its beginning. */
function endsWhole(file: string): boolean {
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const tail = Buffer.alloc(Math.min(256, size));
    readSync(descriptor, tail, 0, tail.length, size - tail.length);
    return END.test(tail.toString("latin1"));
  } finally {
    closeSync(descriptor);
  }
}

/** Whether the file is a whole JSON object, as anvil requires. */
function isWhole(file: string): boolean {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof value === "object" && value !== null && "blocks" in value;
  } catch {
    return false;
  }
}

/**
 * Copies the state file beside itself, unless it is being written at this moment.
 * @returns whether a whole copy was made
 */
export function copyState(file: string): boolean {
  if (!existsSync(file)) return false;
  const temporary = `${file}.copying`;
  try {
    copyFileSync(file, temporary);
    if (!endsWhole(temporary)) return false;
    renameSync(temporary, copyOf(file));
    return true;
  } catch {
    // The node may be replacing the file; the next copy is made in a moment.
    return false;
  } finally {
    rmSync(temporary, { force: true });
  }
}

export type StateCondition = "none" | "whole" | "restored" | "lost";

/**
 * Makes the state file one that the node can load.
 * @returns none: a new chain begins; whole: as it was; restored: it was torn and the copy took its place; lost: it is torn
 *   and so is the copy, nothing was changed
 */
export function repairState(file: string): StateCondition {
  const copy = copyOf(file);
  if (!existsSync(file) && !existsSync(copy)) return "none";
  if (existsSync(file) && isWhole(file)) {
    copyState(file);
    return "whole";
  }
  if (!existsSync(copy) || !isWhole(copy)) {
    // An empty file that never had a copy is a node killed before its first dump.
    if (existsSync(file) && !existsSync(copy) && readFileSync(file).length === 0) {
      rmSync(file);
      return "none";
    }
    return "lost";
  }
  if (existsSync(file)) renameSync(file, `${file}.torn`);
  copyFileSync(copy, file);
  return "restored";
}

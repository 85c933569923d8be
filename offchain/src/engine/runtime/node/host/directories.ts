/**
 * The working directories of engines' processes, under the system's directory for temporary files. Each is removed by the host that
 * made it; what a host left behind that was killed is removed by the next one. So a name says which host it is of.
 */
import { lstatSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";

import { errnoOf } from "../../../../base/index.ts";

const NAME = "cotrain-engine";

/** Containers may share the directory, and count their processes each from 1: Linux's number of the space that counts this one's. */
function processSpace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0"; // not Linux
  }
}

/** What names of this process's directories begin with. */
export const directoryPrefix = (pid = process.pid): string => `${NAME}-${processSpace()}-${pid}-`;

/** Whether a process is there; of another user's, too. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}

/** Removes what hosts left behind that are gone: this user's alone, of processes that are counted as this one is. */
export function sweepDirectories(parent: string): void {
  const form = new RegExp(`^${NAME}-${processSpace()}-(\\d{1,10})-`);
  for (const name of entriesOf(parent)) {
    const pid = Number(form.exec(name)?.[1] ?? 0);
    if (pid === 0 || isThere(pid)) continue;
    const path = join(parent, name);
    try {
      const found = lstatSync(path);
      if (found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid)) rmSync(path, { recursive: true });
    } catch {
      // Another host removes it at this moment, or it is in use: it stays for the next.
    }
  }
}

function entriesOf(parent: string): string[] {
  try {
    return readdirSync(parent);
  } catch {
    return [];
  }
}

/**
 * The working directories of engines' processes, under the system's directory for temporary files. Each is removed by the host that
 * made it; what a host left behind that was killed is removed by the next one. So a name says which host it is of.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";

import { errnoOf } from "../../../../base/core.ts";

const NAME = "cotrain-engine";

/** Containers may share the directory, and count their processes each from 1: Linux's number of the space that counts this one's. */
function processSpace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0"; // not Linux
  }
}

/**
 * Machines may share the directory too, and number their first space of processes alike: Linux's name of this start of the
 * machine. What an earlier start left behind, or another machine has, is nobody's to remove: the two look the same.
 */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").replaceAll(/[^\da-f]/g, "") || "0";
  } catch {
    return "0"; // not Linux
  }
}

/** What names of this process's directories begin with. */
export const directoryPrefix = (pid = process.pid): string => `${NAME}-${bootId()}-${processSpace()}-${pid}-`;

/** Whether a process is there; of another user's, too. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}

/**
 * Removes what hosts left behind that are gone: this user's alone, of processes that this start of the machine counts as it does
 * this one.
 */
export function sweepDirectories(parent: string): void {
  const form = new RegExp(`^${NAME}-${bootId()}-${processSpace()}-(\\d{1,10})-`);
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

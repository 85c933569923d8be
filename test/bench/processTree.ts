/** Processor time and memory of a process and its descendants, out of /proc (Linux). */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Of one process. */
export interface ProcessUse {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** Processor time since its start, all threads. */
  readonly cpuSeconds: number;
}

/** Clock ticks per second in /proc: 100 on every Linux that Node runs on. */
const TICKS = 100;

function useOf(pid: number): ProcessUse | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number);
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return { pid, parent: parent ?? 0, command, cpuSeconds: ((user ?? 0) + (system ?? 0)) / TICKS };
  } catch {
    return undefined; // ended meanwhile
  }
}

/** A process and all its descendants that are alive. */
export function treeOf(root: number): ProcessUse[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => useOf(Number(name)) ?? []);
  const found = new Set([root]);
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid));
}

/** Resident bytes of a process: now, and at most since its start or the last {@link resetPeak}. */
export function residentOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  // One that is ending has no memory any more, and no such line.
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return { now: field("VmRSS"), peak: field("VmHWM") };
}

export const resetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");

/** Finds processes by a mark in their environment, which children inherit whatever their arguments and directory are (Linux). */
import { readdirSync, readFileSync } from "node:fs";

/** Processes that live and bear the mark: id and command line of each. */
export function processesMarked(mark: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(mark)) return [];
        return / [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/, ""))
          ? []
          : [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`];
      } catch {
        return [];
      }
    });
}

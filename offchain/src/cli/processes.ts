/** The commands that `cotrain up` runs as processes of its own. */
import { fileURLToPath } from "node:url";

import type { ProcessSpec } from "../service/index.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/**
 * glibc's malloc keeps what was freed in many arenas, which made the coordinator larger the more uploads it had at once. With
 * these (mallopt(3)) it gives buffers back; other allocators do not look at them.
 */
const givingBack = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "32768", MALLOC_TRIM_THRESHOLD_: "131072" };

/** A process that runs `cotrain <args>` with this process's Node and says by message when it serves. */
export function cotrainProcess(name: string, args: readonly string[], extra: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name,
    command: process.execPath,
    args: [...process.execArgv, main, ...args],
    ready: { kind: "message" },
    ...(args[0] === "coordinator" ? { env: givingBack } : {}),
    ...extra,
  };
}

/** The commands that `cotrain up` runs as processes of its own. */
import { fileURLToPath } from "node:url";

import type { ProcessSpec } from "../service/index.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** A process that runs `cotrain <args>` with this process's Node and says by message when it serves. */
export function cotrainProcess(name: string, args: readonly string[], extra: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name,
    command: process.execPath,
    args: [...process.execArgv, main, ...args],
    ready: { kind: "message" },
    ...extra,
  };
}

/** The commands that a local network runs as processes of its own. */
import { coordinatorOptions, validatorOptions, workerOptions } from "../run/index.ts";
import { commandLineOf, type ConfigOf, type ProcessSpec } from "../service/index.ts";

/**
 * glibc's malloc keeps what was freed in many arenas, which made the coordinator larger the more uploads it had at once. With
 * these (mallopt(3)) it gives buffers back; other allocators do not look at them.
 */
const givingBack = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "32768", MALLOC_TRIM_THRESHOLD_: "131072" };

/** A process that runs a command of `program` with this process's Node and says by message when it serves. */
const processOf = (program: string, name: string, args: readonly string[]): ProcessSpec => ({
  name,
  command: process.execPath,
  args: [...process.execArgv, program, ...args],
  ready: { kind: "message" },
});

/** @param program the one whose commands are the daemons */
export const coordinatorProcess = (
  program: string,
  flags: Partial<ConfigOf<typeof coordinatorOptions>>,
): ProcessSpec => ({
  ...processOf(program, "coordinator", ["coordinator", ...commandLineOf(coordinatorOptions, flags)]),
  env: givingBack,
});

export const validatorProcess = (
  program: string,
  flags: Partial<ConfigOf<typeof validatorOptions>> & { readonly role: string },
): ProcessSpec => processOf(program, flags.role, ["validator", ...commandLineOf(validatorOptions, flags)]);

export const workerProcess = (
  program: string,
  flags: Partial<ConfigOf<typeof workerOptions>> & { readonly role: string },
): ProcessSpec => processOf(program, flags.role, ["worker", ...commandLineOf(workerOptions, flags)]);

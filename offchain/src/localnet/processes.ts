/** The commands that a local network runs as processes of its own. */
import type { EventEmitter } from "node:events";
import { join } from "node:path";

import { coordinatorOptions, validatorOptions, workerOptions } from "../run/index.ts";
import { commandLineOf, type ConfigOf, type ProcessSpec, type SupervisorEvents } from "../service/index.ts";
import { PREPARATION_MS } from "../engine/index.ts";
import type { SessionDisplay } from "./display.ts";

/** Names of the processes without which nothing goes on. */
export const CHAIN = "chain";
const COORDINATOR = "coordinator";
/** Of rented workers: who lets the machines, and who keeps their leases. */
export const PROVIDER = "fake-provider";
export const RENTING = "market-rent";

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
  ...processOf(program, COORDINATOR, ["coordinator", ...commandLineOf(coordinatorOptions, flags)]),
  env: givingBack,
});

export const validatorProcess = (
  program: string,
  flags: Partial<ConfigOf<typeof validatorOptions>> & { readonly role: string },
): ProcessSpec => processOf(program, flags.role, ["validator", ...commandLineOf(validatorOptions, flags)]);

export const workerProcess = (
  program: string,
  flags: Partial<ConfigOf<typeof workerOptions>> & { readonly role: string },
): ProcessSpec => ({
  ...processOf(program, flags.role, ["worker", ...commandLineOf(workerOptions, flags)]),
  readyTimeout: joiningMs(flags.device?.length ?? 1),
});

/** @param directory of all that is rented */
export const fakeProviderProcess = (
  program: string,
  { directory, count }: { readonly directory: string; readonly count: number },
): ProcessSpec => ({
  ...processOf(program, PROVIDER, ["market", "fake", `--count=${count}`, `--directory=${join(directory, "machines")}`]),
  // Its machines have as long to leave what they do.
  stopDeadline: 30_000,
});

/** The image of machines that have none. */
const NO_IMAGE = `cotrain/no-image@sha256:${"0".repeat(64)}`;
/** Make-believe dollars that a session may cost. */
const BUDGET = 1_000;

interface RentWish {
  readonly directory: string;
  readonly state: string;
  readonly coordinator: string;
  readonly runId: string;
  readonly beneficiary: string;
  /** Address of the fake provider. */
  readonly provider: string;
  readonly count: number;
  /** Ms after which its machines are ended, whatever becomes of this process. */
  readonly lasts: number;
  readonly drain: number;
}

/** Machines of the fake provider, rented as anybody rents any. It ends by itself once they are gone. */
export const rentProcess = (program: string, wish: RentWish): ProcessSpec => ({
  ...processOf(program, RENTING, [
    "market",
    "rent",
    `--coordinator=${wish.coordinator}`,
    `--run=${wish.runId}`,
    `--state=${wish.state}`,
    `--beneficiary=${wish.beneficiary}`,
    "--provider=fake",
    `--endpoint=fake=${wish.provider}`,
    `--budget=${BUDGET}`,
    `--count=${wish.count}`,
    `--for=${wish.lasts}ms`,
    `--drain=${wish.drain}ms`,
    "--every=1s",
    `--image=${NO_IMAGE}`,
    `--leases=${join(wish.directory, "leases")}`,
    `--keys=${join(wish.directory, "keys")}`,
    `--cache=${join(wish.directory, "catalogue")}`,
    "--yes",
  ]),
  ready: { kind: "started" },
  // It ends with whoever started it.
  ipc: true,
});

/** What a worker may take to join beside its devices: reading the run, fetching its programs, ms. */
const FETCHING_MS = 60_000;

/** A worker is ready when it has joined. Until then it may try all of its devices, and the last one twice. */
const joiningMs = (devices: number): number => FETCHING_MS + (devices + 1) * PREPARATION_MS;

/** What is told of a process that is started again: why, where it is known. */
export const restartText = ({ name, reason }: { readonly name: string; readonly reason: string | undefined }): string =>
  `${name} ended and is started again${reason === undefined ? "" : `: ${reason}`}`;

/**
 * Tells what becomes of processes that served; of one that never did, its start tells.
 * @returns aborted, with why it was given up, once the coordinator or the chain is
 */
export function watchProcesses(
  events: EventEmitter<SupervisorEvents>,
  display: Pick<SessionDisplay, "announce" | "update">,
): AbortSignal {
  const lost = new AbortController();
  const served = new Set<string>();
  events.on("state", (status) => {
    if (status.state === "ready") served.add(status.name);
    if (status.state === "waiting") display.announce(restartText(status));
  });
  events.on("failed", ({ name }, error) => {
    if (!served.has(name)) return;
    if (name === COORDINATOR || name === CHAIN) lost.abort(error);
    else display.update({ warning: error.message });
  });
  return lost.signal;
}

/**
 * Keeps the processes of a tree running: starts them, waits until they serve, starts them again when they die, stops them in
 * order, and leaves none behind, however it ends itself.
 */
import { EventEmitter } from "node:events";
import { join } from "node:path";

import { type Clock, InternalError, systemClock } from "../../base/index.ts";
import { createGuard } from "./guard.ts";
import { type Logger, openLogFile } from "./logging.ts";
import {
  type ProcessSpec,
  type ProcessStatus,
  SupervisedProcess,
  type Supervision,
  type SupervisorEvents,
} from "./supervisedProcess.ts";

export type { ProcessSpec, SupervisorEvents } from "./supervisedProcess.ts";

export interface SupervisorOptions {
  readonly logger: Logger;
  /** Where `<name>.log` files with the children's output go; without it the output is dropped. */
  readonly logDirectory?: string;
  readonly clock?: Clock;
  /** Pause before a restart, ms; default 1,000. */
  readonly restartDelay?: number;
  /** Restarts within a minute before a process is given up; default 5. */
  readonly restartsPerMinute?: number;
}

export interface Supervisor {
  /**
   * Starts a process and keeps it running from then on. Resolves when it is ready for the first time.
   * @throws UserError or RetryableError with the child's own sentence when it ended with 1 or gave up with 75; InternalError
   *   `PROCESS_GAVE_UP` after too many restarts, naming its log
   */
  start(spec: ProcessSpec): Promise<ProcessStatus>;
  /** Starts several side by side, one group for {@link Supervisor.stopAll}. Resolves when all are ready. */
  startGroup(specs: readonly ProcessSpec[]): Promise<ProcessStatus[]>;
  /** Ends one process and does not start it again: SIGTERM, SIGKILL after its deadline. */
  stop(name: string): Promise<void>;
  /** Ends all, groups and single ones in the reverse order of their start. */
  stopAll(): Promise<void>;
  status(): ProcessStatus[];
  readonly events: EventEmitter<SupervisorEvents>;
}

/** Makes a supervisor; it has no processes yet. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { logger, clock = systemClock, restartDelay = 1_000, restartsPerMinute = 5 } = options;
  const processes = new Map<string, SupervisedProcess>();
  const events = new EventEmitter<SupervisorEvents>();
  const guard = createGuard();
  const shared: Supervision = { clock, logger, restartDelay, restartsPerMinute, guard, events };
  let group = 0;
  let stopping = false;

  // However this process ends, short of kill -9, for which there is the guard.
  const killAll = (): void => {
    for (const each of processes.values()) each.kill();
  };
  process.once("exit", killAll);

  const logOf = (name: string) =>
    options.logDirectory === undefined ? undefined : openLogFile(join(options.logDirectory, `${name}.log`));
  const start = async (spec: ProcessSpec, inGroup: number): Promise<ProcessStatus> => {
    if (stopping || processes.get(spec.name)?.isOver === false)
      throw new InternalError(
        "PROCESS_NAME_TAKEN",
        `${spec.name} cannot be started: ${stopping ? "the supervisor stops" : "it runs already"}.`,
      );
    const started = new SupervisedProcess(spec, inGroup, shared, logOf(spec.name));
    processes.set(spec.name, started);
    return started.start();
  };

  return {
    events,
    start: (spec) => start(spec, group++),
    startGroup: (specs) => {
      const common = group++;
      return Promise.all(specs.map((spec) => start(spec, common)));
    },
    stop: async (name) => {
      const found = processes.get(name);
      if (!found) throw new InternalError("PROCESS_UNKNOWN", `There is no process named ${name} to stop.`);
      await found.stop();
    },
    stopAll: async () => {
      stopping = true;
      const groups = Map.groupBy(processes.values(), (each) => each.group);
      for (const key of [...groups.keys()].sort((a, b) => b - a))
        await Promise.all((groups.get(key) ?? []).map((each) => each.stop()));
      process.off("exit", killAll);
      guard.close();
    },
    status: () => [...processes.values()].map((each) => each.status()),
  };
}

/**
 * Keeps the processes of a tree running: starts them, waits until they serve, starts them again when they die, stops them in
 * order, and leaves none behind, however it ends itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as sleepUnref } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { type Clock, InternalError, RetryableError, systemClock, UserError } from "../../base/index.ts";
import { isChildMessage } from "./lifecycle.ts";
import { type Logger, type LogFile, openLogFile } from "./logging.ts";

/** starting: not ready yet; waiting: before a restart; stopped: as asked, or done by itself with code 0; failed: given up. */
type ProcessState = "starting" | "ready" | "waiting" | "stopping" | "stopped" | "failed";

/** How to know that a process serves. */
type Readiness =
  /** It says so itself, see DaemonContext.ready. */
  | { readonly kind: "message" }
  /** This URL answers with a 2xx. */
  | { readonly kind: "url"; readonly url: string }
  /** This resolves; it may be called again after each restart. */
  | { readonly kind: "check"; readonly check: (signal: AbortSignal) => Promise<void> }
  /** It was started. */
  | { readonly kind: "started" };

export interface ProcessSpec {
  /** Unique; also the name of its log file. */
  readonly name: string;
  readonly command: string;
  readonly args?: readonly string[];
  /** Added to this process's environment. No secrets: other users can read it. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default started. */
  readonly ready?: Readiness;
  /** Ms until it must be ready; default 60,000. */
  readonly readyTimeout?: number;
  /** Ms between SIGTERM and SIGKILL; default 10,000. */
  readonly stopDeadline?: number;
  /** The child speaks Node's IPC (default true for readiness by message, else false). */
  readonly ipc?: boolean;
  /** Its niceness, 0 … 19; for work that must not slow the rest. */
  readonly niceness?: number;
}

interface ProcessStatus {
  readonly name: string;
  readonly state: ProcessState;
  readonly pid: number | undefined;
  /** How often it was started again. */
  readonly restarts: number;
  /** Since when it is in this state, ms since 1970. */
  readonly since: number;
  readonly exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;
  /** What it sent when it became ready, e.g. its port. */
  readonly details: Readonly<Record<string, string | number>>;
}

interface SupervisorEvents {
  /** A process changed its state. */
  state: [ProcessStatus];
  /** A process was given up. */
  failed: [ProcessStatus, Error];
}

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

const MINUTE = 60_000;
const LAST_WORDS = 4_096;

interface Child {
  readonly spec: ProcessSpec;
  readonly group: number;
  readonly log: LogFile | undefined;
  readonly ended: Promise<void>;
  readonly end: () => void;
  state: ProcessState;
  since: number;
  process: ChildProcess | undefined;
  exit: ProcessStatus["exit"];
  details: Readonly<Record<string, string | number>>;
  restarts: number;
  /** Monotonic times of the restarts of the last minute. */
  recent: number[];
  /** What the child said of its own failure. */
  reported: { code: string; message: string } | undefined;
  lastWords: string;
  stopRequested: boolean;
  /** Wakes the pause before a restart. */
  readonly stopping: AbortController;
}

/** Makes a supervisor; it has no processes yet. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const clock = options.clock ?? systemClock;
  const restartDelay = options.restartDelay ?? 1_000;
  const restartsPerMinute = options.restartsPerMinute ?? 5;
  const children = new Map<string, Child>();
  const events = new EventEmitter<SupervisorEvents>();
  const guard = createGuard();
  let group = 0;
  let stopping = false;

  // However this process ends, short of kill -9, for which there is the guard.
  const killAll = (): void => {
    for (const child of children.values()) child.process?.kill("SIGKILL");
  };
  process.once("exit", killAll);

  const statusOf = (child: Child): ProcessStatus => ({
    name: child.spec.name,
    state: child.state,
    pid: child.process?.pid,
    restarts: child.restarts,
    since: child.since,
    exit: child.exit,
    details: child.details,
  });
  const enter = (child: Child, state: ProcessState): void => {
    if (child.state === state) return;
    child.state = state;
    child.since = clock.now();
    events.emit("state", statusOf(child));
  };

  /** Starts the process once. Resolves when it has exited; calls `onReady` when it serves. */
  const runOnce = (child: Child, onReady: () => void): Promise<void> => {
    const { spec } = child;
    const ready = spec.ready ?? { kind: "started" };
    const ipc = spec.ipc ?? ready.kind === "message";
    child.reported = undefined;
    child.lastWords = "";
    child.exit = undefined;
    child.details = {};
    enter(child, "starting");
    const spawned = spawn(spec.command, [...(spec.args ?? [])], {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env },
      stdio: ipc ? ["ignore", "pipe", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
      // A session of its own: the terminal's Ctrl-C comes to the supervisor, which stops the children in order.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    child.process = spawned;
    if (spawned.pid !== undefined) {
      guard.add(spawned.pid);
      if (spec.niceness) lowerPriority(spawned.pid, spec.niceness);
    }

    const attempt = new AbortController();
    const becomeReady = (details: Readonly<Record<string, string | number>> = {}): void => {
      if (attempt.signal.aborted || child.state !== "starting") return;
      child.details = details;
      enter(child, "ready");
      onReady();
    };
    for (const stream of [spawned.stdout, spawned.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        child.log?.write(chunk);
        if (stream === spawned.stderr) child.lastWords = (child.lastWords + chunk.toString()).slice(-LAST_WORDS);
      });
    }
    spawned.on("message", (message) => {
      if (!isChildMessage(message)) return;
      if (message.type === "cotrain:error") child.reported = { code: message.code, message: message.message };
      else if (ready.kind === "message") becomeReady(message.details);
    });
    if (ready.kind === "started") spawned.once("spawn", () => becomeReady());
    if (ready.kind === "url") void pollUrl(ready.url, attempt.signal).then((ok) => ok && becomeReady());
    if (ready.kind === "check") {
      ready.check(attempt.signal).then(
        () => becomeReady(),
        (error: unknown) => {
          if (!attempt.signal.aborted)
            options.logger.warn({ process: spec.name, err: error }, "readiness check failed");
        },
      );
    }
    const limit = spec.readyTimeout ?? 60_000;
    const timer = setTimeout(() => {
      if (child.state !== "starting") return;
      child.reported = { code: "PROCESS_NOT_READY", message: `${spec.name} was not ready within ${limit / 1000} s.` };
      spawned.kill("SIGKILL");
    }, limit);

    return new Promise((resolve) => {
      let settled = false;
      const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        attempt.abort();
        if (spawned.pid !== undefined) guard.remove(spawned.pid);
        child.exit = { code, signal };
        child.process = undefined;
        resolve();
      };
      spawned.once("error", (error) => {
        child.reported = {
          code: "PROCESS_NOT_STARTED",
          message: `${spec.command} could not be started: ${error.message}.`,
        };
        // No process, no exit event.
        if (spawned.pid === undefined) finish(1, null);
      });
      // "close" comes after the last output, but never while a grandchild holds the pipe open: do not wait for it long.
      spawned.once("exit", (code, signal) => {
        void Promise.race([
          new Promise((closed) => {
            spawned.once("close", closed);
          }),
          sleepUnref(250, undefined, { ref: false }),
        ]).then(() => finish(code, signal));
      });
    });
  };

  /** Why a process will not be started again, undefined when it will. */
  const verdict = (child: Child): Error | undefined => {
    const { spec, exit } = child;
    const said = child.reported?.message ?? lastLine(child.lastWords);
    const code = child.reported?.code ?? "PROCESS_FAILED";
    const details = { process: spec.name, code: exit?.code ?? null, signal: exit?.signal ?? null };
    // A user's mistake does not go away by trying again.
    if (exit?.code === 1)
      return new UserError(code, said ?? `${spec.name} ended with exit code 1${logHint(child)}.`, { details });
    if (child.recent.length < restartsPerMinute) return undefined;
    const sentence = `${spec.name} ended ${child.recent.length + 1} times within a minute and was given up${said ? ` (last: ${said.replace(/\.$/, "")})` : ""}${logHint(child)}.`;
    return exit?.code === 75
      ? new RetryableError("PROCESS_GAVE_UP", sentence, { details })
      : new InternalError("PROCESS_GAVE_UP", sentence, { details });
  };

  const keepRunning = async (child: Child, onReady: () => void, onFailed: (error: Error) => void): Promise<void> => {
    try {
      for (;;) {
        await runOnce(child, onReady);
        const { exit, spec } = child;
        if (child.stopRequested || exit?.code === 0) {
          enter(child, "stopped");
          onFailed(new UserError("PROCESS_STOPPED", `${spec.name} ended before it was ready${logHint(child)}.`));
          return;
        }
        const now = clock.monotonic();
        child.recent = child.recent.filter((time) => time > now - MINUTE);
        const error = verdict(child);
        if (error) {
          enter(child, "failed");
          options.logger.error({ process: spec.name, ...exit }, error.message);
          events.emit("failed", statusOf(child), error);
          onFailed(error);
          return;
        }
        options.logger.warn(
          { process: spec.name, ...exit, restarts: child.restarts },
          "process ended, starting it again",
        );
        enter(child, "waiting");
        await clock.sleep(restartDelay, child.stopping.signal).catch(() => undefined);
        if (child.stopping.signal.aborted) {
          enter(child, "stopped");
          onFailed(new UserError("PROCESS_STOPPED", `${spec.name} was stopped before it was ready.`));
          return;
        }
        child.recent.push(clock.monotonic());
        child.restarts++;
      }
    } finally {
      child.log?.close();
      child.end();
    }
  };

  const start = (spec: ProcessSpec, inGroup: number): Promise<ProcessStatus> => {
    const before = children.get(spec.name);
    if (stopping || (before && before.state !== "stopped" && before.state !== "failed")) {
      return Promise.reject(
        new InternalError(
          "PROCESS_NAME_TAKEN",
          `${spec.name} cannot be started: ${stopping ? "the supervisor stops" : "it runs already"}.`,
        ),
      );
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const child: Child = {
      spec,
      group: inGroup,
      log: options.logDirectory === undefined ? undefined : openLogFile(join(options.logDirectory, `${spec.name}.log`)),
      ended,
      end,
      state: "waiting",
      since: clock.now(),
      process: undefined,
      exit: undefined,
      details: {},
      restarts: 0,
      recent: [],
      reported: undefined,
      lastWords: "",
      stopRequested: false,
      stopping: new AbortController(),
    };
    children.set(spec.name, child);
    return new Promise((resolve, reject) => {
      keepRunning(child, () => resolve(statusOf(child)), reject).catch(reject);
    });
  };

  const stop = async (child: Child): Promise<void> => {
    if (child.state === "stopped" || child.state === "failed") return;
    child.stopRequested = true;
    child.stopping.abort();
    const { process: running } = child;
    if (running) {
      enter(child, "stopping");
      running.kill("SIGTERM");
      const timer = setTimeout(() => {
        options.logger.warn({ process: child.spec.name }, "did not stop in time, killing it");
        running.kill("SIGKILL");
      }, child.spec.stopDeadline ?? 10_000);
      await child.ended;
      clearTimeout(timer);
    } else {
      await child.ended;
    }
  };

  return {
    events,
    start: (spec) => start(spec, group++),
    startGroup: (specs) => {
      const common = group++;
      return Promise.all(specs.map((spec) => start(spec, common)));
    },
    stop: async (name) => {
      const child = children.get(name);
      if (!child) throw new InternalError("PROCESS_UNKNOWN", `There is no process named ${name} to stop.`);
      await stop(child);
    },
    stopAll: async () => {
      stopping = true;
      const groups = Map.groupBy(children.values(), (child) => child.group);
      for (const key of [...groups.keys()].sort((a, b) => b - a)) await Promise.all((groups.get(key) ?? []).map(stop));
      process.off("exit", killAll);
      guard.close();
    },
    status: () => [...children.values()].map(statusOf),
  };
}

/**
 * Makes a supervisor and starts several processes side by side. When one cannot be started, the others are stopped again.
 * @throws as {@link Supervisor.start}
 */
export async function supervise(specs: readonly ProcessSpec[], options: SupervisorOptions): Promise<Supervisor> {
  const supervisor = createSupervisor(options);
  try {
    await supervisor.startGroup(specs);
  } catch (error) {
    await supervisor.stopAll();
    throw error;
  }
  return supervisor;
}

function logHint(child: Child): string {
  return child.log ? `; see ${child.log.path}` : "";
}

/** Threads that the process starts later inherit it; it may be gone already, which its exit event tells. */
function lowerPriority(pid: number, niceness: number): void {
  try {
    setPriority(pid, niceness);
  } catch {
    return;
  }
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split("\n").at(-1)?.trim() || undefined;
}

async function pollUrl(url: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) });
      await response.body?.cancel();
      if (response.ok) return true;
    } catch {
      // Not up yet; that is what polling is for.
    }
    await sleepUnref(100, undefined, { ref: false });
  }
  return false;
}

/** See guardProcess.ts. Started with the first process; started again should somebody kill it. */
function createGuard(): { add(pid: number): void; remove(pid: number): void; close(): void } {
  const pids = new Set<number>();
  let guard: ChildProcess | undefined;
  let closed = false;
  const ensure = (): void => {
    if (guard || closed) return;
    const started = spawn(process.execPath, [fileURLToPath(new URL("./guardProcess.ts", import.meta.url))], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      windowsHide: true,
    });
    guard = started;
    started.unref();
    started.stdin?.on("error", () => undefined);
    if (started.stdin && "unref" in started.stdin && typeof started.stdin.unref === "function") started.stdin.unref();
    const lost = (): void => {
      if (guard !== started) return;
      guard = undefined;
      if (pids.size > 0) ensure();
    };
    started.once("exit", lost);
    started.once("error", lost);
    for (const pid of pids) started.stdin?.write(`+${pid}\n`);
  };
  return {
    add: (pid) => {
      pids.add(pid);
      if (guard) guard.stdin?.write(`+${pid}\n`);
      else ensure();
    },
    remove: (pid) => {
      pids.delete(pid);
      guard?.stdin?.write(`-${pid}\n`);
    },
    close: () => {
      closed = true;
      guard?.stdin?.end();
      guard = undefined;
    },
  };
}

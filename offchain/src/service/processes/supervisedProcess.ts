/** One process that is kept running: started again when it dies, until it is stopped, ends well by itself or is given up. */
import { type ChildProcess, spawn } from "node:child_process";
import type { EventEmitter } from "node:events";
import { setPriority } from "node:os";
import { setTimeout as sleepUnref } from "node:timers/promises";

import { type Clock, InternalError, RetryableError, UserError } from "../../base/index.ts";
import type { Guard } from "./guard.ts";
import { isChildMessage } from "./lifecycle.ts";
import type { LogFile, Logger } from "./logging.ts";
import { type Readiness, type ReadyDetails, whenReady } from "./readiness.ts";

/** starting: not ready yet; waiting: before a restart; stopped: as asked, or done by itself with code 0; failed: given up. */
type ProcessState = "starting" | "ready" | "waiting" | "stopping" | "stopped" | "failed";

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

interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessStatus {
  readonly name: string;
  readonly state: ProcessState;
  readonly pid: number | undefined;
  /** How often it was started again. */
  readonly restarts: number;
  /** Since when it is in this state, ms since 1970. */
  readonly since: number;
  readonly exit: ProcessExit | undefined;
  /** What is known of why it ended, in a sentence: its own words, or that it was not ready in time. */
  readonly reason: string | undefined;
  readonly details: ReadyDetails;
}

export interface SupervisorEvents {
  /** A process changed its state. */
  state: [ProcessStatus];
  /** A process was given up. */
  failed: [ProcessStatus, Error];
}

/** What the processes of a supervisor share. */
export interface Supervision {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly restartDelay: number;
  readonly restartsPerMinute: number;
  readonly guard: Guard;
  readonly events: EventEmitter<SupervisorEvents>;
}

const MINUTE = 60_000;
const LAST_WORDS = 4_096;
/** Parts of a stop's deadline that are counted. */
const DEADLINE_PARTS = 10;

export class SupervisedProcess {
  readonly spec: ProcessSpec;
  /** Those of one group are stopped at the same time. */
  readonly group: number;
  readonly #shared: Supervision;
  readonly #ready: Readiness;
  readonly #log: LogFile | undefined;
  readonly #ended = Promise.withResolvers<void>();
  /** Asked to stop; wakes the pause before a restart. */
  readonly #stopping = new AbortController();
  #state: ProcessState = "waiting";
  #since: number;
  #running: ChildProcess | undefined;
  #exit: ProcessExit | undefined;
  #details: ReadyDetails = {};
  #restarts = 0;
  /** Monotonic times of the restarts of the last minute. */
  #recent: readonly number[] = [];
  /** What it said of its own failure. */
  #reported: { readonly code: string; readonly message: string } | undefined;
  #lastWords = "";

  constructor(spec: ProcessSpec, group: number, shared: Supervision, log: LogFile | undefined) {
    this.spec = spec;
    this.group = group;
    this.#shared = shared;
    this.#ready = spec.ready ?? { kind: "started" };
    this.#log = log;
    this.#since = shared.clock.now();
  }

  /** Whether it will not be started again. */
  get isOver(): boolean {
    return this.#state === "stopped" || this.#state === "failed";
  }

  status(): ProcessStatus {
    return {
      name: this.spec.name,
      state: this.#state,
      pid: this.#running?.pid,
      restarts: this.#restarts,
      since: this.#since,
      exit: this.#exit,
      reason: this.#reported?.message,
      details: this.#details,
    };
  }

  /** Keeps it running from now on, once. Resolves when it is ready for the first time. @throws as `Supervisor.start` */
  start(): Promise<ProcessStatus> {
    return new Promise((resolve, reject) => {
      this.#keepRunning(() => resolve(this.status())).then(reject, reject);
    });
  }

  /** SIGTERM, and SIGKILL after its deadline. Resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.isOver) return;
    this.#stopping.abort();
    const running = this.#running;
    if (!running) return this.#ended.promise;
    this.#enter("stopping");
    running.kill("SIGTERM");
    // While this process stands still (a suspended machine, a terminal that takes no more) it hears of no end: the time of a
    // deadline counts in parts of which such a pause takes one at most, and what ended meanwhile is heard of before the next.
    let left = DEADLINE_PARTS;
    const timer = setInterval(
      () => {
        left -= 1;
        if (left > 0) return;
        clearInterval(timer);
        this.#shared.logger.warn({ process: this.spec.name }, "did not stop in time, killing it");
        running.kill("SIGKILL");
      },
      (this.spec.stopDeadline ?? 10_000) / DEADLINE_PARTS,
    );
    await this.#ended.promise;
    clearInterval(timer);
  }

  /** Ends it at once. */
  kill(): void {
    this.#running?.kill("SIGKILL");
  }

  /** @returns why it does not run any more */
  async #keepRunning(onReady: () => void): Promise<Error> {
    try {
      for (;;) {
        const exit = await this.#runOnce(onReady);
        const end = this.#endAfter(exit) ?? (await this.#pause());
        if (end) return end;
        this.#recent = [...this.#recent, this.#shared.clock.monotonic()];
        this.#restarts++;
      }
    } finally {
      this.#log?.close();
      this.#ended.resolve();
    }
  }

  /** Starts the process once. Resolves when it has exited; calls `onReady` when it serves. */
  async #runOnce(onReady: () => void): Promise<ProcessExit> {
    const { guard, logger } = this.#shared;
    this.#reported = undefined;
    this.#lastWords = "";
    this.#exit = undefined;
    this.#details = {};
    this.#enter("starting");
    const started = this.#spawn();
    this.#running = started;
    if (started.pid !== undefined) guard.add(started.pid);
    this.#listen(started);
    const attempt = new AbortController();
    whenReady(this.#ready, started, attempt.signal).then(
      (details) => this.#becomeReady(details, attempt.signal, onReady),
      (error: unknown) => {
        if (!attempt.signal.aborted) logger.warn({ process: this.spec.name, err: error }, "readiness check failed");
      },
    );
    const timer = this.#limitStart(started);
    const exit = await exitOf(started);
    clearTimeout(timer);
    attempt.abort();
    if (started.pid !== undefined) guard.remove(started.pid);
    this.#exit = exit;
    this.#running = undefined;
    return exit;
  }

  #becomeReady(details: ReadyDetails, ended: AbortSignal, onReady: () => void): void {
    if (ended.aborted || this.#state !== "starting") return;
    this.#details = details;
    this.#enter("ready");
    onReady();
  }

  #spawn(): ChildProcess {
    const { spec } = this;
    const ipc = spec.ipc ?? this.#ready.kind === "message";
    const started = spawn(spec.command, [...(spec.args ?? [])], {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env },
      stdio: ipc ? ["ignore", "pipe", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
      // A session of its own: the terminal's Ctrl-C comes to the supervisor, which stops the children in order.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    if (started.pid !== undefined && spec.niceness) lowerPriority(started.pid, spec.niceness);
    return started;
  }

  /** Keeps what it writes, and what it says of its own failure. */
  #listen(started: ChildProcess): void {
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#log?.write(chunk);
        if (stream === started.stderr) this.#lastWords = (this.#lastWords + chunk.toString()).slice(-LAST_WORDS);
      });
    }
    started.on("message", (message) => {
      if (!isChildMessage(message) || message.type !== "cotrain:error") return;
      this.#reported = { code: message.code, message: message.message };
    });
    started.once("error", (error) => {
      const message = `${this.spec.command} could not be started: ${error.message}.`;
      this.#reported = { code: "PROCESS_NOT_STARTED", message };
    });
  }

  #limitStart(started: ChildProcess): NodeJS.Timeout {
    const limit = this.spec.readyTimeout ?? 60_000;
    return setTimeout(() => {
      if (this.#state !== "starting") return;
      const message = `${this.spec.name} was not ready within ${limit / 1000} s.`;
      this.#reported = { code: "PROCESS_NOT_READY", message };
      started.kill("SIGKILL");
    }, limit);
  }

  /** Why it is not started again after an exit, undefined when it is. */
  #endAfter(exit: ProcessExit): Error | undefined {
    const { clock, logger, events } = this.#shared;
    if (this.#stopping.signal.aborted || exit.code === 0) {
      this.#enter("stopped");
      return new UserError("PROCESS_STOPPED", `${this.spec.name} ended before it was ready${this.#logHint()}.`);
    }
    const now = clock.monotonic();
    this.#recent = this.#recent.filter((time) => time > now - MINUTE);
    const error = this.#failure(exit);
    if (!error) return undefined;
    this.#enter("failed");
    logger.error({ process: this.spec.name, ...exit }, error.message);
    events.emit("failed", this.status(), error);
    return error;
  }

  /** Why it is given up, undefined when it is not. */
  #failure(exit: ProcessExit): Error | undefined {
    const { name } = this.spec;
    const said = this.#reported?.message ?? lastLine(this.#lastWords);
    const code = this.#reported?.code ?? "PROCESS_FAILED";
    const details = { process: name, ...exit };
    // A user's mistake does not go away by trying again.
    if (exit.code === 1)
      return new UserError(code, said ?? `${name} ended with exit code 1${this.#logHint()}.`, { details });
    if (this.#recent.length < this.#shared.restartsPerMinute) return undefined;
    const last = said ? ` (last: ${said.replace(/\.$/, "")})` : "";
    const sentence = `${name} ended ${this.#recent.length + 1} times within a minute and was given up${last}${this.#logHint()}.`;
    return exit.code === 75
      ? new RetryableError("PROCESS_GAVE_UP", sentence, { details })
      : new InternalError("PROCESS_GAVE_UP", sentence, { details });
  }

  /** Waits before a restart. @returns why there is none after all */
  async #pause(): Promise<Error | undefined> {
    const { clock, logger, restartDelay } = this.#shared;
    const facts = { process: this.spec.name, ...this.#exit, restarts: this.#restarts };
    logger.warn(facts, "process ended, starting it again");
    this.#enter("waiting");
    await clock.sleep(restartDelay, this.#stopping.signal).catch(() => undefined);
    if (!this.#stopping.signal.aborted) return undefined;
    this.#enter("stopped");
    return new UserError("PROCESS_STOPPED", `${this.spec.name} was stopped before it was ready.`);
  }

  #enter(state: ProcessState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#since = this.#shared.clock.now();
    this.#shared.events.emit("state", this.status());
  }

  #logHint(): string {
    return this.#log ? `; see ${this.#log.path}` : "";
  }
}

function exitOf(started: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    started.once("error", () => {
      // No process, no exit event.
      if (started.pid === undefined) resolve({ code: 1, signal: null });
    });
    // "close" comes after the last output, but never while a grandchild holds the pipe open: do not wait for it long.
    started.once("exit", (code, signal) => {
      const closed = new Promise((ended) => {
        started.once("close", ended);
      });
      void Promise.race([closed, sleepUnref(250, undefined, { ref: false })]).then(() => resolve({ code, signal }));
    });
  });
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

/**
 * The life of a daemon's process: a signal becomes an AbortSignal, errors become exit codes, a child ends with its parent, and
 * nothing hangs past its deadline.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { exitCodeOf, InternalError, printable, UserError } from "../../base/index.ts";
import type { Logger } from "./logging.ts";

/** What a supervised child tells its supervisor over Node's IPC channel. */
export type ChildMessage =
  | { readonly type: "cotrain:ready"; readonly details: Readonly<Record<string, string | number>> }
  | { readonly type: "cotrain:error"; readonly code: string; readonly message: string; readonly exitCode: number };

/** Exit code of a process that was interrupted. */
export const EXIT_INTERRUPTED = 130;

export interface DaemonContext {
  /** Aborted when the daemon should end; its reason says why. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Tells the supervisor, if there is one, that this daemon serves; details such as its port go along. */
  readonly ready: (details?: Readonly<Record<string, string | number>>) => void;
  /** Registers work for the end; the last registered runs first, each even when another fails. */
  readonly onShutdown: (name: string, work: () => Promise<void> | void) => void;
}

export interface DaemonOptions {
  readonly name: string;
  readonly logger: Logger;
  /** From the signal to a forced end, ms; default 10,000. */
  readonly shutdownDeadline?: number;
  /**
   * End when the parent does: `ipc` when the IPC channel closes, `stdin` when standard input does. The kernel closes both
   * even when the parent is killed by -9. Default: `ipc` when there is such a channel.
   */
  readonly orphanGuard?: "ipc" | "stdin" | "none";
  /** Writes the one sentence of a user's mistake; default stderr. */
  readonly report?: (sentence: string) => void;
  /** Last words where a second Ctrl-C ends at once; must not wait for anything. */
  readonly onSecondInterrupt?: () => void;
  /**
   * Where log and sentence go to the same place, only one of them tells: `log` for programs, `sentence` for people. Default
   * both. A defect is logged in any case.
   */
  readonly channel?: "both" | "log" | "sentence";
}

/** What tells of an error where the log goes to stderr: lines of JSON go on being that, and people get a sentence. */
export const channelOnStderr = (): "log" | "sentence" => (process.stderr.isTTY ? "sentence" : "log");

/**
 * Runs a daemon and ends the process with its exit code: what `main` returns, else 0; 130 after Ctrl-C; by class of the error
 * that it throws (1 user's mistake, 75 try again, 70 defect). A second Ctrl-C ends at once with 130.
 *
 * `main` ends by returning, or by rejecting with the signal's reason once that is aborted.
 */
export async function runDaemon(
  main: (context: DaemonContext) => Promise<number | void>,
  options: DaemonOptions,
): Promise<never> {
  const { logger } = options;
  const controller = new AbortController();
  const shutdown: { name: string; work: () => Promise<void> | void }[] = [];
  let interrupted = false;
  let told = false;

  const end = (why: string): void => {
    if (controller.signal.aborted) return;
    // Where people were told a sentence, that was the last word.
    logger[told ? "debug" : "info"]({ why }, "shutting down");
    controller.abort(new UserError("STOPPED", `${options.name} was told to stop (${why}).`));
    const deadline = options.shutdownDeadline ?? 10_000;
    setTimeout(() => {
      logger.error({ deadline }, "did not shut down in time, ending now");
      process.exit(interrupted ? EXIT_INTERRUPTED : 70);
    }, deadline).unref();
  };
  process.on("SIGINT", () => {
    if (interrupted) {
      options.onSecondInterrupt?.();
      process.exit(EXIT_INTERRUPTED);
    }
    interrupted = true;
    end("SIGINT");
  });
  process.on("SIGTERM", () => end("SIGTERM"));
  process.on("SIGHUP", () => end("SIGHUP"));
  const fatal = (error: unknown): void => {
    logger.fatal({ err: error }, "unhandled error");
    void reportAndExit(error);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  // Who reads our output may die before us; that is the orphan guard's matter, not a crash.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  guardAgainstOrphanhood(options.orphanGuard ?? (process.send ? "ipc" : "none"), () => end("the parent process ended"));

  const code = await run(main, {
    signal: controller.signal,
    logger,
    ready: (details = {}) => void send({ type: "cotrain:ready", details }),
    onShutdown: (name, work) => shutdown.push({ name, work }),
  })
    .then((returned) => returned ?? (interrupted ? EXIT_INTERRUPTED : 0))
    .catch((error: unknown) => {
      if (controller.signal.aborted && error === controller.signal.reason) return interrupted ? EXIT_INTERRUPTED : 0;
      told = options.channel === "sentence";
      return report(error, options);
    });
  end("done");
  let exitCode = code;
  for (const { name, work } of shutdown.toReversed()) {
    try {
      await work();
    } catch (error) {
      logger.error({ err: error, step: name }, "shutdown step failed");
      exitCode ||= exitCodeOf(error);
    }
  }
  process.exit(exitCode);
}

/** Keeps synchronous throws of `main` inside the promise. */
async function run(
  main: (context: DaemonContext) => Promise<number | void>,
  context: DaemonContext,
): Promise<number | void> {
  return main(context);
}

/** Logs and words an error; users' mistakes come without a stack. Returns the exit code. */
async function report(error: unknown, options: DaemonOptions): Promise<number> {
  const exitCode = exitCodeOf(error);
  const typed = error instanceof CotrainError ? error : undefined;
  const { channel = "both" } = options;
  if (typed && exitCode !== 70) {
    if (channel !== "sentence") options.logger.error({ code: typed.code, details: typed.details }, typed.message);
  } else options.logger.fatal({ err: error }, "unexpected error");
  const sentence =
    typed && exitCode !== 70
      ? typed.message
      : `Internal error in ${options.name}: ${error instanceof Error ? error.message : String(error)}`;
  if (channel !== "log") (options.report ?? ((text: string) => process.stderr.write(`${printable(text)}\n`)))(sentence);
  await reportToParent(error, exitCode);
  return exitCode;
}

function reportToParent(error: unknown, exitCode: number): Promise<void> {
  return send({
    type: "cotrain:error",
    code: error instanceof CotrainError ? error.code : "UNEXPECTED",
    message: error instanceof Error ? error.message : String(error),
    exitCode,
  });
}

async function reportAndExit(error: unknown): Promise<never> {
  await reportToParent(error, 70);
  process.exit(70);
}

/** Resolves once the message is on its way, so that an exit does not overtake it. */
function send(message: ChildMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.send || !process.connected) return resolve();
    // A parent that dies in this instant is no failure of ours: the orphan guard sees to it.
    process.send(message, undefined, undefined, () => resolve());
  });
}

/** Calls `onOrphaned` once when the parent is gone. */
function guardAgainstOrphanhood(guard: "ipc" | "stdin" | "none", onOrphaned: () => void): void {
  switch (guard) {
    case "none":
      return;
    case "ipc":
      if (!process.send) {
        throw new InternalError("NO_IPC_CHANNEL", "The orphan guard by IPC needs a parent that opened a channel.");
      }
      process.once("disconnect", onOrphaned);
      // Without a listener for messages Node lets the channel go unreferenced, which is what we want: it must not keep us alive.
      process.channel?.unref();
      return;
    case "stdin":
      process.stdin.once("end", onOrphaned).once("error", onOrphaned).resume();
      // Sockets and pipes have it, files do not need it.
      if ("unref" in process.stdin && typeof process.stdin.unref === "function") process.stdin.unref();
  }
}

/** Whether this is a message of {@link ChildMessage}; what comes over a channel is checked like anything from outside. */
export function isChildMessage(value: unknown): value is ChildMessage {
  if (typeof value !== "object" || value === null || !("type" in value)) return false;
  if (value.type === "cotrain:ready")
    return "details" in value && typeof value.details === "object" && value.details !== null;
  return (
    value.type === "cotrain:error" &&
    "code" in value &&
    typeof value.code === "string" &&
    "message" in value &&
    typeof value.message === "string" &&
    "exitCode" in value &&
    typeof value.exitCode === "number"
  );
}

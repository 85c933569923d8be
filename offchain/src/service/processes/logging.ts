/**
 * Logs: pino lines of JSON, made readable on a terminal, without secrets; a child logger per component; files that cannot
 * fill the disk. Logs go to stderr, since stdout belongs to data.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";

import pino, { type Logger as PinoLogger } from "pino";
import type pretty from "pino-pretty";

import { type Clock, printable, printableJson, redactUrls, systemClock } from "../../base/index.ts";
import { makeDirectories } from "../../base/node/index.ts";

export type Logger = PinoLogger;
type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Names that never reach a log with their value, at the top and up to three objects deep. Signatures are public and stay. */
const SECRET_NAMES = [
  "key",
  "privateKey",
  "sessionKey",
  "passphrase",
  "password",
  "mnemonic",
  "mac",
  "authorization",
  "cookie",
];
const SECRET_PATHS = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]);

export interface LoggerOptions {
  /** Which part speaks: `coordinator`, `worker-1`, … */
  readonly component: string;
  readonly level?: LogLevel;
  /** Readable lines instead of JSON; default: when stderr is a terminal. */
  readonly pretty?: boolean;
  /** Where lines go instead of stderr. */
  readonly destination?: { write(line: string): void };
  /** A file that gets every line too, as JSON. */
  readonly file?: LogFile;
  /** For the limit on what is said again and again. */
  readonly clock?: Clock;
}

/** One message is logged so often in {@link REPEAT_WINDOW_MS}; of what it is said more, the count alone. */
const REPEAT_LINES = 100;
const REPEAT_WINDOW_MS = 60_000;
/** Messages that are counted at a time; the oldest goes. */
const REPEAT_MESSAGES = 1_000;

/**
 * Whether a message may be logged again: a fault that repeats must not fill the disk.
 * @returns how often it was held back since it was last logged, undefined when it is held back now
 */
function createRepeatLimit(clock: Clock): (message: string) => number | undefined {
  const windows = new Map<string, { since: number; said: number; held: number }>();
  return (message) => {
    const now = clock.monotonic();
    const known = windows.get(message);
    const age = known ? now - known.since : Infinity;
    if (known && age < REPEAT_WINDOW_MS) {
      if (known.said >= REPEAT_LINES) {
        known.held += 1;
        return undefined;
      }
      known.said += 1;
      return 0;
    }
    windows.delete(message);
    windows.set(message, { since: now, said: 1, held: 0 });
    const [oldest] = windows.keys();
    if (windows.size > REPEAT_MESSAGES && oldest !== undefined) windows.delete(oldest);
    return known?.held ?? 0;
  };
}

/** What is parsed from a line of JSON, for a terminal: names and texts may be a stranger's. */
function printableValue(_name: string, value: unknown): unknown {
  if (typeof value === "string") return printable(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [printable(name), each]));
}

/** Makes the logger of a process. Parts of it speak through `logger.child({ component })`. */
export function createLogger(options: LoggerOptions): Logger {
  const level = options.level ?? "info";
  const readable = options.pretty ?? (options.destination === undefined && process.stderr.isTTY);
  const out = options.destination ?? { write: (line: string) => void process.stderr.write(line) };
  const formatted = readable
    ? (() => {
        // A terminal alone needs it, and it is CommonJS, which can be had at once.
        const { prettyFactory }: typeof pretty = createRequire(import.meta.url)("pino-pretty");
        const format = prettyFactory({
          colorize: process.stderr.hasColors?.() ?? false,
          ignore: "pid,hostname",
          translateTime: "SYS:HH:MM:ss",
        });
        return { write: (line: string) => out.write(format(JSON.parse(line, printableValue))) };
      })()
    : out;
  const { file } = options;
  const limit = createRepeatLimit(options.clock ?? systemClock);
  // Causes of errors come from libraries, which name whole URLs with the keys in them.
  const stream = {
    write: (line: string) => {
      const shown = printableJson(redactUrls(line));
      formatted.write(shown);
      file?.write(shown);
    },
  };
  return pino(
    {
      level,
      base: { component: options.component },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: SECRET_PATHS, censor: "[secret]" },
      hooks: {
        logMethod(args, method, level) {
          const text = [args[0], args[1]].find((arg) => typeof arg === "string") ?? "";
          const held = limit(`${level} ${text.slice(0, 200)}`);
          if (held === undefined) return;
          if (held > 0) this.warn({ times: held, message: text.slice(0, 200) }, "a message was left out");
          method.apply(this, args);
        },
      },
    },
    stream,
  );
}

/** A logger that says nothing, for tests and library use. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}

/** A file of lines that is turned over: at most `maxBytes` in it and as much again in `<path>.1`. */
export interface LogFile {
  readonly path: string;
  /** Appends; never throws, since a full disk must not end what is being logged. */
  write(text: string | Uint8Array): void;
  /** How many writes were lost. */
  readonly lost: number;
  close(): void;
}

/** Opens a log file, appending; its directory is made. @param maxBytes default 16 MiB */
export function openLogFile(path: string, maxBytes: number = 16 << 20): LogFile {
  let descriptor: number | undefined;
  let bytes = 0;
  let lost = 0;
  let closed = false;
  const open = (): number => {
    makeDirectories(dirname(path), 0o700);
    const opened = openSync(path, "a", 0o600);
    bytes = fstatSync(opened).size;
    return opened;
  };
  const release = (): void => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    path,
    write: (text) => {
      if (closed) return;
      const data = typeof text === "string" ? Buffer.from(text) : text;
      try {
        descriptor ??= open();
        if (bytes > 0 && bytes + data.length > maxBytes) {
          release();
          renameSync(path, `${path}.1`);
          descriptor = open();
        }
        bytes += writeSync(descriptor, data);
      } catch {
        lost++;
      }
    },
    get lost() {
      return lost;
    },
    close: () => {
      closed = true;
      try {
        release();
      } catch {
        lost++;
      }
    },
  };
}

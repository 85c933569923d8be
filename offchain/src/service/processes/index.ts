/** How a process lives: signals, deadlines and exit codes, logs, and the supervision of a tree of processes. */
export * from "./lifecycle.ts";
export * from "./logging.ts";
export * from "./supervisor.ts";

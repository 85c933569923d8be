/**
 * The command line as real processes: `cotrain up` on a state directory of its own, the processes that it started, its log
 * read from outside, and their end by pid whatever happens. Linux: processes are found by a mark in their environment.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import Sqlite from "better-sqlite3";

import { anvilBinary } from "../../offchain/src/chain/index.ts";
import { findPort } from "../../offchain/src/service/index.ts";
import { layout } from "../../offchain/src/run/index.ts";
import { type RunEvent, type RunState, step } from "../../offchain/src/coordinator/index.ts";
import { compileCache } from "../compileCache.ts";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");
const main = join(root, "offchain/src/cli/main.ts");
const bundledNode = join(root, "node_modules/.bin/node");
const MARK = "E2E_STAGE";

/** Looks again and again until there is something. Never fails for slowness before a quarter of an hour is over. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { seconds = 900, every = 100, context = () => "" }: { seconds?: number; every?: number; context?: () => string } = {},
): Promise<T> {
  const end = Date.now() + seconds * 1_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) assert.fail(`${what} did not come within ${seconds} s. ${context()}`);
    await sleep(every);
  }
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A command that runs, or ran. */
export interface Running {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Undefined while it runs. */
  readonly exit: () => Exit | undefined;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly kill: (signal: NodeJS.Signals) => void;
}

interface Found {
  readonly pid: number;
  /** `up`, `chain`, `coordinator`, `worker-1`, `guard`, …. */
  readonly name: string;
}

export interface Stage {
  /** A temporary directory, gone at the end. */
  readonly directory: string;
  /** The state directory of `cotrain up`, in it. */
  readonly state: string;
  /** Runs any command with the stage's mark. */
  readonly run: (command: string, args: readonly string[]) => Running;
  /** Runs `cotrain <args>` from the sources, under `prefix` if there is one. */
  readonly cotrain: (args: readonly string[], prefix?: readonly string[]) => Running;
  /** Processes of this stage that live, however they came to be. */
  readonly processes: () => Found[];
  readonly pidOf: (name: string) => number;
  /** Resolves when no process of the stage is left. */
  readonly empty: (seconds: number) => Promise<void>;
  /** Ends all processes of the stage and removes its directory. */
  readonly close: () => Promise<void>;
}

export function openStage(): Stage {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-e2e-"));
  const state = join(directory, "state");
  const mark = `${MARK}=${randomUUID()}`;
  const children: ChildProcess[] = [];

  const processes = (): Found[] =>
    readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((entry) => {
        try {
          if (!readFileSync(`/proc/${entry}/environ`, "latin1").split("\0").includes(mark)) return [];
          // A zombie is dead; only its parent has not looked yet.
          if (statusOf(entry) === "Z") return [];
          return [{ pid: Number(entry), name: nameOf(readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0")) }];
        } catch {
          return [];
        }
      });

  const run = (command: string, args: readonly string[]): Running => {
    const [key = "", value = ""] = mark.split("=");
    const child = spawn(command, [...args], {
      cwd: directory,
      env: { ...process.env, ...compileCache, [key]: value },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (chunk: Buffer) => {
        output[name] += chunk.toString();
      });
    }
    let exit: Exit | undefined;
    const exited = new Promise<Exit>((done, fail) => {
      child.once("error", fail);
      child.once("close", (code, signal) => {
        exit = { code, signal };
        done(exit);
      });
    });
    exited.catch(() => undefined);
    return {
      pid: child.pid ?? 0,
      exited,
      exit: () => exit,
      stdout: () => output.stdout,
      stderr: () => output.stderr,
      kill: (signal) => void child.kill(signal),
    };
  };

  const empty = async (seconds: number): Promise<void> => {
    await until("the end of all processes", () => processes().length === 0, {
      seconds,
      context: () =>
        `Left: ${processes()
          .map(({ pid, name }) => `${name} (${pid})`)
          .join(", ")}.`,
    });
  };

  return {
    directory,
    state,
    run,
    cotrain: (args, prefix = []) => {
      const [command = "", ...rest] = [...prefix, bundledNode, "--conditions=cotrain-source", main, ...args];
      return run(command, rest);
    },
    processes,
    pidOf: (name) => {
      const found = processes().find((each) => each.name === name);
      return found?.pid ?? assert.fail(`There is no process named ${name}.`);
    },
    empty,
    close: async () => {
      // What dies may be started again by what lives: until nothing is left.
      for (let tries = 0; tries < 50 && processes().length > 0; tries++) {
        for (const { pid } of processes()) signal(pid, "SIGKILL");
        await sleep(50);
      }
      for (const child of children) child.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Signals a process that may be gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    return;
  }
}

/** Kills the chain's node; the one that its supervisor starts finds the disk as it was when this was kept. */
export async function setBackChain(stage: Pick<Stage, "state" | "pidOf" | "processes">, kept: string): Promise<void> {
  const pid = stage.pidOf("chain");
  signal(pid, "SIGKILL");
  await until("the node's death", () => stage.processes().every((found) => found.pid !== pid));
  renameSync(kept, layout(stage.state).chainState);
}

/** Stops a process where it is. Resolves when none of its threads runs any more. */
export async function freeze(pid: number): Promise<void> {
  signal(pid, "SIGSTOP");
  await until("the process's standstill", () =>
    readdirSync(`/proc/${pid}/task`).every((thread) => statusOf(`${pid}/task/${thread}`) === "T"),
  );
}

/** One letter, as in ps. */
function statusOf(process: string): string | undefined {
  const line = readFileSync(`/proc/${process}/stat`, "latin1");
  return line[line.lastIndexOf(")") + 2];
}

/** The name that the supervisor gives a process, from its command line. */
function nameOf(args: readonly string[]): string {
  const at = args.indexOf(main);
  if (at >= 0) {
    const role = args.indexOf("--role");
    return (role >= 0 ? args[role + 1] : args[at + 1]) ?? "cotrain";
  }
  if (args.some((arg) => /^anvil(Launcher.ts)?$/.test(basename(arg)))) return "chain";
  return basename(args.find((arg) => arg.endsWith(".ts")) ?? args[0] ?? "");
}

/** A development node that somebody else runs: it listens for all, and takes every method. */
export async function plainNode(
  stage: Stage,
  args: readonly string[] = [],
): Promise<{ url: string; running: Running }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const running = stage.run(anvilBinary(), ["--port", String(port), "--block-time", "1", "--silent", ...args]);
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId" });
  await until("a development node", async () => {
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body }).catch(
      () => undefined,
    );
    return answer?.ok;
  });
  return { url, running };
}

/** Waits for the end of a command that is to succeed; says its last words when it does not. */
export async function endsWell(running: Running): Promise<void> {
  const { code, signal } = await running.exited;
  if (code !== 0) assert.fail(`It ended with ${code ?? signal}: ${running.stderr().slice(-2_000)}`);
}

/** A port that nobody has at this moment. */
export const freePort = (): Promise<number> => findPort({ port: 0, explicit: false });

/** Reads one file as JSON. */
export const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, "utf8")) as T;

/** One event with the states around it. */
export interface Applied {
  readonly seq: number;
  readonly event: RunEvent;
  readonly before: RunState | null;
  readonly after: RunState;
}

/** The coordinator's database, read while somebody else writes it, and its log applied as the coordinator applies it. */
export interface Watch {
  /** What was logged since the last look; also kept in {@link Watch.history}. */
  readonly look: () => readonly Applied[];
  readonly history: readonly Applied[];
  readonly state: () => RunState;
  /** Seq of the last event that was looked at. */
  readonly seq: () => number;
  readonly rows: <T>(query: string, ...values: readonly (string | number)[]) => T[];
  readonly close: () => void;
}

export function openWatch(state: string): Watch {
  const database = new Sqlite(join(state, "coordinator", "coordinator.sqlite"), { readonly: true, timeout: 10_000 });
  const rows = <T>(query: string, ...values: readonly (string | number)[]): T[] =>
    database.prepare<unknown[], T>(query).all(...values);
  const history: Applied[] = [];
  const seq = (): number => history.at(-1)?.seq ?? 0;
  return {
    look: () => {
      const fresh: Applied[] = [];
      for (const row of rows<{ seq: number; json: string }>(
        "select seq, json from events where seq > ? order by seq",
        seq(),
      )) {
        const event = JSON.parse(row.json) as RunEvent;
        const before = history.at(-1)?.after ?? null;
        const applied = { seq: row.seq, event, before, after: step(before, event).state };
        history.push(applied);
        fresh.push(applied);
      }
      return fresh;
    },
    history,
    state: () => history.at(-1)?.after ?? assert.fail("The log is empty."),
    seq,
    rows,
    close: () => void database.close(),
  };
}

/** As often as a log can be looked at, ms: where a process is to be met in the middle of something. */
export const CLOSELY = 2;

/** Follows the log until something holds of it. */
export async function follow<T>(
  watch: Watch,
  what: string,
  holds: (state: RunState, fresh: readonly Applied[]) => T | undefined | false,
  seconds = 300,
  every = 20,
): Promise<T> {
  return until(
    what,
    () => {
      const fresh = watch.look();
      return watch.history.length > 0 && holds(watch.state(), fresh);
    },
    { seconds, every, context: () => `The run is at ${describe(watch.history.at(-1)?.after)}.` },
  );
}

const describe = (state: RunState | undefined): string =>
  state
    ? `round ${state.round}, ${state.phase}, ${Object.keys(state.members).length} members, heads ${state.heads.length}`
    : "no event yet";

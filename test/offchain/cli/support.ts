/** The command line as a process, temporary directories, and what a directory holds before and after. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, onTestFinished, vi } from "vitest";

import { sha256Bytes } from "../../../offchain/src/base/index.ts";
import { main } from "../../../offchain/src/cli/program.ts";
import { compileCache } from "../../compileCache.ts";

export const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const node = join(root, "node_modules/.bin/node");
const entry = join(root, "offchain/src/cli/main.ts");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Called with all of stderr so far, e.g. to send a signal at some point. */
  readonly onStderr?: (stderr: string, child: ChildProcess) => void;
  readonly onStart?: (child: ChildProcess) => void;
  /** What is piped into it. */
  readonly input?: string;
}

/** Runs `cotrain <args>` as a process of its own until it ends. Whatever COTRAIN_* this process has is not passed on. */
export function cotrain(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("COTRAIN_") && name !== "NO_COLOR");
  const child = spawn(node, ["--conditions=cotrain-source", entry, ...args], {
    cwd: options.cwd ?? root,
    env: { ...Object.fromEntries(inherited), ...compileCache, ...options.environment },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(options.input);
  options.onStart?.(child);
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream]?.on("data", (chunk: Buffer) => {
      output[stream] += chunk.toString();
      if (stream === "stderr") options.onStderr?.(output.stderr, child);
    });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code, ...output }));
  });
}

/** A directory that is gone when `finished` runs its work: after the test, unless said otherwise. */
export function temporaryDirectory(finished: (work: () => void) => void = onTestFinished): string {
  const path = mkdtempSync(join(tmpdir(), "cotrain-cli-"));
  finished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A port that another program listens on. */
export async function takenPort(): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("a listening server has an address");
  return address.port;
}

/**
 * Every file under a directory with the digest of its content, undefined when there is no such directory. Without what may
 * change by being looked at: locks.
 */
export function contentOf(directory: string): Record<string, string> | undefined {
  try {
    statSync(directory);
  } catch {
    return undefined;
  }
  const files = readdirSync(directory, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    files
      .filter((entry) => entry.isFile() && !entry.name.startsWith("lock.sqlite"))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(directory.length), sha256Bytes(readFileSync(path))]),
  );
}

/** What a user reads of a command that failed. */
export interface Verdict {
  readonly code: number | null;
  /** The last line, without the name of who speaks. */
  readonly sentence: string;
  /** Lines that are neither that sentence nor progress nor a daemon's log. */
  readonly otherLines: readonly string[];
  readonly stdout: string;
}

export function verdictOf({ code, stdout, stderr }: Ended): Verdict {
  const lines = stderr.trimEnd().split("\n");
  const said = lines.filter((line) => !line.startsWith("{") && !/^\d+:\d\d {2}/.test(line));
  // A daemon whose log goes to stderr as JSON says it there and nowhere else.
  const logged = lines
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { level: number; msg: string });
  const sentence = said.pop() ?? logged.findLast(({ level }) => level >= 50)?.msg ?? "";
  return { code, sentence: sentence.replace(/^cotrain: /, ""), otherLines: said, stdout };
}

/** The verdict of one sentence and nothing else. A text must be contained, a pattern found. */
export const refusal = (code: number, sentence: string | RegExp): Verdict => ({
  code,
  sentence: typeof sentence === "string" ? expect.stringContaining(sentence) : expect.stringMatching(sentence),
  otherLines: [],
  stdout: "",
});

/** Runs `cotrain <args>` in this process: for what is refused before a daemon begins. */
export async function cotrainHere(args: readonly string[]): Promise<Ended> {
  const output = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((chunk) => {
      output[stream] += chunk.toString();
      return true;
    }),
  );
  try {
    return { code: await main(args), ...output };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/**
 * `npm run interop`: a fresh small run that its holders take back by a round, recomputed by the verifier of this folder, which is
 * written in Python from docs/protocol.md alone. While the run is up it verifies through the coordinator's HTTP; at rest, with the chain
 * alone, it verifies the blobs on the disk, and notices each change of its inputs (`flips.py` says of which). The commit draws where, or
 * `--seed`, which is printed.
 *
 *     npm run interop                   where Python or its packages are missing it says "not run: why" and ends with 0
 *     npm run interop -- --required     there it fails
 *     npm run interop -- --state DIR    verifies the run at rest in DIR instead, as far as its payloads are kept;
 *                                       with --complete nothing may be missing
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { layout, openLocalRun, withChain } from "../../offchain/src/run/index.ts";
import { readRunFile } from "../../offchain/src/service/index.ts";
import { commitOf } from "../commit.ts";
import { cacheOf, NoPython, openEnvironment } from "../pythonEnvironment.ts";
import { readingCases } from "./reading.ts";
import { screeningCases } from "./screenings.ts";
import { variantCases } from "./variants.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const folder = join(root, "test/interop");
const main = join(root, "offchain/src/cli/main.ts");
/** The whole session, its training of half a minute included. */
const LIMIT_MS = 600_000;
/** Exit code of a command that may succeed later. */
const TRY_AGAIN = 75;

/** Runs the verifier; its lines go through. */
function verifier(python: string, args: readonly string[]): Promise<boolean> {
  process.stdout.write(`interop: ${args.join(" ")}\n`);
  return new Promise((done, fail) => {
    const child = spawn(python, ["-m", "cotrain_interop", ...args], {
      cwd: folder,
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.once("error", fail);
    child.once("close", (code) => done(code === 0));
  });
}

const small = ["--preset", "0.1m", "--workers", "2", "--keep-payloads", "1d", "--keep-checkpoints", "100000"];
const up = (state: string, seconds: number, ...more: readonly string[]): string[] => [
  "up",
  "--state",
  state,
  "--for",
  `${seconds}s`,
  ...small,
  ...more,
];

interface Told {
  readonly child: ChildProcess;
  /** Its last lines of standard error. */
  readonly lines: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string }>;
}

/** A command of the product. */
function cotrain(args: readonly string[]): Told {
  const child = spawn(process.execPath, ["--conditions=cotrain-source", main, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-8_192);
  });
  const ended = new Promise<{ code: number | null; stdout: string }>((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code, stdout }));
  });
  ended.catch(() => undefined);
  return { child, lines: () => stderr, ended };
}

/** What a command tells that ends well. @param again whether it may say that it is too early; then undefined */
async function documentOf<T>(args: readonly string[], again = false): Promise<T | undefined> {
  const { lines, ended } = cotrain([...args, "--json"]);
  const { code, stdout } = await ended;
  if (code === TRY_AGAIN && again) return undefined;
  if (code !== 0) throw new Error(`cotrain ${args.slice(0, 2).join(" ")} ended with ${code}: ${lines()}`);
  return JSON.parse(stdout) as T;
}

/** Waits until a session that stays up has written its summary; what it tells is shown where it fails. */
async function summarised(state: string, { child, lines, ended }: Told): Promise<ChildProcess> {
  const summary = async (): Promise<void> => {
    for (const end = Date.now() + LIMIT_MS; !existsSync(layout(state).summary); await sleep(200))
      if (Date.now() > end) throw new Error("cotrain up wrote no summary in time");
  };
  const early = ended.then(({ code }) => {
    throw new Error(`cotrain up ended with ${code} before its summary`);
  });
  early.catch(() => undefined);
  try {
    await Promise.race([summary(), early]);
  } catch (error) {
    process.stderr.write(lines());
    await end(child);
    throw error;
  }
  return child;
}

/** The holders decide that the run goes back behind its newest round, and it is carried out. */
async function takeBack(state: string): Promise<void> {
  const at = ["--state", state];
  const heads = await documentOf<{ readonly round: number }[]>(["checkpoint", "list", ...at]);
  const round = String((heads?.at(-1)?.round ?? 0) - 1);
  process.stdout.write(`interop: it is taken back to checkpoint ${round}\n`);
  const proposed = await documentOf<{ readonly proposal: { readonly proposalId: string } }>([
    "checkpoint",
    "rollback",
    round,
    "--vote",
    ...at,
  ]);
  const { proposalId = "" } = proposed?.proposal ?? {};
  for (const end = Date.now() + LIMIT_MS; Date.now() < end;) {
    const done = await documentOf<{ readonly state: string }>(["proposals", "execute", proposalId, ...at], true);
    if (done?.state === "executed") return;
  }
  throw new Error("the rollback was not carried out in time");
}

/** Starts `cotrain up`, has its newest round taken back, and goes on until the summary of the session after that. */
async function trainRun(state: string): Promise<ChildProcess> {
  process.stdout.write("interop: a run of half a minute, in two sessions\n");
  await documentOf(up(state, 20, "--exit"));
  await takeBack(state);
  rmSync(layout(state).summary);
  return summarised(state, cotrain(up(state, 15, "--json")));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((done) => child.once("exit", done));
  child.kill("SIGINT");
  await Promise.race([exited, sleep(60_000)]);
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
}

/** Verifies a run that is up, through the coordinator alone. */
async function verifyLive(python: string, state: string): Promise<boolean> {
  const file = await readRunFile(state);
  const [rpc = "", coordinator = ""] = [file?.chain.rpcUrl, file?.urls["coordinator"]];
  const where = ["--rpc", rpc, "--blobs", coordinator, "--deployment", layout(state).deployment];
  return verifier(python, ["verify", "--complete", ...where, "--run", file?.runId ?? ""]);
}

/** Verifies a run at rest: its chain is started for that, its blobs are files. */
async function verifyAtRest(
  python: string,
  state: string,
  {
    complete,
    flips,
  }: {
    /** Nothing may be missing. */ complete: boolean;
    /** The seed of changes, of which none may be overlooked. */ flips?: string;
  },
): Promise<boolean> {
  const run = await openLocalRun(state);
  return withChain(run, async ({ url }) => {
    const where = ["--rpc", url, "--blobs", layout(run.state).blobs, "--deployment", layout(run.state).deployment];
    const those = [...where, "--run", run.runId];
    const sound = await verifier(python, ["verify", ...(complete ? ["--complete"] : []), ...those]);
    return sound && (flips === undefined || (await verifier(python, ["flips", "--seed", flips, ...those])));
  });
}

/** Whether the verifier reads a page on which a field is one of several objects. */
async function verifyVariants(python: string): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-variants-"));
  try {
    const [page, cases] = [join(directory, "protocol.md"), join(directory, "cases.json")];
    const made = variantCases();
    writeFileSync(page, made.page);
    writeFileSync(cases, made.cases);
    return await verifier(python, ["--protocol", page, "documents", "--cases", cases]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the product said of cases, said again: of hostile rounds that it judged, or of what it reads. */
async function verifyCases(python: string, command: "screenings" | "reading", made: string): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), `cotrain-${command}-`));
  try {
    const cases = join(directory, "cases.json");
    writeFileSync(cases, made);
    return await verifier(python, [command, "--cases", cases]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function run(python: string, named: string | undefined, complete: boolean, seed: string): Promise<boolean> {
  if (!(await verifier(python, ["vectors"])) || !(await verifyVariants(python))) return false;
  if (!(await verifyCases(python, "screenings", await screeningCases()))) return false;
  if (!(await verifyCases(python, "reading", await readingCases()))) return false;
  if (named !== undefined) return verifyAtRest(python, named, { complete });
  const directory = mkdtempSync(join(tmpdir(), "cotrain-interop-"));
  const state = join(directory, "state");
  try {
    const up = await trainRun(state);
    let sound = false;
    try {
      sound = await verifyLive(python, state);
    } finally {
      await end(up);
    }
    return sound && (await verifyAtRest(python, state, { complete: true, flips: seed }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    required: { type: "boolean", default: false },
    state: { type: "string" },
    complete: { type: "boolean", default: false },
    seed: { type: "string", default: commitOf() },
  },
});
try {
  const python = openEnvironment(join(folder, "requirements.txt"), cacheOf("interop"));
  const sound = await run(python, values.state, values.complete, values.seed);
  process.stdout.write(sound ? "interop: the second implementation agrees\n" : "interop: FAILED\n");
  process.exitCode = sound ? 0 : 1;
} catch (error) {
  if (!(error instanceof NoPython)) throw error;
  process.stdout.write(`interop: not run: ${error.message}\n`);
  process.exitCode = values.required ? 1 : 0;
}

/**
 * The real run, as a newcomer starts it: `cotrain up` with chain, coordinator, three validators and three workers as
 * processes of their own, watched from outside through the coordinator's API, the workers' logs and /proc.
 *
 * Alone: node --conditions=cotrain-source --max-semi-space-size=2 test/bench/realRun.ts [seconds] [preset] [inner steps]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { asRunId, createCoordinatorClient, type RunView } from "@cotrain/sdk/protocol";

import Sqlite from "better-sqlite3";

import { RetryableError } from "../../offchain/src/base/index.ts";
import { presetOf, type PresetName } from "../../offchain/src/engine/index.ts";
import { readRunFile } from "../../offchain/src/service/index.ts";
import type { RoundTimes } from "../../offchain/src/worker/index.ts";
import { benchmarkStep, type StepBenchmark } from "./engine.ts";
import { enginesAlone } from "./enginesAlone.ts";
import { residentOf, treeOf } from "./processTree.ts";
import { type BenchOptions, mebibytes, percent, type Row, whole } from "./report.ts";

/** What is run, for so many seconds (several rounds), and the share of its workers' engines alone that is the goal. */
interface Subject {
  readonly preset: PresetName;
  readonly goal: number;
  readonly seconds: number;
  /** Of a round; if left out the preset's, so few that somebody who watches sees rounds end. */
  readonly innerSteps?: number;
}

const usual: readonly Subject[] = [
  { preset: "1m", goal: 0.95, seconds: 180 },
  { preset: "20m", goal: 0.85, seconds: 300 },
];
/** As many steps as runs of days have (DiLoCo's paper: 500), or as many as minutes hold. */
const long: readonly Subject[] = [
  { preset: "1m", goal: 0.95, seconds: 360, innerSteps: 480 },
  { preset: "20m", goal: 0.85, seconds: 800, innerSteps: 192 },
];
const main = fileURLToPath(new URL("../../offchain/src/cli/main.ts", import.meta.url));
const POLL_MS = 500;
/** As `cotrain up` starts them by default, each with one thread. */
const WORKERS = 3;

interface Sample {
  /** Ms since 1970. */
  readonly at: number;
  readonly view: RunView;
  /** Processor seconds since its start by process, named after its role. */
  readonly cpu: ReadonlyMap<string, number>;
  /** Resident bytes now, by role. */
  readonly memory: ReadonlyMap<string, number>;
}

type HeldOut = NonNullable<RunView["loss"]["heldOut"]>;

interface RealRun {
  /** From the first round's opening to the end of the last round. */
  readonly seconds: number;
  readonly rounds: number;
  /** Of accepted receipts. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Processor seconds in that time, by role. */
  readonly cpu: ReadonlyMap<string, number>;
  /** Resident bytes of a role's processes together, at the moment when they were most. */
  readonly memory: ReadonlyMap<string, number>;
  /** Of checkpoint 0, and of the newest checkpoint there was when the time asked for was over. */
  readonly heldOut: { readonly first: HeldOut; readonly last: HeldOut } | undefined;
  /** What synchronous data parallelism would have moved over what was moved, both ways. */
  readonly trafficRatio: number;
  /** Mean of the workers' rounds, ms. */
  readonly times: RoundTimes;
  /** What the loss gate takes of a round, from when all is reduced to when it stands: the median over rounds. */
  readonly gate: number;
}

function roleOf(command: string, parent: string): string {
  if (command.includes("anvil")) return "chain";
  // The engines run in processes of their own: a worker's trains, a validator's measures.
  if (command.includes("engine/runtime/node/host/process"))
    return parent.includes("main.ts validator") ? "held-out loss (lowest priority)" : roleOf(parent, "");
  const role = /main\.ts (coordinator|validator|worker|up)/.exec(command)?.[1];
  return role === "up" || role === undefined ? "supervisor and owners" : `${role}${role === "coordinator" ? "" : "s"}`;
}

/** Processor seconds and resident bytes of the processes below one, by role. */
function usedByRole(root: number): Pick<Sample, "cpu" | "memory"> {
  const cpu = new Map<string, number>();
  const memory = new Map<string, number>();
  const tree = treeOf(root);
  const commands = new Map(tree.map(({ pid, command }) => [pid, command]));
  for (const { pid, command, parent, cpuSeconds } of tree) {
    const role = roleOf(command, commands.get(parent) ?? "");
    cpu.set(role, (cpu.get(role) ?? 0) + cpuSeconds);
    memory.set(role, (memory.get(role) ?? 0) + residentOf(pid).now);
  }
  return { cpu, memory };
}

/** Of each role the most that it had at one time. */
function fullest(samples: readonly Sample[]): Map<string, number> {
  const most = new Map<string, number>();
  for (const { memory } of samples)
    for (const [role, bytes] of memory) most.set(role, Math.max(bytes, most.get(role) ?? 0));
  return most;
}

/** Samples until the process ends. */
async function watch(state: string, pid: number, ended: AbortSignal): Promise<Sample[]> {
  const samples: Sample[] = [];
  let client: ReturnType<typeof createCoordinatorClient> | undefined;
  let runId: ReturnType<typeof asRunId> | undefined;
  while (!ended.aborted) {
    await sleep(POLL_MS);
    try {
      if (!client || !runId) {
        const file = await readRunFile(state);
        if (!file?.runId || !file.urls["coordinator"]) continue;
        client = createCoordinatorClient(file.urls["coordinator"]);
        runId = asRunId(file.runId);
      }
      samples.push({ view: await client.run(runId), at: Date.now(), ...usedByRole(pid) });
    } catch {
      // Not there yet, or gone.
    }
  }
  return samples;
}

/** The workers' own accounts of their rounds, from their logs. */
async function roundTimes(state: string, workers: number): Promise<RoundTimes> {
  const all: RoundTimes[] = [];
  for (let n = 1; n <= workers; n++) {
    const log = await readFile(join(state, "logs", `worker-${n}.log`), "utf8");
    for (const line of log.split("\n").filter((text) => text.includes('"times"')))
      all.push((JSON.parse(line) as { times: RoundTimes }).times);
  }
  const mean = (key: keyof RoundTimes): number => all.reduce((sum, times) => sum + times[key], 0) / all.length;
  return {
    wait: mean("wait"),
    prepare: mean("prepare"),
    train: mean("train"),
    send: mean("send"),
    submit: mean("submit"),
  };
}

/** Of the coordinator's log: the gate's time over the time from one checkpoint to the next. */
function gateShare(state: string): number {
  const log = new Sqlite(join(state, "coordinator", "coordinator.sqlite"), { readonly: true });
  const rows = log.prepare("select type, at from events order by seq").all() as { type: string; at: number }[];
  log.close();
  const shares: number[] = [];
  let [stored, reduced, gated] = [0, 0, 0];
  for (const { type, at } of rows) {
    if (type === "SyncReduced") reduced = at;
    if (type === "RoundGated") gated = at;
    if (type !== "CheckpointStored") continue;
    if (stored > 0) shares.push((gated - reduced) / (at - stored));
    stored = at;
  }
  return shares.toSorted((a, b) => a - b)[Math.floor(shares.length / 2)] ?? Number.NaN;
}

function evaluate(samples: readonly Sample[], seconds: number, times: RoundTimes, gate: number): RealRun {
  const first = samples.find(({ view }) => view.current !== null);
  const newest = samples.at(-1);
  const last = samples.find(({ view }) => view.tokens === newest?.view.tokens);
  if (!first?.view.current || !last || last.view.round === 0)
    throw new RetryableError("NO_ROUND", "The run ended before its first round did.");
  const startedAt = first.view.current.openedAt;
  const elapsed = (last.at - startedAt) / 1_000;
  const tokens = Number(last.view.tokens);
  const cpu = new Map([...last.cpu].map(([role, used]) => [role, used - (first.cpu.get(role) ?? 0)]));

  const losses = samples.flatMap(({ view }) => view.loss.heldOut ?? []);
  const atEnd = samples.findLast(({ at }) => at <= startedAt + seconds * 1_000) ?? last;
  const measured = losses.findLast(({ round }) => round <= atEnd.view.checkpoint.round);
  const initial = newest?.view.loss.heldOutFirst;
  const { up, down, synchronous } = last.view.traffic;
  return {
    seconds: elapsed,
    rounds: last.view.round,
    tokens,
    tokensPerSecond: tokens / elapsed,
    cpu,
    memory: fullest(samples),
    heldOut: measured && initial ? { first: initial, last: measured } : undefined,
    trafficRatio: synchronous / (up + down),
    times,
    gate,
  };
}

/** Runs `cotrain up` in a state of its own for so many seconds of training. */
async function realRun(preset: PresetName, seconds: number, innerSteps?: number): Promise<RealRun> {
  const directory = await mkdtemp(join(tmpdir(), "cotrain-bench-"));
  const state = join(directory, "state");
  const args = ["up", "--preset", preset, "--for", `${seconds}s`, "--exit", "--state", state];
  if (innerSteps !== undefined) args.push("--inner-steps", String(innerSteps));
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const stop = (): void => void child.kill("SIGTERM");
  process.once("exit", stop);
  let words = "";
  child.stderr.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2_000)));
  const ended = new AbortController();
  const exit = once(child, "exit").finally(() => ended.abort());
  try {
    const samples = await watch(state, child.pid ?? 0, ended.signal);
    const [code] = (await exit) as [number | null];
    if (code !== 0) throw new RetryableError("RUN_FAILED", `cotrain up ended with ${code}: ${words}`);
    return evaluate(samples, seconds, await roundTimes(state, WORKERS), gateShare(state));
  } finally {
    process.off("exit", stop);
    await rm(directory, { recursive: true, force: true });
  }
}

export const benchmarkRealRun = (options: BenchOptions): Promise<Row[]> => measure(usual, options);

/** With rounds so long that what a round costs beside training weighs little. */
export const benchmarkLongRounds = (options: BenchOptions): Promise<Row[]> => measure(long, options);

/** The real run between measurements of engines alone, for each subject. */
async function measure(subjects: readonly Subject[], { quick, note }: BenchOptions): Promise<Row[]> {
  const alone = quick ? 4 : 15;
  const rows: Row[] = [];
  for (const { preset, goal, seconds: full, innerSteps } of quick ? subjects.slice(0, 1) : subjects) {
    const seconds = quick ? 30 : full;
    note(`engines of ${preset} alone, then the real run for ${seconds} s, then one engine again`);
    const workers = await enginesAlone(preset, WORKERS, alone);
    const before = await benchmarkStep(preset, 2, alone);
    const run = await realRun(preset, seconds, innerSteps);
    const after = await benchmarkStep(preset, 2, alone);
    const name = innerSteps === undefined ? preset : `${preset}, ${innerSteps} steps a round`;
    rows.push(
      ...speedRows({ preset, name, goal, run, workers, before, after }),
      ...learningRows({ preset, name, run, seconds }),
    );
  }
  return rows;
}

interface Compared {
  readonly preset: PresetName;
  readonly name: string;
  readonly goal: number;
  readonly run: RealRun;
  /** Tokens per second of the workers' engines alone, together. */
  readonly workers: number;
  readonly before: StepBenchmark;
  readonly after: StepBenchmark;
}

/** The engine's better measurement counts: a neighbour on the machine only ever makes it slower. */
function speedRows({ preset, name, goal, run, workers, before, after }: Compared): Row[] {
  const alone = Math.max(before.tokensPerSecond, after.tokensPerSecond);
  const { microBatch, model } = presetOf(preset);
  const cpuMilliseconds = Math.min(before.cpuMillisecondsPerStep, after.cpuMillisecondsPerStep);
  const aloneByCpu = (microBatch * model.sequence * 1_000) / cpuMilliseconds;
  const used = [...run.cpu.values()].reduce((sum, seconds) => sum + seconds, 0);
  const share = run.tokensPerSecond / workers;
  const cpu = [...run.cpu].sort(([, a], [, b]) => b - a).map(([role, seconds]) => `${role} ${percent(seconds / used)}`);
  const memory = [...run.memory].sort(([, a], [, b]) => b - a).map(([role, bytes]) => `${role} ${mebibytes(bytes)}`);
  const { wait, prepare, train, send, submit } = run.times;
  return [
    {
      what: `real run (${name}, ${WORKERS} workers of 1 thread, HTTP, chain, validators) over the same engines alone, side by side`,
      goal: `≥ ${percent(goal)}`,
      result: `${percent(share)}: ${whole(run.tokensPerSecond)} of ${whole(workers)} tokens/s`,
      met: share >= goal,
    },
    {
      what: `${name}: real run over one engine alone with 2 threads`,
      result: `${percent(run.tokensPerSecond / alone)}: of ${whole(alone)} tokens/s (before ${whole(before.tokensPerSecond)}, after ${whole(after.tokensPerSecond)})`,
    },
    {
      what: `${name}: real run over one engine per second of processor time, which neighbours on the machine disturb less`,
      result: `${percent(run.tokens / used / aloneByCpu)}: ${whole(run.tokens / used)} of ${whole(aloneByCpu)} tokens; ${used.toFixed(0)} processor seconds in ${run.seconds.toFixed(0)} s`,
    },
    { what: `${name}: where the run's processor time goes`, result: cpu.join(", ") },
    { what: `${name}: resident memory at its fullest, all processes of a role`, result: memory.join(", ") },
    {
      what: `${name}: a worker's round, mean`,
      result: `wait ${whole(wait)}, prepare ${whole(prepare)}, train ${whole(train)}, send ${whole(send)}, submit ${whole(submit)} ms`,
    },
    {
      what: `${name}: the loss gate's share of a round, median`,
      goal: "≤ 3%",
      ...(Number.isNaN(run.gate)
        ? { result: "no round was over while it was watched" }
        : { result: `${(run.gate * 100).toFixed(1)}%`, met: run.gate <= 0.03 }),
    },
  ];
}

interface Learned {
  readonly preset: PresetName;
  readonly name: string;
  readonly run: RealRun;
  /** Asked for. */
  readonly seconds: number;
}

function learningRows({ preset, name, run, seconds }: Learned): Row[] {
  const { heldOut } = run;
  const { sequence } = presetOf(preset).model;
  const bits = ({ microBitsPerByte, sequences }: HeldOut): string =>
    `${(microBitsPerByte / 1e6).toFixed(3)} on ${sequences === null ? "?" : whole(sequences * sequence)} tokens`;
  return [
    {
      what: `${name}: held-out bits/byte after ${seconds} s of training`,
      ...(name === "1m" ? { goal: "< 2.3 after 180 s" } : {}),
      result: heldOut
        ? `${bits(heldOut.last)} (checkpoint of round ${heldOut.last.round}; at the start ${bits(heldOut.first)})`
        : "not measured",
      ...(name === "1m" && seconds >= 180 && heldOut ? { met: heldOut.last.microBitsPerByte < 2_300_000 } : {}),
    },
    {
      what: `${name}: whole session`,
      result: `${run.rounds} rounds, ${whole(run.tokens)} tokens in ${run.seconds.toFixed(0)} s; ${run.trafficRatio.toFixed(0)}× less traffic than synchronous data parallelism`,
    },
  ];
}

if (import.meta.main) {
  const run = await realRun(
    (process.argv[3] ?? "1m") as PresetName,
    Number(process.argv[2] ?? 60),
    process.argv[4] === undefined ? undefined : Number(process.argv[4]),
  );
  process.stdout.write(
    `${JSON.stringify({ ...run, cpu: Object.fromEntries(run.cpu), memory: Object.fromEntries(run.memory) }, null, 2)}\n`,
  );
}

/**
 * A model that is too large for every change: real steps of 150m on this machine's processor, and one whole round of real
 * processes, with the memory that each of them takes. Two items, of which each ends well within an hour, on a busy machine too: a
 * micro-batch of one sequence, four steps and a build for the processor alone.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { CoordinatorError } from "@cotrain/sdk/errors";

import { parseTokenizer } from "../../offchain/src/data/index.ts";
import { trainBrownTokenizer } from "../../offchain/src/data/node/index.ts";
import {
  buildPrograms,
  initialParameters,
  parameterCount,
  type PresetName,
  presetOf,
} from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { validatorProcess, workerProcess } from "../../offchain/src/localnet/processes.ts";
import { layout } from "../../offchain/src/run/index.ts";
import { ensureWallet } from "../../offchain/src/run/wallets.ts";
import { tokensOf } from "../bench/engine.ts";
import { openLightRun } from "../bench/lightRun.ts";
import { residentOf, treeOf } from "../bench/processTree.ts";

const main = fileURLToPath(new URL("../../offchain/src/cli/main.ts", import.meta.url));
/** What an item may take, from its beginning. */
const MINUTES = 40;
/** Inner steps of a round, and of those that are taken alone. */
const STEPS = 4;
/** The value of a verdict that a head's aggregate is right, 0 where it is not. */
const HOLDS = 10_000n;

/** What a process is called here: the command that it runs, or that it computes for one. */
function nameOf(command: string): string {
  if (/host\/process\.[jt]s/.test(command)) return "engine";
  return /main\.ts (\w+)/.exec(command)?.[1] ?? (command.includes("anvil") ? "chain" : "organiser");
}

/** Notes the fullest that each process below this one was, until told to stop. */
function watchMemory(): { readonly stop: () => ReadonlyMap<string, number> } {
  const names = new Map<number, string>();
  const peaks = new Map<number, number>();
  const look = (): void => {
    for (const { pid, parent, command } of treeOf(process.pid)) {
      const own = nameOf(command);
      names.set(pid, own === "engine" ? `${names.get(parent) ?? nameOf("")}'s engine` : own);
      try {
        peaks.set(pid, Math.max(peaks.get(pid) ?? 0, residentOf(pid).peak));
      } catch {
        // It has ended.
      }
    }
  };
  const timer = setInterval(look, 500);
  return {
    stop: () => {
      clearInterval(timer);
      const most = new Map<string, number>();
      for (const [pid, peak] of peaks) most.set(names.get(pid)!, Math.max(most.get(names.get(pid)!) ?? 0, peak));
      return most;
    },
  };
}

const NEEDS_LINUX = "memory is read out of /proc: run it on Linux";

const told = (name: string, bytes: number, parameters: number): string =>
  `     ${name}: ${Math.round(bytes / 2 ** 20)} MiB at its fullest, ${(bytes / parameters).toFixed(1)} bytes a parameter\n`;

/** Steps on the same sequence, which is learned: each has less of a loss than the one before. */
export async function largeSteps(preset: PresetName): Promise<string | undefined> {
  if (process.platform !== "linux") return NEEDS_LINUX;
  const { model } = presetOf(preset);
  const signal = AbortSignal.timeout(MINUTES * 60_000);
  const { step } = buildPrograms(model, { microBatch: 1 });
  const engine = await devices.cpu.open({ programs: { step: step.bytes }, threads: 2, signal });
  try {
    await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
    const before = await engine.stateDigest();
    const losses: number[] = [];
    for (let i = 0; i < STEPS; i++)
      losses.push((await engine.step({ tokens: tokensOf(preset, 1), learningRate: 1e-5 })).loss);
    if (!losses.every((loss, i) => Number.isFinite(loss) && (i === 0 || loss < losses[i - 1]!)))
      return `the losses of steps on one sequence were ${losses.join(", ")}`;
    if ((await engine.stateDigest()) === before) return "the steps changed no parameter";
    if (engine.pid !== undefined)
      process.stdout.write(told("the engine", residentOf(engine.pid).peak, parameterCount(model)));
    return undefined;
  } finally {
    await engine.close();
  }
}

export async function oneLargeRound(preset: PresetName): Promise<string | undefined> {
  if (process.platform !== "linux") return NEEDS_LINUX;
  const end = Date.now() + MINUTES * 60_000;
  const { model } = presetOf(preset);
  const memory = watchMemory();
  const tokenizer = parseTokenizer(Buffer.from(await trainBrownTokenizer(model.vocabulary)));
  await using run = await openLightRun(preset, 1, { tokenizer, microBatch: 1, here: [devices.cpu] });
  const { state, url: coordinator } = run;
  const shared = (role: string) => ({ state, role, coordinator, blobs: layout(join(state, role)).blobs });
  await ensureWallet(state, "worker-1", true);
  await run.supervisor.startGroup([
    workerProcess(main, { ...shared("worker-1"), threads: 2 }),
    validatorProcess(main, { ...shared("validator-1"), loss: false }),
  ]);
  let loss: number | null = null;
  for (;;) {
    try {
      loss = (await run.coordinator.run(run.runId)).loss.train ?? loss;
      // A verdict is about a checkpoint that was made and anchored; this validator measures no losses.
      const { verdicts } = await run.coordinator.verdicts(run.runId);
      const against = verdicts.find(({ verdict }) => BigInt(verdict.value) !== HOLDS);
      if (against) return `a verdict about the aggregate is ${against.verdict.value}, not ${HOLDS}`;
      if (verdicts.length > 0) break;
    } catch (error) {
      // Beside so large a model an answer may come late.
      if (!(error instanceof CoordinatorError && error.retryable)) throw error;
    }
    if (Date.now() > end) return `no checkpoint and verdict within ${MINUTES} minutes`;
    await sleep(1_000);
  }
  if (loss === null || !Number.isFinite(loss)) return `the loss of training was ${loss}`;
  const parameters = parameterCount(model);
  for (const [name, bytes] of memory.stop()) process.stdout.write(told(name, bytes, parameters));
  return undefined;
}

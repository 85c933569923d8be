/**
 * The engines of a run's workers without the run: as many processes of one thread, side by side, that take steps and nothing else.
 * What they do together is what the machine gives a run's workers at most.
 *
 * Alone: node --conditions=cotrain-source test/bench/enginesAlone.ts PRESET SECONDS (one engine's tokens/s)
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { PresetName } from "../../offchain/src/engine/index.ts";
import { benchmarkStep } from "./engine.ts";

/** Tokens per second of all together. */
export async function enginesAlone(preset: PresetName, workers: number, seconds: number): Promise<number> {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), preset, String(seconds)];
  const engines = Array.from({ length: workers }, () => promisify(execFile)(process.execPath, args));
  return (await Promise.all(engines)).reduce((sum, { stdout }) => sum + Number(stdout), 0);
}

if (import.meta.main) {
  const [preset, seconds] = process.argv.slice(2);
  const { tokensPerSecond } = await benchmarkStep(preset as PresetName, 1, Number(seconds));
  process.stdout.write(`${tokensPerSecond}\n`);
}

/**
 * Losses beside the CPU's: of each device over 200 steps, of rounds in which devices of all kinds train together, and with each
 * schedule of learning rates. What they are does not depend on who else computes. Where there is no GPU, SwiftShader stands in for one.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import { type DeviceName, learningRateAt } from "../../offchain/src/engine/index.ts";
import { type RecipeRequest, recipeOf } from "../../offchain/src/run/index.ts";
import { apart, heldOutLosses, lossesOn, STEPS } from "../e2e/deviceLosses.ts";
import { swiftShader } from "../swiftShader.ts";
import type { BenchOptions, Row } from "./report.ts";

/** Fewer by WebGPU: in software a step takes a hundred times as long. */
const SEEDS = { wasm: ["1", "2", "3", "4", "5"], webgpu: ["1", "2"] } as const;
const LAYERS = 2;
/** Steps at the end whose losses' mean is told. */
const LAST = 32;
/** Of the schedules: what the other sections train with at one rate. */
const PEAK = 3e-3;
const schedules = ["constant", "cosine", "wsd"] as const satisfies readonly RecipeRequest["schedule"][];

const small = (value: number): string => value.toExponential(1);
const nats = (value = Number.NaN): string => value.toFixed(3);
const endOf = (losses: readonly number[]): string =>
  nats(losses.slice(-LAST).reduce((sum, loss) => sum + loss, 0) / LAST);

async function beside(name: DeviceName, seeds: readonly string[]): Promise<Row> {
  const found: string[] = [];
  for (const seed of seeds) {
    const [due, own] = await Promise.all(
      (["cpu", name] as const).map((each) => lossesOn(each, { layers: LAYERS, seed })),
    );
    found.push(small(apart(due!, own!)));
  }
  return {
    what: `${STEPS} steps on ${name}: the most that a loss is off the CPU's, by seed`,
    result: found.join(", "),
  };
}

async function mixed(third: DeviceName): Promise<Row> {
  const [due, found] = [await heldOutLosses(["cpu", "cpu", "cpu"]), await heldOutLosses(["cpu", "wasm", third])];
  return {
    what: `held-out loss of rounds of cpu, wasm and ${third} beside those of three CPUs, nats per token`,
    result: `${nats(found[0])} at the start, ${nats(found.at(-1))} at the end (CPUs alone ${nats(due.at(-1))}); ${small(apart(due, found))} off at the most, after any round`,
  };
}

async function scheduled(seed: string): Promise<Row> {
  const found: string[] = [];
  for (const kind of schedules) {
    const asked = kind === "constant" ? {} : { totalSteps: STEPS };
    const { schedule } = recipeOf("0.1m", { schedule: kind, warmupSteps: STEPS / 10, ...asked });
    const rates = Array.from({ length: STEPS }, (_, step) =>
      learningRateAt(schedule, PEAK, { globalStep: step, optimizerStep: step }),
    );
    found.push(`${kind} ${endOf(await lossesOn("cpu", { layers: LAYERS, seed, rates }))}`);
  }
  return {
    what: `mean loss of the last ${LAST} of ${STEPS} steps by schedule, seed ${seed}`,
    result: found.join(", "),
  };
}

export async function benchmarkLosses({ quick, note }: BenchOptions): Promise<Row[]> {
  // A driver that is installed goes first.
  for (const [name, value] of Object.entries(swiftShader() ?? {})) process.env[name] ??= value;
  const seedsOf = (name: keyof typeof SEEDS): readonly string[] => SEEDS[name].slice(0, quick ? 1 : undefined);
  const rows: Row[] = [];
  let third: DeviceName = "wasm";
  for (const name of ["wasm", "webgpu"] as const) {
    note(`losses on ${name} beside the CPU's`);
    try {
      rows.push(await beside(name, seedsOf(name)));
      third = name;
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      rows.push({ what: `losses on ${name} beside the CPU's`, result: error.message });
    }
  }
  note("held-out losses of mixed rounds, and schedules");
  rows.push(await mixed(third));
  for (const seed of seedsOf("wasm")) rows.push(await scheduled(seed));
  return rows;
}

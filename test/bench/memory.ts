/**
 * Memory of the coordinator's process with 2 and with 16 members, all uploading at once. What would grow with workers ×
 * model is 14 more payloads held at a time; the difference is set against that.
 *
 * Alone: node --conditions=cotrain-source --max-semi-space-size=2 test/bench/memory.ts [preset] [rounds] [workers …]
 */
import { defaultRunParams } from "@cotrain/sdk/protocol";

import { lightMember, openLightRun, randomPayloads } from "./lightRun.ts";
import { residentOf, resetPeak } from "./processTree.ts";
import { type BenchOptions, mebibytes, percent, type Row } from "./report.ts";

const [FEW, MANY] = [2, 16];

interface CoordinatorMemory {
  readonly workers: number;
  /** Resident bytes before anybody joined, and at most during the rounds. */
  readonly idle: number;
  readonly peak: number;
  /** Bytes of one worker's payload. */
  readonly payload: number;
}

async function coordinatorMemory(preset: string, workers: number, rounds: number): Promise<CoordinatorMemory> {
  await using run = await openLightRun(preset, workers);
  const payloads = randomPayloads(run.layouts, defaultRunParams.codec);
  resetPeak(run.pid);
  const idle = residentOf(run.pid).now;
  await Promise.all(Array.from({ length: workers }, (_, index) => lightMember(run, payloads, index, rounds)));
  // The last round is reduced after its last receipt.
  while ((await run.coordinator.run(run.runId)).checkpoint.round < rounds)
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
  const { peak } = residentOf(run.pid);
  return { workers, idle, peak, payload: payloads.reduce((sum, { length }) => sum + length, 0) };
}

export async function benchmarkMemory({ quick, note }: BenchOptions): Promise<Row[]> {
  if (process.platform !== "linux") return [{ what: "coordinator memory", result: "measured on Linux alone" }];
  const [preset, rounds] = quick ? ["3.5m", 3] : ["20m", 6];
  note(`the coordinator's memory with ${FEW} and ${MANY} members that upload payloads of the ${preset} preset`);
  // The collector's mood moves the peak by tens of MiB: several coordinators each, in turns.
  const few: CoordinatorMemory[] = [];
  const many: CoordinatorMemory[] = [];
  for (let turn = 0; turn < (quick ? 1 : 3); turn++) {
    few.push(await coordinatorMemory(preset, FEW, rounds));
    many.push(await coordinatorMemory(preset, MANY, rounds));
  }
  const mean = (runs: readonly CoordinatorMemory[], key: "idle" | "peak"): number =>
    runs.reduce((sum, run) => sum + run[key], 0) / runs.length;
  const peaks = (runs: readonly CoordinatorMemory[]): string => runs.map(({ peak }) => mebibytes(peak)).join(", ");
  const more = mean(many, "peak") - mean(few, "peak");
  const payloads = (MANY - FEW) * (few[0]?.payload ?? 0);
  return [
    {
      what: `coordinator's resident memory, ${preset} preset, ${rounds} rounds: ${FEW} and ${MANY} workers`,
      goal: "does not grow with workers × model",
      result:
        `at most ${peaks(few)} and ${peaks(many)} (${mebibytes(mean(few, "idle"))} at rest): on average ${mebibytes(more)} more, ` +
        `${percent(more / payloads)} of ${MANY - FEW} payloads (${mebibytes(payloads)})`,
      met: more < payloads / 4,
    },
  ];
}

if (import.meta.main) {
  const [preset = "20m", rounds = "6", ...counts] = process.argv.slice(2);
  for (const workers of counts.length > 0 ? counts.map(Number) : [FEW, MANY])
    process.stdout.write(`${JSON.stringify(await coordinatorMemory(preset, workers, Number(rounds)))}\n`);
}

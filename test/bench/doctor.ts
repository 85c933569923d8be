/** How long `cotrain doctor` takes, as a process of its own with all that it measures. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import type { BenchOptions, Row } from "./report.ts";

const main = fileURLToPath(new URL("../../offchain/src/cli/main.ts", import.meta.url));
/** What the issue allows. */
const GOAL_SECONDS = 60;

export async function benchmarkDoctor({ note }: BenchOptions): Promise<Row[]> {
  note("cotrain doctor");
  const startedAt = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=cotrain-source", main, "doctor", "--json"],
    { encoding: "utf8" },
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const what = "cotrain doctor, all devices of this machine: seconds";
  if (status !== 0) return [{ what, result: `not run: ${stderr.trim().split("\n").at(-1)}` }];
  const { devices } = JSON.parse(stdout) as { devices: { name: string; tokensPerSecond: number | null }[] };
  const told = devices.map(({ name, tokensPerSecond }) => `${name} ${tokensPerSecond ?? "not there"}`);
  return [
    {
      what,
      goal: `≤ ${GOAL_SECONDS}`,
      result: `${seconds.toFixed(1)} (tokens/s: ${told.join(", ")})`,
      met: seconds <= GOAL_SECONDS,
    },
  ];
}

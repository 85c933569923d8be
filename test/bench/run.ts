/**
 * `npm run bench`: the project's numbers, each a ratio of things measured in the same run, printed as one table. Nothing is
 * asserted. `--quick` takes seconds where the real thing takes minutes; names of sections choose some of them.
 *
 *     npm run bench                       about fifteen minutes
 *     npm run bench -- --quick step       one section, shortened
 */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { benchmarkAccumulation } from "./accumulation.ts";
import { benchmarkBrowser } from "./browser.ts";
import { benchmarkDevices } from "./devices.ts";
import { benchmarkDoctor } from "./doctor.ts";
import { benchmarkKernels } from "./kernels.ts";
import { benchmarkLarge } from "./large.ts";
import { benchmarkLoop } from "./loop.ts";
import { benchmarkLikeness } from "./likeness.ts";
import { benchmarkLosses } from "./losses.ts";
import { benchmarkMarket } from "./market.ts";
import { benchmarkMemory } from "./memory.ts";
import { benchmarkOptimizers } from "./optimizers.ts";
import { benchmarkPace } from "./pace.ts";
import { benchmarkParts } from "./parts.ts";
import { benchmarkPeer } from "./peer/peer.ts";
import { benchmarkAblation, benchmarkPolicies } from "./policies.ts";
import { benchmarkLongRounds, benchmarkRealRun } from "./realRun.ts";
import { benchmarkRecompute } from "./recompute.ts";
import { type BenchOptions, type Row, tableOf } from "./report.ts";
import { benchmarkSockets } from "./sockets.ts";
import { benchmarkExactness, benchmarkSteps } from "./step.ts";

const sections: Readonly<Record<string, (options: BenchOptions) => Promise<Row[]>>> = {
  run: benchmarkRealRun,
  longRounds: benchmarkLongRounds,
  step: benchmarkSteps,
  exact: benchmarkExactness,
  devices: benchmarkDevices,
  accumulation: benchmarkAccumulation,
  loop: benchmarkLoop,
  optimizers: benchmarkOptimizers,
  recompute: benchmarkRecompute,
  pace: benchmarkPace,
  doctor: benchmarkDoctor,
  market: benchmarkMarket,
  memory: benchmarkMemory,
  parts: benchmarkParts,
  sockets: benchmarkSockets,
  likeness: benchmarkLikeness,
  kernels: benchmarkKernels,
  losses: benchmarkLosses,
  browser: benchmarkBrowser,
  large: benchmarkLarge,
  peer: benchmarkPeer,
  policies: benchmarkPolicies,
  ablation: benchmarkAblation,
};
/** Measured only where they are named. */
const optional = new Set([
  "longRounds",
  "likeness",
  "kernels",
  "losses",
  "browser",
  "large",
  "peer",
  "policies",
  "ablation",
]);

function machine(): string {
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  // Virtual machines hide the name; family and model say which core it is.
  const info = process.platform === "linux" ? readFileSync("/proc/cpuinfo", "utf8") : "";
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1] ?? "?";
  const core = info === "" ? "" : ` (family ${field("cpu family")}, model ${field("model")})`;
  return (
    `${cpus()[0]?.model.trim() ?? "unknown CPU"}${core}, ${availableParallelism()} cores, ${gibibytes} GiB; ` +
    `Node ${process.versions.node}, ${devices.cpu.runtime()}; ${new Date().toISOString().slice(0, 10)}`
  );
}

const load = (): string => loadavg()[0]?.toFixed(1) ?? "?";

const usage = [
  "npm run bench [-- [--quick] SECTION …]",
  "",
  `sections: ${Object.keys(sections).join(", ")}`,
  `measured only where they are named: ${[...optional].join(", ")}`,
  "--quick: seconds where the real thing takes minutes",
  "--catalogue=FILE,FILE: policies rent from these tables of clouds (NAME.vms.csv)",
  "--worlds=N: so many worlds of each cell of policies and ablation (100)",
].join("\n");

const given = process.argv.slice(2);
const quick = given.includes("--quick");
const CATALOGUE = "--catalogue=";
const catalogues = given.flatMap((word) => (word.startsWith(CATALOGUE) ? word.slice(CATALOGUE.length).split(",") : []));
const WORLDS = /^--worlds=([1-9]\d{0,3})$/;
const worlds = given.map((word) => WORLDS.exec(word)?.[1]).find((count) => count !== undefined);
const asked = given.filter((name) => name !== "--quick" && !name.startsWith(CATALOGUE) && !WORLDS.test(name));
const unknown = asked.find((name) => !(name in sections));
if (given.includes("--help")) process.stdout.write(`${usage}\n`);
else if (unknown === undefined) {
  const note = (line: string): void => void process.stderr.write(`bench: ${line} (load ${load()})\n`);
  const before = load();
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(sections))
    if (asked.length === 0 ? !optional.has(name) : asked.includes(name))
      rows.push(
        ...(await measure({ quick, note, catalogues, ...(worlds !== undefined && { worlds: Number(worlds) }) })),
      );
  process.stdout.write(`${machine()}; load ${before} before\n\n${tableOf(rows)}\n`);
} else {
  process.stderr.write(
    `bench: there is no section ${unknown}; there are ${Object.keys(sections).join(", ")}, --quick, --catalogue=FILE and --worlds=N.\n`,
  );
  process.exitCode = 1;
}

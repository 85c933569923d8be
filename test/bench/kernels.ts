/**
 * Where a step's time goes: ONNX Runtime's own profile of its kernels, in a process that is given its memory as an engine's is.
 *
 * Alone: node --conditions=cotrain-source test/bench/kernels.ts PRESET THREADS STEPS
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import "../../offchain/src/engine/runtime/node/noTelemetry.ts";
import ort from "onnxruntime-node";

import { buildPrograms, initialParameters, presetOf, type PresetName } from "../../offchain/src/engine/index.ts";
import { openEngine } from "../../offchain/src/engine/openEngine.ts";
import { availableMemory } from "../../offchain/src/engine/runtime/node/index.ts";
import { sessionOptions } from "../../offchain/src/engine/runtime/node/cpu.ts";
import { allocation } from "../../offchain/src/engine/runtime/node/host/spawn.ts";
import { onnxRuntime } from "../../offchain/src/engine/runtime/onnxRuntime.ts";
import { tokensOf } from "./engine.ts";
import { type BenchOptions, type Row } from "./report.ts";
import { ownTime } from "./timed.ts";

const PRODUCTS: ReadonlySet<string> = new Set(["Gemm", "MatMul"]);
const ELEMENTWISE: ReadonlySet<string> = new Set(["Mul", "Add", "Sub"]);

/** Of one step: milliseconds in kernels, and how many ran. */
interface Kernels {
  readonly products: number;
  readonly elementwise: number;
  readonly rest: number;
  readonly count: number;
}

/** What the runtime writes of each kernel that ran (onnxruntime.ai, "Profiling Tools"). */
interface Event {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

export async function benchmarkKernels({ quick, note }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const preset of quick ? (["0.1m"] as const) : (["1m", "20m"] as const))
    for (const threads of [1, 2]) {
      note(`${preset}, ${threads} threads: kernels of a step`);
      const { products, elementwise, rest, count } = kernelsOf(preset, threads, preset === "20m" ? 5 : 30);
      const all = products + elementwise + rest;
      rows.push({
        what: `${preset}, ${threads} thread${threads > 1 ? "s" : ""}: kernels of a step, ms: products; Mul, Add, Sub; all else; in all`,
        result: `${[products, elementwise, rest, all].map((ms) => ms.toFixed(1)).join("; ")} (${Math.round(count)} kernels)`,
      });
    }
  return rows;
}

function kernelsOf(preset: PresetName, threads: number, steps: number): Kernels {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=cotrain-source", fileURLToPath(import.meta.url), preset, String(threads), String(steps)],
    { encoding: "utf8", env: { ...process.env, ...allocation } },
  );
  if (status !== 0) throw new Error(`The kernels of ${preset} could not be measured: ${stderr}`);
  return JSON.parse(stdout) as Kernels;
}

async function measure(preset: PresetName, threads: number, steps: number): Promise<Kernels> {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-kernels-"));
  try {
    const { model, microBatch } = presetOf(preset);
    const runtime = onnxRuntime({
      ort,
      availableMemory,
      cpuTime: ownTime,
      blocks: undefined,
      writesInPlace: true,
      sessionOptions: (options) => ({
        ...sessionOptions(options),
        enableProfiling: true,
        profileFilePrefix: join(directory, "profile"),
      }),
    });
    const { step } = buildPrograms(model, { microBatch });
    const engine = await openEngine({ programs: { step: step.bytes }, threads }, runtime);
    await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
    for (let i = 0; i < steps; i++) await engine.step({ tokens: tokensOf(preset), learningRate: 1e-4 });
    // The profile is written when the session ends.
    await engine.close();
    const events = readdirSync(directory).flatMap(
      (file) => JSON.parse(readFileSync(join(directory, file), "utf8")) as Event[],
    );
    const kernels = events.filter(({ cat, name }) => cat === "Node" && name.endsWith("_kernel_time"));
    const sum = (of: (op: string) => boolean): number =>
      kernels.reduce((ms, { dur, args }) => ms + (of(args?.op_name ?? "") ? dur / 1_000 / steps : 0), 0);
    return {
      products: sum((op) => PRODUCTS.has(op)),
      elementwise: sum((op) => ELEMENTWISE.has(op)),
      rest: sum((op) => !PRODUCTS.has(op) && !ELEMENTWISE.has(op)),
      count: kernels.length / steps,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [preset = "", threads, steps] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(await measure(preset as PresetName, Number(threads), Number(steps))));
}

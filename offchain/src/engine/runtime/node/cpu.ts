/** ONNX Runtime's native library on the CPU, in this process: loaded by the engine's process alone (host/process.ts). */
import "./noTelemetry.ts";

import ort from "onnxruntime-node";

import type { OpenEngine } from "../device.ts";
import { openEngine } from "../../openEngine.ts";
import { onnxRuntime } from "../onnxRuntime.ts";
import { availableMemory, cpuTime } from "./machine.ts";

/**
 * Programs that need more than this give memory back after each call. ONNX Runtime's arena keeps what it ever took, in steps of
 * powers of two: a step of 20m held 1.6 GB for 0.9 GB of use. Without it a call costs about 6% more time.
 */
const ARENA_BYTES = 256 << 20;

const cpu = onnxRuntime({
  ort,
  availableMemory,
  cpuTime,
  writesInPlace: true,
  /** Threads sleep when idle: spinning ones halve the speed beside a busy neighbour. */
  sessionOptions: ({ threads, peak }) => ({
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: 3,
    enableCpuMemArena: peak <= ARENA_BYTES,
    extra: {
      session: { intra_op: { allow_spinning: "0" } },
      // It would turn products back that the builder turned round to be exact (products.ts).
      optimization: { disable_specified_optimizers: "GemmTransposeFusion" },
    },
  }),
});

/**
 * Opens an engine in this process.
 * @throws as `openEngine`
 */
export const openCpuEngine: OpenEngine = (options) => openEngine(options, cpu);

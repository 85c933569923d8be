/** ONNX Runtime's native library on the CPU, in this process: loaded by the engine's process alone (host/process.ts). */
import "./noTelemetry.ts";

import ort from "onnxruntime-node";

import type { OpenEngine } from "../device.ts";
import { openEngine } from "../../openEngine.ts";
import { onnxRuntime } from "../onnxRuntime.ts";
import type { ExecutableOptions } from "../port.ts";
import { blocks } from "./blocks.ts";
import { availableMemory, cpuTime } from "./machine.ts";

/**
 * Programs that need more than this give memory back after each call. ONNX Runtime's arena keeps what it ever took, in steps of
 * powers of two: a step of 20m held 1.6 GB for 0.9 GB of use. Without it a call cost about 6% more time.
 */
const ARENA_BYTES = 256 << 20;

/**
 * How long a thread that has nothing to do waits awake before it sleeps. A step of 1m has a thousand operators of some 30 µs, and to
 * be woken for each cost a seventh of its time on two threads. Beside a neighbour that keeps a core busy all the time, waiting
 * awake costs a third of the speed, and waiting without end two thirds.
 */
const SPIN_MICROS = 20;

export const sessionOptions = ({
  threads,
  peak,
}: Pick<ExecutableOptions, "threads" | "peak">): ort.InferenceSession.SessionOptions => ({
  executionProviders: ["cpu"],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: "sequential",
  logSeverityLevel: 3,
  enableCpuMemArena: peak <= ARENA_BYTES,
  // One block for all that a step holds would be got anew, and zeroed, at each (host/spawn.ts): 7% of its time at 20m.
  enableMemPattern: false,
  extra: {
    session: { intra_op: { allow_spinning: "1", spin_duration_us: String(SPIN_MICROS) } },
    // It would turn products back that the builder turned round to be exact (products.ts).
    optimization: { disable_specified_optimizers: "GemmTransposeFusion" },
  },
});

const cpu = onnxRuntime({ ort, availableMemory, cpuTime, blocks: blocks.cpu, writesInPlace: true, sessionOptions });

/**
 * Opens an engine in this process.
 * @throws as `openEngine`
 */
export const openCpuEngine: OpenEngine = (options) => openEngine(options, cpu);

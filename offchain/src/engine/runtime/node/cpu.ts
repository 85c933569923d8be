/** ONNX Runtime on the CPU, in this process: loaded by the engine's process alone (host/process.ts). */
import "./noTelemetry.ts";

import ort from "onnxruntime-node";

import type { Engine, EngineOptions } from "../../engine.ts";
import { EngineError, RuntimeError } from "../../errors.ts";
import { elements } from "../../graph.ts";
import { openEngine } from "../../openEngine.ts";
import type { DeviceBuffer, HostTensor, Runtime, Executable, ExecutableOptions } from "../port.ts";
import { availableMemory } from "./machine.ts";

/** A buffer of this runtime: a tensor that programs read and write in place. */
interface CpuBuffer extends DeviceBuffer {
  readonly tensor: ort.TypedTensor<"float32">;
}

const cpu: Runtime = {
  availableMemory,
  cpuTime: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  buffer: (shape, values = new Float32Array(elements(shape))): CpuBuffer => {
    const tensor = new ort.Tensor("float32", values, shape);
    return { tensor, read: () => Promise.resolve(tensor.data), write: (given) => tensor.data.set(given) };
  },
  open: async (program, options) => executableOver(await createSession(program, options), options.kind),
};

/**
 * Opens an engine in this process.
 * @throws as `openEngine`
 */
export const openCpuEngine = (options: EngineOptions): Promise<Engine> => openEngine(options, cpu);

/**
 * Programs that need more than this give memory back after each call. ONNX Runtime's arena keeps what it ever took, in steps of
 * powers of two: a step of 20m held 1.6 GB for 0.9 GB of use. Without it a call costs about 6% more time.
 */
const ARENA_BYTES = 256 << 20;

/** A session with threads that sleep when idle: spinning ones halve the speed beside a busy neighbour. */
async function createSession(
  bytes: Uint8Array,
  { kind, threads, peak }: ExecutableOptions,
): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
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
    });
  } catch (cause) {
    throw new EngineError("PROGRAM_REFUSED", `ONNX Runtime refuses the ${kind} program.`, { cause });
  }
}

function executableOver(session: ort.InferenceSession, kind: string): Executable {
  return {
    run: async (feeds, into, wanted) => {
      const given: Record<string, ort.Tensor> = {};
      for (const [name, feed] of feeds) given[name] = tensorOf(feed);
      const fetches: Record<string, ort.Tensor | null> = {};
      for (const [name, buffer] of into) fetches[name] = tensorOf(buffer);
      for (const name of wanted) fetches[name] = null;
      const results = await session.run(given, fetches).catch((cause: unknown) => {
        throw new RuntimeError("RUNTIME_FAILED", `ONNX Runtime failed in the ${kind} program.`, { cause });
      });
      return new Map(wanted.flatMap((name) => numbersOf(results, name)));
    },
    release: () => session.release(),
  };
}

function tensorOf(feed: DeviceBuffer | HostTensor): ort.Tensor {
  if ("tensor" in feed) return (feed as CpuBuffer).tensor;
  const { data, shape } = feed as HostTensor;
  return data instanceof Float32Array ? new ort.Tensor("float32", data, shape) : new ort.Tensor("int64", data, shape);
}

/** An output as fp32; nothing where it is none. */
function numbersOf(results: ort.InferenceSession.ReturnType, name: string): [string, Float32Array][] {
  const value = results[name];
  return value && "data" in value && value.data instanceof Float32Array ? [[name, value.data]] : [];
}

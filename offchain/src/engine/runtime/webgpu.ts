/**
 * ONNX Runtime on any maker's GPU through WebGPU, in Node (over the system's Vulkan, Metal or Direct3D) and in browsers. Parameters
 * and state stay on the GPU between steps.
 */
import { EngineError } from "../errors.ts";
import { onnxRuntime, type OnnxPlace } from "./onnxRuntime.ts";
import type { Runtime } from "./port.ts";

/** What a package says where there is no GPU: under Node, in a browser without one, in a browser without WebGPU. */
const NONE = /Failed to get (a WebGPU|GPU) adapter|WebGPU is not supported/;

export interface WebgpuPlace extends Pick<OnnxPlace, "ort" | "availableMemory" | "cpuTime" | "inTurn"> {
  /** One sentence: there is no GPU, and what is needed. */
  readonly missing: string;
}

export const webgpuRuntime = ({ missing, ...place }: WebgpuPlace): Runtime =>
  onnxRuntime({
    ...place,
    writesInPlace: false,
    explain: (cause) =>
      cause instanceof Error && NONE.test(cause.message)
        ? new EngineError("DEVICE_MISSING", missing, { cause, details: { lacking: "GPU" } })
        : undefined,
    sessionOptions: ({ kept }) => ({
      executionProviders: ["webgpu"],
      executionMode: "sequential",
      logSeverityLevel: 3,
      preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, "gpu-buffer" as const])),
      extra: {
        // Else parts of a long product are added as they come on Intel's GPUs, in another order every time.
        session: { use_deterministic_compute: "1" },
        // It would turn products back that the builder turned round (products.ts).
        optimization: { disable_specified_optimizers: "GemmTransposeFusion" },
      },
    }),
  });

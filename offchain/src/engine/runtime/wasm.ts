/**
 * ONNX Runtime on WebAssembly, in Node and in browsers. Its arithmetic is fixed by WebAssembly's specification (the shipped module
 * has no relaxed SIMD), so every machine computes the same bits, whatever its processor.
 */
import type * as web from "onnxruntime-web";

import { onnxRuntime } from "./onnxRuntime.ts";
import type { Runtime } from "./port.ts";

export interface WasmPlace extends Pick<Runtime, "availableMemory" | "cpuTime"> {
  /** The package for the web, by the entrance that is meant for this platform. */
  readonly ort: Pick<typeof web, "env" | "InferenceSession" | "Tensor">;
}

export const wasmRuntime = ({ ort, availableMemory, cpuTime }: WasmPlace): Runtime =>
  onnxRuntime({
    ort,
    availableMemory,
    cpuTime,
    writesInPlace: false,
    sessionOptions: ({ threads }) => {
      // One pool for the module, made with its first session.
      ort.env.wasm.numThreads = threads;
      return {
        executionProviders: ["wasm"],
        executionMode: "sequential",
        logSeverityLevel: 3,
        // It would turn products back that the builder turned round to be exact (products.ts).
        extra: { optimization: { disable_specified_optimizers: "GemmTransposeFusion" } },
      };
    },
  });

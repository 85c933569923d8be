/**
 * ONNX Runtime on WebAssembly, in Node and in browsers. Its arithmetic is fixed by WebAssembly's specification (the shipped module
 * has no relaxed SIMD), so every machine computes the same bits, whatever its processor.
 */
import { env, InferenceSession, Tensor } from "onnxruntime-web";

import { onnxRuntime } from "./onnxRuntime.ts";
import type { Runtime } from "./port.ts";

export const wasmRuntime = ({ availableMemory, cpuTime }: Pick<Runtime, "availableMemory" | "cpuTime">): Runtime =>
  onnxRuntime({
    ort: { InferenceSession, Tensor },
    availableMemory,
    cpuTime,
    writesInPlace: false,
    sessionOptions: ({ threads }) => {
      // One pool for the module, made with its first session.
      env.wasm.numThreads = threads;
      return {
        executionProviders: ["wasm"],
        executionMode: "sequential",
        logSeverityLevel: 3,
        // It would turn products back that the builder turned round to be exact (products.ts).
        extra: { optimization: { disable_specified_optimizers: "GemmTransposeFusion" } },
      };
    },
  });

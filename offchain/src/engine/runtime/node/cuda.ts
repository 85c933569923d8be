/**
 * NVIDIA's GPUs by CUDA, on Linux: onnxruntime-node's provider, whose libraries its package does not bring. Loaded by the engine's
 * process alone (host/process.ts). The package keeps no tensors on such a GPU, so many steps are one call, and parameters and state cross with it.
 * Never run on a real GPU.
 */
import "./noTelemetry.ts";

import ort from "onnxruntime-node";

import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { onnxRuntime } from "../onnxRuntime.ts";
import { blocks } from "./blocks.ts";
import { cudaOptions, providerLibrary, whyNoCuda } from "./cudaOptions.ts";
import { availableMemory, cpuTime } from "./machine.ts";

/** What the system's loader says of a library that it cannot load; loading one that is no addon always fails. */
function loaderSays(path: string): string {
  try {
    process.dlopen({ exports: {} }, path);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
}

/**
 * Opens engines in this process.
 * @param index of the GPU, as CUDA counts
 */
export const cudaEngineOn = (index: number): OpenEngine => {
  const cuda = onnxRuntime({
    ort,
    availableMemory,
    cpuTime,
    blocks: blocks.cuda,
    writesInPlace: true,
    // Only when it failed: ONNX Runtime's provider must not be loaded before ONNX Runtime does it.
    explain: (cause) => whyNoCuda(cause, { index, library: providerLibrary(), loaderSays }),
    sessionOptions: () => cudaOptions(index),
  });
  return (options) => openEngine(options, cuda);
};

/**
 * Any maker's GPU, through WebGPU and the system's Vulkan, Metal or Direct3D: the provider that onnxruntime-node has inside.
 * Loaded by the engine's process alone (host/process.ts). Parameters and state stay on the GPU between steps.
 */
import "./noTelemetry.ts";

import ort from "onnxruntime-node";

import { EngineError } from "../../errors.ts";
import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { onnxRuntime } from "../onnxRuntime.ts";
import { availableMemory, cpuTime } from "./machine.ts";

const webgpu = onnxRuntime({
  ort,
  availableMemory,
  cpuTime,
  writesInPlace: false,
  explain: (cause) =>
    cause instanceof Error && cause.message.includes("Failed to get a WebGPU adapter")
      ? new EngineError(
          "DEVICE_MISSING",
          "There is no GPU here that WebGPU can use: it needs a driver for Vulkan (Linux), Metal (macOS) or Direct3D 12 (Windows).",
          { cause },
        )
      : undefined,
  sessionOptions: ({ kept }) => ({
    executionProviders: ["webgpu"],
    executionMode: "sequential",
    logSeverityLevel: 3,
    preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, "gpu-buffer" as const])),
    // It would turn products back that the builder turned round (products.ts).
    extra: { optimization: { disable_specified_optimizers: "GemmTransposeFusion" } },
  }),
});

/**
 * Opens an engine in this process.
 * @throws as `openEngine`
 */
export const openWebgpuEngine: OpenEngine = (options) => openEngine(options, webgpu);

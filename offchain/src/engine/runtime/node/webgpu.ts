/**
 * WebGPU under Node, in this process: the provider that onnxruntime-node has inside. Loaded by the engine's process alone
 * (host/process.ts).
 */
import "./noTelemetry.ts";

import ort from "onnxruntime-node";

import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { webgpuRuntime } from "../webgpu.ts";
import { availableMemory, cpuTime } from "./machine.ts";

const remedy =
  process.platform === "linux"
    ? "On Debian and Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers (AMD, Intel); NVIDIA's driver has Vulkan of its own."
    : "Install the maker's newest graphics driver.";

const webgpu = webgpuRuntime({
  ort,
  availableMemory,
  cpuTime,
  missing: `There is no GPU here that WebGPU can use: it needs a driver for Vulkan (Linux), Metal (macOS) or Direct3D 12 (Windows). ${remedy}`,
});

/**
 * Opens an engine in this process.
 * @throws as `openEngine`
 */
export const openWebgpuEngine: OpenEngine = (options) => openEngine(options, webgpu);

/** WebGPU in a browser, in the page or worker that opens the engine. */
import * as ort from "onnxruntime-web/webgpu";

import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { webgpuRuntime } from "../webgpu.ts";
import { availableMemory, elapsedTime } from "./page.ts";

const webgpu = webgpuRuntime({
  ort,
  availableMemory,
  cpuTime: elapsedTime,
  missing: "There is no GPU that this browser lets a page use by WebGPU.",
});

/**
 * Opens an engine here.
 * @throws as `openEngine`
 */
export const openWebgpuEngine: OpenEngine = (options) => openEngine(options, webgpu);

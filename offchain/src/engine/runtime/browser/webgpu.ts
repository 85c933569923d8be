/** WebGPU in a browser, in the page or worker that opens the engine. */
import * as ort from "onnxruntime-web/webgpu";

import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { webgpuRuntime } from "../webgpu.ts";
import { availableMemory, elapsedTime } from "./page.ts";

/** What was asked of the package last. */
let last: Promise<unknown> = Promise.resolve();

/** It refuses a call while another of its calls awaits the GPU, be it of another engine: one that was ended may compute a step yet. */
function inTurn<Result>(call: () => Promise<Result>): Promise<Result> {
  const result = last.then(call);
  last = result.catch(() => undefined);
  return result;
}

const webgpu = webgpuRuntime({
  ort,
  inTurn,
  availableMemory,
  cpuTime: elapsedTime,
  missing: "There is no GPU that this browser lets a page use by WebGPU.",
});

/**
 * Opens an engine here.
 * @throws as `openEngine`
 */
export const openWebgpuEngine: OpenEngine = (options) => openEngine(options, webgpu);

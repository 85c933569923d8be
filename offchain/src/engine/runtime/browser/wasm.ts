/** WebAssembly in a browser, in the page or worker that opens the engine. */
import * as ort from "onnxruntime-web/wasm";

import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { wasmRuntime } from "../wasm.ts";
import { availableMemory, elapsedTime } from "./page.ts";

const wasm = wasmRuntime({ ort, availableMemory, cpuTime: elapsedTime });

/**
 * Opens an engine here. Threads are those of the first one: ONNX Runtime has one pool for a page.
 * @throws as `openEngine`
 */
export const openWasmEngine: OpenEngine = (options) => openEngine(options, wasm);

/** WebAssembly under Node, in this process: loaded by the engine's process alone (host/process.ts). */
import "./noTelemetry.ts";

import * as ort from "onnxruntime-web";

import { openEngine } from "../../openEngine.ts";
import type { OpenEngine } from "../device.ts";
import { wasmRuntime } from "../wasm.ts";
import { cpuTime, wasmMemory } from "./machine.ts";

const wasm = wasmRuntime({ ort, availableMemory: wasmMemory, cpuTime });

/**
 * Opens an engine in this process.
 * @throws as `openEngine`
 */
export const openWasmEngine: OpenEngine = (options) => openEngine(options, wasm);

/** The devices that programs run on under Node. */
import { availableParallelism } from "node:os";

import type { Device } from "../device.ts";
import { engineHostOn } from "./host/host.ts";
import { availableMemory, deviceClass, versionOf, wasmMemory } from "./machine.ts";

const threads = availableParallelism;

export const devices = {
  cpu: {
    name: "cpu",
    runtime: () => versionOf("onnxruntime-node"),
    exactness: deviceClass,
    exact: true,
    threads,
    availableMemory,
    open: engineHostOn("cpu"),
  },
  wasm: {
    name: "wasm",
    runtime: () => versionOf("onnxruntime-web"),
    exactness: () => "exact-wasm",
    exact: true,
    threads,
    availableMemory: wasmMemory,
    open: engineHostOn("wasm"),
  },
  webgpu: {
    name: "webgpu",
    runtime: () => `${versionOf("onnxruntime-node")} webgpu`,
    exactness: () => "webgpu",
    exact: false,
    threads: () => 1,
    availableMemory,
    open: engineHostOn("webgpu"),
  },
} satisfies Readonly<Record<string, Device>>;

export type DeviceName = keyof typeof devices;
export const deviceNames = Object.keys(devices) as DeviceName[];

/** The devices that programs run on in a browser, by the names that they have under Node. The browser is the wall around them. */
import type { Device } from "../device.ts";
import { availableMemory, runtimeVersion, threads } from "./page.ts";
import { openWasmEngine } from "./wasm.ts";
import { openWebgpuEngine } from "./webgpu.ts";

export const devices = {
  wasm: {
    name: "wasm",
    runtime: runtimeVersion,
    exactness: () => "exact-wasm",
    exact: true,
    threads,
    availableMemory,
    open: openWasmEngine,
  },
  webgpu: {
    name: "webgpu",
    runtime: () => `${runtimeVersion()} webgpu`,
    exactness: () => "webgpu",
    exact: false,
    threads: () => 1,
    availableMemory,
    open: openWebgpuEngine,
  },
} satisfies Readonly<Record<string, Device>>;

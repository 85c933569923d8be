/** The devices that programs run on under Node. */
import { availableParallelism } from "node:os";

import type { Device } from "../device.ts";
import { DEVICE_FORM, type DeviceName, deviceNames } from "../deviceNames.ts";
import { EngineError } from "../../errors.ts";
import { blocks } from "./blocks.ts";
import { cudaAdapter, cudaCount, cudaMemory, gpuMemory, webgpuAdapter } from "./adapters.ts";
import { providerLibrary, whyNoIndex, whyNoProvider } from "./cudaOptions.ts";
import { engineHostOn } from "./host/host.ts";
import { availableMemory, deviceClass, versionOf, WASM_BYTES, wasmMemory } from "./machine.ts";
import { programMemory } from "./placeMemory.ts";
import { mapsWithoutSoftware } from "./withoutSoftware.ts";

const threads = availableParallelism;

/** NVIDIA's GPU of an index, as CUDA counts. */
const cudaDevice = (index: number, openOn = engineHostOn("cuda", index)): Device => ({
  name: index === 0 ? "cuda" : `cuda:${index}`,
  runtime: () => `${versionOf("onnxruntime-node")} cuda`,
  exactness: () => "cuda",
  exact: false,
  threads: () => 1,
  availableMemory,
  programMemory: () => programMemory("cuda", index),
  ownMemory: () => cudaMemory(index),
  adapter: () => cudaAdapter(index),
  blockMs: blocks.cuda?.ms,
  open: async (options) => {
    const library = providerLibrary();
    const absent = whyNoIndex(index, index === 0 ? 0 : await cudaCount(), library) ?? whyNoProvider(library);
    if (absent) throw absent;
    return openOn(options);
  },
});

export const devices = {
  cpu: {
    name: "cpu",
    runtime: () => versionOf("onnxruntime-node"),
    exactness: deviceClass,
    exact: true,
    threads,
    availableMemory,
    blockMs: blocks.cpu?.ms,
    open: engineHostOn("cpu"),
  },
  wasm: {
    name: "wasm",
    runtime: () => versionOf("onnxruntime-web"),
    exactness: () => "exact-wasm",
    exact: true,
    threads,
    availableMemory: () => wasmMemory(),
    ownMemory: () => Promise.resolve(WASM_BYTES),
    open: engineHostOn("wasm"),
  },
  webgpu: {
    name: "webgpu",
    runtime: () => `${versionOf("onnxruntime-node")} webgpu`,
    exactness: () => "webgpu",
    exact: false,
    threads: () => 1,
    availableMemory,
    programMemory: () => programMemory("webgpu"),
    ownMemory: gpuMemory,
    adapter: (pid) => webgpuAdapter(pid, mapsWithoutSoftware),
    open: engineHostOn("webgpu"),
  },
  cuda: cudaDevice(0),
} satisfies Readonly<Record<DeviceName, Device>>;

/** More GPUs than this are not looked at, so that a machine full of them is known soon. */
const MOST_GPUS = 16;

/** All devices of this machine to try, the CPU first: the rows of the table, and each of NVIDIA's GPUs that is there. */
export async function devicesHere(): Promise<readonly Device[]> {
  const { cuda, ...rows } = devices;
  const count = Math.min(MOST_GPUS, await cudaCount());
  return [...Object.values(rows), cuda, ...Array.from({ length: Math.max(0, count - 1) }, (_, i) => cudaDevice(i + 1))];
}

/** Why a device other than cuda has no second one. */
const single: Readonly<Record<Exclude<DeviceName, "cuda">, string>> = {
  cpu: "there is one, and all workers of this machine share it",
  wasm: "there is one, and all workers of this machine share it",
  webgpu:
    "ONNX Runtime chooses the GPU itself and takes no index; on Linux VK_DRIVER_FILES names another driver, VK_LOADER_DEVICE_ID_FILTER another GPU, and cuda takes NVIDIA's by index",
};

/**
 * The device of a name, such as `cpu`, `webgpu:0` or `cuda:1`.
 * @throws EngineError `DEVICE_UNKNOWN`, `DEVICE_INDEX`
 */
export function deviceOf(text: string): Device {
  const [, name, digits = "0"] = DEVICE_FORM.exec(text) ?? [];
  if (name === undefined)
    throw new EngineError("DEVICE_UNKNOWN", `There is no device ${text}: it is one of ${deviceNames.join(", ")}.`);
  const index = Number(digits);
  if (name === "cuda") return cudaDevice(index);
  const row = name as Exclude<DeviceName, "cuda">;
  if (index > 0) throw new EngineError("DEVICE_INDEX", `${text} cannot be chosen: ${single[row]}.`);
  return devices[row];
}

/** What programs may take where their tensors lie: a GPU's own memory, elsewhere the machine's. */
import type { Place } from "../device.ts";
import { cudaMemory, gpuMemory } from "./adapters.ts";
import { availableMemory, wasmMemory } from "./machine.ts";

/** What is asked of a system, in bytes. */
export interface MemoryAsked {
  machine(): number;
  wasm(): number;
  /** Of the GPU that WebGPU takes; undefined where the system does not tell. */
  webgpu(): Promise<number | undefined>;
  cuda(index: number): Promise<number | undefined>;
}

const thisSystem: MemoryAsked = { machine: availableMemory, wasm: wasmMemory, webgpu: gpuMemory, cuda: cudaMemory };

/** A GPU that does not tell has the machine's memory, or is taken for one that has as much. */
export async function programMemory(place: Place, index = 0, asked: MemoryAsked = thisSystem): Promise<number> {
  const places: Readonly<Record<Place, () => Promise<number | undefined>>> = {
    cpu: async () => undefined,
    wasm: async () => asked.wasm(),
    webgpu: () => asked.webgpu(),
    cuda: () => asked.cuda(index),
  };
  return (await places[place]()) ?? asked.machine();
}

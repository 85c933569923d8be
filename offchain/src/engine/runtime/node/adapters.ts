/** What computes behind WebGPU and CUDA, as far as the system tells: drivers by what a process has loaded, memory by the driver. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Adapter } from "../device.ts";
import { runSystemProgram } from "./systemPrograms.ts";

/** Whoever does not answer within this, ms, is not asked. */
const PATIENCE_MS = 5_000;

/** Vulkan's drivers by their libraries: Mesa's, NVIDIA's, AMD's own, ARM's, SwiftShader. */
const VULKAN_DRIVER = /\/((?:libvulkan_|libvk_|libGLX_nvidia|libEGL_nvidia|amdvlk|libmali)[\w.-]*\.so[.\d]*)$/gm;
const SOFTWARE_DRIVER = /^libvk_swiftshader|^libvulkan_lvp/;
/** Names that Windows has for what is no GPU: https://learn.microsoft.com/windows-hardware/drivers/display/ */
const SOFTWARE_NAME = /^Microsoft (?:Basic|Remote)\b|^Microsoft Hyper-V\b|\bWARP\b|SwiftShader|llvmpipe/i;

/**
 * The GPU, by the drivers that a process with an open device has loaded.
 * @param maps as in /proc/PID/maps
 * @returns undefined where it has loaded none. WebGPU takes a GPU before anything in software, so one of a GPU decides
 */
export function adapterOfMaps(maps: string): Adapter | undefined {
  const drivers = [...new Set([...maps.matchAll(VULKAN_DRIVER)].map(([, name]) => name ?? ""))];
  if (drivers.length === 0) return undefined;
  const real = drivers.filter((name) => !SOFTWARE_DRIVER.test(name));
  return { name: (real.length > 0 ? real : drivers).join(", "), software: real.length === 0 };
}

/** The same by the names of a machine's video controllers, one a line. */
export function adapterOfNames(names: string): Adapter | undefined {
  const all = names
    .split(/\r?\n/)
    .map((name) => name.trim())
    .filter(Boolean);
  if (all.length === 0) return undefined;
  const real = all.filter((name) => !SOFTWARE_NAME.test(name));
  return { name: (real.length > 0 ? real : all).join(", "), software: real.length === 0 };
}

/** What a program says, "" where there is none or it does not answer. */
const saidBy = (command: string, ...args: readonly string[]): Promise<string> =>
  runSystemProgram(command, args, PATIENCE_MS).catch(() => "");

/** What WebGPU computes with in a process. */
export async function webgpuAdapter(pid: number): Promise<Adapter | undefined> {
  if (process.platform === "linux") return adapterOfMaps(await readFile(`/proc/${pid}/maps`, "utf8").catch(() => ""));
  if (process.platform !== "win32") return undefined; // Metal has no device in software
  return adapterOfNames(
    await saidBy("powershell", "-NoProfile", "-Command", "(Get-CimInstance Win32_VideoController).Name"),
  );
}

interface NvidiaGpu {
  /** As nvidia-smi counts. */
  readonly index: number;
  readonly name: string;
  /** Bytes. */
  readonly free: number;
}

/** @param lines as nvidia-smi writes them: index, model, free MiB */
export const nvidiaGpusOf = (lines: string): NvidiaGpu[] =>
  [...lines.matchAll(/^(\d+), (.+), (\d+)$/gm)].map(([, index, name, free]) => ({
    index: Number(index),
    name: name ?? "",
    free: Number(free) * 2 ** 20,
  }));

const nvidiaGpus = async (): Promise<NvidiaGpu[]> =>
  nvidiaGpusOf(await saidBy("nvidia-smi", "--query-gpu=index,name,memory.free", "--format=csv,noheader,nounits"));

/**
 * What nvidia-smi calls the GPU that CUDA calls so: the same in its order (host/spawn.ts), among those that CUDA is to see. Undefined
 * where that cannot be told: in another order, or where they are listed by UUID.
 */
export function nvidiaIndexOf(
  index: number,
  { CUDA_DEVICE_ORDER: order = "PCI_BUS_ID", CUDA_VISIBLE_DEVICES: visible }: Readonly<NodeJS.ProcessEnv> = process.env,
): number | undefined {
  if (order !== "PCI_BUS_ID") return undefined;
  if (visible === undefined) return index;
  const seen = visible.split(",").map((entry) => entry.trim());
  return seen.every((entry) => /^\d+$/.test(entry)) && index < seen.length ? Number(seen[index]) : undefined;
}

const cudaGpu = async (index: number): Promise<NvidiaGpu | undefined> => {
  const wanted = nvidiaIndexOf(index);
  return (await nvidiaGpus()).find((gpu) => gpu.index === wanted);
};

/** NVIDIA's GPU of an index, as CUDA counts. */
export async function cudaAdapter(index: number): Promise<Adapter | undefined> {
  const gpu = await cudaGpu(index);
  return gpu && { name: gpu.name, software: false };
}

export const cudaMemory = async (index: number): Promise<number | undefined> => (await cudaGpu(index))?.free;

/** No card has less of its own: a GPU inside the processor has a piece of the machine's memory, and more of it on demand (GTT). */
const LEAST_CARD = 2 ** 31;

/** What amdgpu's GPU has, in bytes. */
export const amdMemory = (vram: number, gtt: number): number => (vram < LEAST_CARD ? vram + gtt : vram);

const told = async (card: string, file: string): Promise<number> =>
  Number(await readFile(join("/sys/class/drm", card, "device", file), "utf8").catch(() => 0));

/** Of the largest GPU that tells: NVIDIA's by its own program, AMD's by Linux (amdgpu's documentation, mem_info_vram_total). */
export async function gpuMemory(): Promise<number | undefined> {
  const sizes = (await nvidiaGpus()).map(({ free }) => free);
  if (sizes.length === 0 && process.platform === "linux") {
    for (const card of await readdir("/sys/class/drm").catch(() => []))
      sizes.push(amdMemory(await told(card, "mem_info_vram_total"), await told(card, "mem_info_gtt_total")));
  }
  const largest = Math.max(0, ...sizes);
  return largest > 0 ? largest : undefined;
}

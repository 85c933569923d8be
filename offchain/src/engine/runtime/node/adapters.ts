/** What computes behind WebGPU and CUDA, as far as the system tells: drivers by what a process has loaded, memory by the driver. */
import { readdir, readFile, readlink } from "node:fs/promises";
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

/** Variable of Vulkan's loader (1.3.234 and later) that leaves drivers out by the names of their manifests, and those of software's. */
export const WITHOUT_SOFTWARE = { name: "VK_LOADER_DRIVERS_DISABLE", value: "*swiftshader*,*lvp*" } as const;

/** Files by which a process uses a GPU, whoever made it: Linux's own, NVIDIA's, Windows' under WSL, Qualcomm's, ARM's. */
const GPU_FILE = /^\/dev\/(?:dri\/(?:renderD|card)\d+|nvidia\d+|dxg|kgsl-3d\d+|mali\d+)$/;

/** What tells which of the loaded drivers is in use; asked where those of both kinds are loaded. */
export interface InUse {
  /** Maps of a process that opened WebGPU after {@link WITHOUT_SOFTWARE}; undefined where it does not open then. */
  readonly without: () => Promise<string | undefined>;
  /** Files that the process in question has open. */
  readonly files: () => Promise<readonly string[]>;
}

function driversOf(maps: string): { readonly real: readonly string[]; readonly software: readonly string[] } {
  const drivers = [...new Set([...maps.matchAll(VULKAN_DRIVER)].map(([, name]) => name ?? ""))];
  return {
    real: drivers.filter((name) => !SOFTWARE_DRIVER.test(name)),
    software: drivers.filter((name) => SOFTWARE_DRIVER.test(name)),
  };
}

/**
 * What computes, by the drivers that a process with an open device has loaded. Vulkan's loader loads those of all makers, whatever
 * GPU there is. WebGPU takes a GPU before anything in software: so it has one where it opens without drivers of software.
 * A loader that leaves none out has them loaded all the same; then whoever uses a GPU has its file open.
 * @param maps as in /proc/PID/maps
 * @returns undefined where it has loaded none
 */
export async function adapterOfMaps(maps: string, { without, files }: InUse): Promise<Adapter | undefined> {
  const { real, software } = driversOf(maps);
  if (real.length + software.length === 0) return undefined;
  const hardware: Adapter = { name: real.join(", "), software: false };
  const inSoftware: Adapter = { name: software.join(", "), software: true };
  if (real.length === 0) return inSoftware;
  if (software.length === 0) return hardware;
  const left = await without();
  if (left === undefined) return inSoftware;
  if (driversOf(left).software.length === 0) return hardware;
  return (await files()).some((file) => GPU_FILE.test(file)) ? hardware : inSoftware;
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

export const mapsOf = (pid: number): Promise<string> => readFile(`/proc/${pid}/maps`, "utf8").catch(() => "");

async function filesOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const entries = await readdir(folder).catch(() => []);
  return Promise.all(entries.map((entry) => readlink(join(folder, entry)).catch(() => "")));
}

/** What WebGPU computes with in a process. @param without as in {@link InUse} */
export async function webgpuAdapter(pid: number, without: InUse["without"]): Promise<Adapter | undefined> {
  if (process.platform === "linux") return adapterOfMaps(await mapsOf(pid), { without, files: () => filesOf(pid) });
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

/** How many of a machine's GPUs CUDA is to see: of those that are listed, up to the first that is none (CUDA C++ Programming Guide). */
function seenOf(gpus: number, { CUDA_VISIBLE_DEVICES: visible }: Readonly<NodeJS.ProcessEnv> = process.env): number {
  if (visible === undefined) return gpus;
  const entries = visible.split(",").map((entry) => entry.trim());
  const end = entries.findIndex((entry) => entry === "" || entry.startsWith("-"));
  return Math.min(gpus, end < 0 ? entries.length : end);
}

/** How many GPUs of NVIDIA's CUDA may see; 0 where nvidia-smi tells of none. */
export const cudaCount = async (): Promise<number> => seenOf((await nvidiaGpus()).length);

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

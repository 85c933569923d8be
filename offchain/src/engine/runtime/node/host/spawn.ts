/**
 * Starts the engine's process with nothing of this one: an empty working directory that is removed as soon as the process
 * stands, an environment by allow-list, two pipes. Node's permission model is a second wall: it keeps the process's
 * JavaScript from files, processes and network tools, but does not bind native code; the first wall is the inspection.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Place } from "../../device.ts";
import { directoryPrefix, sweepDirectories } from "./directories.ts";

/** What of the environment the process gets: where libraries are, nothing else. */
const ENVIRONMENT = [
  "LD_LIBRARY_PATH",
  "DYLD_LIBRARY_PATH",
  "SystemRoot",
  "LANG",
  // Which of the system's GPU drivers, and of their GPUs, Vulkan takes (LoaderDriverInterface.md of Vulkan-Loader).
  "VK_DRIVER_FILES",
  "VK_ICD_FILENAMES",
  "VK_LOADER_DRIVERS_SELECT",
  "VK_LOADER_DRIVERS_DISABLE",
  "VK_LOADER_DEVICE_ID_FILTER",
  "VK_LOADER_VENDOR_ID_FILTER",
  // Which GPUs CUDA sees, and in which order (CUDA C++ Programming Guide).
  "CUDA_VISIBLE_DEVICES",
  "CUDA_DEVICE_ORDER",
];

/**
 * How glibc is to give a step its buffers (mallopt(3), tunables of malloc). They are the same at every step: below 32 MiB, the
 * most that glibc allows, they come from a heap that is kept, in huge pages. Giving them back and getting them anew, zeroed and
 * in pages of 4 KiB, took a quarter of a step's time at 20m. What lies above is given back after each step.
 */
export const allocation = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: String(32 << 20),
  MALLOC_TRIM_THRESHOLD_: String(1 << 30),
  GLIBC_TUNABLES: "glibc.malloc.hugetlb=1",
};

/** What the libraries of a place read besides. */
const OF_PLACE: Partial<Record<Place, Readonly<Record<string, string>>>> = {
  cuda: {
    // Products in fp32. ONNX Runtime lets NVIDIA's libraries round factors to TF32's ten bits, and its package for Node has no
    // option for that; this variable is stronger (cuBLAS and cuDNN, environment variables).
    NVIDIA_TF32_OVERRIDE: "0",
    // GPUs in nvidia-smi's order, by which people know them and adapters.ts looks them up.
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
  },
};

/** The environment of a process, beside where its home is. @param own this process's, of which it gets what {@link ENVIRONMENT} lists */
export function environmentOf(place: Place, own: Readonly<NodeJS.ProcessEnv> = process.env): Record<string, string> {
  const environment: Record<string, string> = { ...allocation, ...OF_PLACE[place] };
  for (const name of ENVIRONMENT) {
    const value = own[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

const source = import.meta.url.endsWith(".ts");
const entry = fileURLToPath(new URL(source ? "./process.ts" : "./process.js", import.meta.url));
/** The offchain package, the repository around it. */
const offchain = fileURLToPath(new URL("../../../../../", import.meta.url));
const repository = dirname(offchain);

/** Code, and no state directory beside it. */
const readable = [
  ...["src", "dist", "package.json", "node_modules"].map((name) => join(offchain, name)),
  ...["sdk", "package.json", "node_modules"].map((name) => join(repository, name)),
];

function permissions(): string[] {
  if (!process.allowedNodeEnvironmentFlags.has("--permission")) return [];
  return ["--permission", "--allow-addons", "--allow-worker", ...readable.map((path) => `--allow-fs-read=${path}`)];
}

export interface EngineProcess {
  readonly child: ChildProcess;
  /** Removes the working directory: what it was is then a directory in which nothing can be. */
  readonly leaveDirectory: () => void;
}

/**
 * Starts the process in a session of its own, so that a terminal's signals do not reach it.
 * @param more of its environment
 */
export function spawnEngine(place: Place, index: number, more: Readonly<Record<string, string>> = {}): EngineProcess {
  sweepDirectories(tmpdir());
  const directory = mkdtempSync(join(tmpdir(), directoryPrefix()));
  const environment = { ...environmentOf(place), ...more, HOME: directory, TMPDIR: directory, TEMP: directory };
  const child = spawn(
    process.execPath,
    [
      ...permissions(),
      "--disable-warning=SecurityWarning",
      "--disable-warning=ExperimentalWarning",
      ...(source ? ["--conditions=cotrain-source"] : []),
      entry,
      place,
      String(index),
    ],
    { cwd: directory, env: environment, detached: true, windowsHide: true, stdio: ["pipe", "ignore", "pipe", "pipe"] },
  );
  child.once("close", () => rmSync(directory, { recursive: true, force: true }));
  return {
    child,
    leaveDirectory: () => {
      // Threads of WebAssembly are Node's, which do not start without a directory; what runs in them reaches no files. Where this
      // process is killed first, the next one that starts an engine removes it (directories.ts).
      if (place === "wasm") return;
      try {
        rmdirSync(directory);
      } catch {
        // Some systems keep a directory that is in use; it goes when the process has ended.
      }
    },
  };
}

/** This machine as far as the engine is concerned: what it can hold, what its bits are, and which runtime computes them. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { arch as hostArch, freemem, platform as hostPlatform } from "node:os";

import { errnoOf } from "../../../base/core.ts";
import { EngineError } from "../../errors.ts";
import { leftByGroups } from "./controlGroups.ts";

/** What `deviceClass` looks at. */
export interface Machine {
  /** As in os.arch(). */
  readonly arch: string;
  /** As in os.platform(). */
  readonly platform: string;
  /** Text of /proc/cpuinfo; undefined where there is none. */
  readonly cpuInfo: string | undefined;
}

/** Undefined where there is no such file, as outside Linux, or where this process may not read it, as the engine's. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** The machine that this process runs on. */
const thisMachine = (): Machine => ({ arch: hostArch(), platform: hostPlatform(), cpuInfo: textOf("/proc/cpuinfo") });

/**
 * The class that a machine claims. `exact-x86` (x86 with AVX2 and FMA) is proven only by the run's conformance vector:
 * a machine that gets another digest belongs to a class of its own, whatever it claims here.
 * @throws EngineError DEVICE_UNSUPPORTED for x86 without AVX2 or FMA, whose products round otherwise
 */
export function deviceClass({ arch, platform, cpuInfo }: Machine = thisMachine()): string {
  if (arch !== "x64") return `${arch}-${platform}`;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuInfo ?? "")?.[1]?.split(" "));
  if (flags.size > 0 && !(flags.has("avx2") && flags.has("fma"))) {
    throw new EngineError("DEVICE_UNSUPPORTED", "This processor lacks AVX2 or FMA: its bits are of no known class.");
  }
  return "exact-x86";
}

/** Name and version of a runtime's package, as a build states it; the library itself is loaded by the engine's process alone. */
export function versionOf(name: "onnxruntime-node" | "onnxruntime-web"): string {
  const require = createRequire(import.meta.url);
  const manifest = join(dirname(require.resolve(name)), "..", "package.json"); // not every package lets it be named
  const { version }: { version: string } = require(manifest);
  return `${name} ${version}`;
}

/** What `availableMemory` asks of a system, in bytes. */
export interface MemoryTold {
  /** As in os.platform(). */
  readonly platform: string;
  /** As in os.freemem(). */
  free(): number;
  /** As in process.availableMemory(); 0 where it does not know. */
  available(): number;
  /** What the limits of containers leave; Infinity where there are none. */
  leftByGroups(): number;
}

const thisSystem = (): MemoryTold => ({
  platform: hostPlatform(),
  free: freemem,
  available: () => process.availableMemory(),
  leftByGroups: () => leftByGroups(textOf),
});

/**
 * What this process could still get: what the machine has free, and on Linux what the limits of containers leave, of which Node's own
 * answer knows one of several, counts cached files as used, and with a limit above what is free forgets the machine. Elsewhere Node's
 * own answer is the one: macOS keeps hardly a page free, and gives up what it holds for nobody.
 */
export function availableMemory(told: MemoryTold = thisSystem()): number {
  const known = told.available() || Infinity;
  if (told.platform !== "linux") return known === Infinity ? told.free() : known;
  const left = told.leftByGroups();
  return Math.min(told.free(), left === Infinity ? known : left);
}

/** All that a module of WebAssembly can have: its addresses have 32 bits (https://www.w3.org/TR/wasm-core-2/, limits of memories). */
export const WASM_BYTES = 2 ** 32;

/** {@link availableMemory} on WebAssembly. */
export const wasmMemory = (available: () => number = availableMemory): number => Math.min(WASM_BYTES, available());

/** Processor time that this process took so far, ms. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

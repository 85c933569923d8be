/**
 * A bound on what the engine's process may take, should a program take more than its inspection counted. It is on writable
 * private memory (RLIMIT_DATA): one on addresses (RLIMIT_AS) is no bound here, since V8 alone reserves some 18 GiB of them.
 * What is asked for beyond it is not given: the call fails, or the process ends, and the machine goes on.
 */
import { readFile } from "node:fs/promises";

import { EngineError } from "../../../errors.ts";
import { engineMemory } from "../../../memory.ts";
import type { ProgramOutline } from "../../../signature.ts";
import type { Place } from "../../device.ts";
import { runSystemProgram } from "../systemPrograms.ts";

/**
 * Beside the programs' tensors: V8's heap, buffers in flight, results that are not collected yet. Measured: 0.4 GiB at 1m. A GPU's
 * driver and its compiler of shaders are in the process, too: 0.9 GiB at 0.1m for one in software. What CUDA takes nobody measured.
 */
const RUNTIME_BYTES: Readonly<Record<Place, number>> = { cpu: 2 ** 30, wasm: 2 ** 30, webgpu: 2 ** 33, cuda: 2 ** 34 };
/**
 * A thread's stack, and what the allocator keeps for it. On WebAssembly a thread is Node's, which keeps addresses for a heap and
 * code of its own: measured 526 MiB.
 */
const THREAD_BYTES: Readonly<Record<Place, number>> = {
  cpu: 16 << 20,
  wasm: 576 << 20,
  webgpu: 16 << 20,
  cuda: 16 << 20,
};
/** Memory patterns and arenas in powers of two hold more than is in use. Measured: twice the peak at 20m. */
const PEAKS = 3;

/**
 * Bytes that a process with these programs may take beyond what it has before it opens them: never more than the machine has. Beside
 * that it may have addresses that take no memory: a GPU's driver keeps many, and so does each thread on WebAssembly.
 * @param available of the machine's memory, bytes
 */
export function allowanceFor(place: Place, peaks: readonly number[], threads: number, available: number): number {
  const runtime = RUNTIME_BYTES[place] + threads * THREAD_BYTES[place];
  const programs = PEAKS * peaks.reduce((sum, peak) => sum + peak, 0);
  return place === "cpu" ? Math.min(runtime + programs, available) : runtime + Math.min(programs, available);
}

/** fp32. */
const bytesOf = (tensors: readonly { readonly shape: readonly number[] }[]): number =>
  tensors.reduce((sum, { shape }) => sum + 4 * shape.reduce((all, length) => all * length, 1), 0);

/**
 * Refuses programs whose parameters and state do not fit the machine's memory while they cross to a GPU: what is there besides is
 * held against the GPU's own.
 * @param available bytes of the machine's memory
 * @throws EngineError `PROGRAM_TOO_LARGE`
 */
export function requireHostMemory(place: Place, outlines: readonly ProgramOutline[], available: number): void {
  if (place !== "webgpu" && place !== "cuda") return; // the inspection's peak has all of it
  const needs = outlines.map(({ parameters, state }) => {
    const held = { parameters: 2 * bytesOf(parameters), optimizer: 2 * bytesOf(state) };
    const total = held.parameters + held.optimizer;
    return engineMemory(place, { ...held, gradients: 0, activations: 0, constants: 0, total }).host;
  });
  const needed = Math.max(0, ...needs);
  if (needed <= available) return;
  throw new EngineError(
    "PROGRAM_TOO_LARGE",
    `The program needs ${Math.ceil(needed / 2 ** 20)} MiB of the machine's memory beside the GPU's; ${Math.floor(available / 2 ** 20)} MiB are available.`,
    { details: { needed, available } },
  );
}

/**
 * Bounds a process that runs to what it has now and an allowance; it cannot raise the bound itself.
 * @returns the bound in bytes, undefined where the system has none: not Linux, or without util-linux's prlimit
 */
export async function boundMemory(pid: number, allowance: number): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const kibibytes = /^VmData:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes === undefined) return undefined;
    const bound = Number(kibibytes) * 1_024 + allowance;
    // Core dumps of it would fill a disk.
    await runSystemProgram("prlimit", ["--pid", String(pid), `--data=${bound}`, "--core=0"]);
    return bound;
  } catch {
    return undefined;
  }
}

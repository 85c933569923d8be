/** Whether this machine can hold the run, told before anything large is fetched. */
import { statfs } from "node:fs/promises";
import { freemem } from "node:os";

import { UserError } from "../base/index.ts";

export interface Needs {
  /** Bytes of memory while training. */
  readonly memory: number;
  /** Bytes of disk for cached artefacts. */
  readonly disk: number;
}

export interface ModelSize {
  readonly parameters: number;
  readonly vocabulary: number;
  readonly microBatch: number;
  readonly sequence: number;
}

/**
 * Bytes per parameter: θ, m, v twice (a step never writes where it reads), gradients, θ_r, two residuals, a payload.
 * Measured at the 1 M preset: the estimate exceeds the process's growth by half.
 */
const BYTES_PER_PARAMETER = 6 * 4 + 4 + 4 + 2 * 4 + 2;
/** Node, ONNX Runtime and their arenas before any model is loaded. */
const PROCESS_BYTES = 150 << 20;

/** What a run needs; an upper estimate for the engine's own models. */
export function needsOf(size: ModelSize, artefactBytes: number): Needs {
  // Logits, their exponentials and their gradients are the largest activations; the layers' come to about as much again.
  const activations = size.microBatch * size.sequence * size.vocabulary * 4 * 6;
  return { memory: PROCESS_BYTES + size.parameters * BYTES_PER_PARAMETER + activations, disk: artefactBytes };
}

/** What this process may still take. */
export interface Surroundings {
  availableMemory(): number;
  freeDisk(directory: string): Promise<number>;
}

export const machine: Surroundings = {
  // Counts what the kernel can reclaim and respects a container's limit, which freemem does not.
  availableMemory: () => process.availableMemory() || freemem(),
  freeDisk: async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
};

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/**
 * Refuses a run that does not fit.
 * @throws UserError `MEMORY_SHORT`, `DISK_SHORT`
 */
export async function checkResources(
  needs: Needs,
  directory: string,
  surroundings: Surroundings = machine,
): Promise<void> {
  const memory = surroundings.availableMemory();
  if (memory < needs.memory) {
    throw new UserError(
      "MEMORY_SHORT",
      `This run needs about ${gib(needs.memory)} of memory and ${gib(memory)} are available: use a larger machine or stop other programs.`,
      { details: { needed: needs.memory, available: memory } },
    );
  }
  const disk = await surroundings.freeDisk(directory);
  if (disk < needs.disk) {
    throw new UserError(
      "DISK_SHORT",
      `This run needs about ${gib(needs.disk)} of disk under ${directory} and ${gib(disk)} are free: make room or name another directory with --state.`,
      { details: { needed: needs.disk, available: disk } },
    );
  }
}

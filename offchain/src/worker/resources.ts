/** Whether this machine can hold the run, told before anything large is fetched. */
import { UserError } from "../base/index.ts";

export interface Needs {
  /** Bytes of memory while training. */
  readonly memory: number;
  /** Bytes of disk for cached artefacts. */
  readonly disk: number;
}

export interface ModelSize {
  readonly parameters: number;
  /** Numbers that the inner optimizer keeps. */
  readonly state: number;
  readonly vocabulary: number;
  readonly microBatch: number;
  readonly sequence: number;
  /** The definition's model config; what it says of layers and widths is used where it says it. */
  readonly model: Readonly<Record<string, string | number | boolean>>;
}

/** θ twice (a step never writes where it reads), gradients; θ_r, θ_i, two residuals, payload, copies under way. */
const BYTES_PER_PARAMETER = 3 * 4 + 6 * 4 + 1;
/** Twice, as θ. */
const BYTES_OF_STATE = 2 * 4;
/** Node, ONNX Runtime and their heaps before any model is loaded. */
const PROCESS_BYTES = 384 << 20;

/**
 * What a run needs: the engine's own models were measured between 0.9 and 1.2 times this, from 1 M to 20 M parameters.
 * @param artefactBytes what the cache will hold
 */
export function needsOf(size: ModelSize, artefactBytes: number): Needs {
  const number = (field: string): number => {
    const value = size.model[field];
    return typeof value === "number" && value > 0 ? value : 0;
  };
  const layer = 12 * number("width") + 8 * number("hidden") + 6 * number("heads") * size.sequence;
  const perToken = 6 * size.vocabulary + number("layers") * layer;
  const activations = size.microBatch * size.sequence * perToken * 4;
  const tensors = size.parameters * BYTES_PER_PARAMETER + size.state * BYTES_OF_STATE;
  return { memory: PROCESS_BYTES + tensors + activations, disk: artefactBytes };
}

/** What this machine still has. */
export interface Surroundings {
  availableMemory(): number;
  freeDisk(directory: string): Promise<number>;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/**
 * Refuses a run that does not fit.
 * @throws UserError `MEMORY_SHORT`, `DISK_SHORT`
 */
export async function checkResources(needs: Needs, directory: string, surroundings: Surroundings): Promise<void> {
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

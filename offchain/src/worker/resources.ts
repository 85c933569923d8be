/** Whether this machine can hold the run, told before anything large is fetched. */
import { UserError } from "../base/index.ts";
import { checkConfig, EngineError, stepSize, type TransformerConfig } from "../engine/index.ts";

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
  /** The definition's model config; of one that is not the engine's own, layers are not counted. */
  readonly model: Readonly<Record<string, string | number | boolean>>;
}

/** Of θ and the optimizer's state, in the engine's process: each twice, since a step never writes where it reads. */
const HELD_BYTES = 2 * 4;
/** Held there beside what is counted, by the runtime and in messages: measured 18 at 20m, 33 at 150m. */
const BESIDE_BYTES = 32;
/** In the worker's own process: θ_r, the residuals before and after, a fragment of θ_i, payload, what is on its way. */
const WORKER_BYTES = 4 * 4 + 1;
/** Node, ONNX Runtime and their heaps before any model is loaded. */
const PROCESS_BYTES = 384 << 20;

/**
 * What a run needs.
 * @param artefactBytes what the cache will hold
 */
export function needsOf(size: ModelSize, artefactBytes: number): Needs {
  const { parameters, state } = size;
  const held = (parameters + state) * HELD_BYTES + parameters * (BESIDE_BYTES + WORKER_BYTES);
  return { memory: PROCESS_BYTES + held + stepBytes(size), disk: artefactBytes };
}

/** Gradients and activations. */
function stepBytes({ parameters, vocabulary, microBatch, sequence, model }: ModelSize): number {
  try {
    const { gradients, activations } = stepSize(checkConfig(model as unknown as TransformerConfig), {
      microBatch,
    }).memory;
    return gradients + activations;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return 4 * parameters + 3 * 4 * microBatch * sequence * vocabulary;
  }
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

/** Whether this machine can hold the run, told before anything large is fetched. */
import type { Build } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import {
  checkConfig,
  EngineError,
  engineMemory,
  type Place,
  type StepMemory,
  stepSize,
  type TransformerConfig,
} from "../engine/index.ts";
export interface Needs {
  /** Bytes of the machine's memory while training. */
  readonly memory: number;
  /** Bytes of the memory that the device has of its own. */
  readonly own: number;
  /** Bytes of disk for cached artefacts. */
  readonly disk: number;
}

export interface ModelSize {
  readonly parameters: number;
  /** Numbers that the inner optimizer keeps. */
  readonly state: number;
  readonly vocabulary: number;
  readonly microBatch: number;
  /** Default 1. */
  readonly accumulation?: number | undefined;
  readonly sequence: number;
  /** Of the step's products; default fp32. */
  readonly precision?: Build["precision"] | undefined;
  /** The definition's model config; of one that is not the engine's own, layers are not counted. */
  readonly model: Readonly<Record<string, string | number | boolean>>;
}

/** Of each parameter in the worker's own process: θ_r, the residuals before and after, a fragment of θ_i, payload, what is on its way. */
const WORKER_BYTES = 4 * 4 + 1;
/**
 * Node and its heap before any model is loaded, 176 MiB, and what the heaps of this process and the engine's hold beside what is
 * counted: at 20m they were measured at 557 and 1,036 MiB.
 */
const PROCESS_BYTES = 300 << 20;

/**
 * What a run needs.
 * @param artefactBytes what the cache will hold
 * @param place what the worker computes with
 */
export function needsOf(size: ModelSize, artefactBytes: number, place: Place = "cpu"): Needs {
  const { host, own } = engineMemory(place, stepMemory(size));
  return { memory: PROCESS_BYTES + size.parameters * WORKER_BYTES + host, own, disk: artefactBytes };
}

/** Of a model that is not the engine's own from its numbers: θ and state twice, all gradients, and logits. */
function stepMemory({
  parameters,
  state,
  vocabulary,
  microBatch,
  accumulation = 1,
  sequence,
  precision = "fp32",
  model,
}: ModelSize): StepMemory {
  const held = { parameters: 8 * parameters, optimizer: 8 * state };
  const sizes = (): Pick<StepMemory, "gradients" | "activations" | "constants"> => {
    try {
      return stepSize(checkConfig(model as unknown as TransformerConfig), { microBatch, accumulation, precision })
        .memory;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return { gradients: 4 * parameters, activations: 3 * 4 * microBatch * sequence * vocabulary, constants: 0 };
    }
  };
  const { gradients, activations, constants } = sizes();
  const total = held.parameters + held.optimizer + gradients + activations + constants;
  return { ...held, gradients, activations, constants, total };
}

/** Memory that is there, in bytes. */
interface Room {
  /** The machine's. */
  readonly host: number;
  /** The device's own; null where the system does not tell, undefined where it has none. */
  readonly own: number | null | undefined;
}

/** Whether it is enough; null where the system does not tell. */
export function fits({ memory, own }: Pick<Needs, "memory" | "own">, room: Room): boolean | null {
  if (memory > room.host) return false;
  if (room.own === undefined) return true;
  return room.own === null ? null : own <= room.own;
}

/** What this machine still has. */
export interface Surroundings {
  availableMemory(): number;
  freeDisk(directory: string): Promise<number>;
  /** Of the device's own memory; undefined where it has none, or the system does not tell. */
  readonly ownMemory?: (() => Promise<number | undefined>) | undefined;
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
  const own = await surroundings.ownMemory?.();
  if (own !== undefined && own < needs.own) {
    throw new UserError(
      "MEMORY_SHORT",
      `This run needs about ${gib(needs.own)} of the device's own memory and ${gib(own)} are free: name another with --device or stop what uses it.`,
      { details: { needed: needs.own, available: own } },
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

/**
 * The port between the engine and what computes: programs are opened and run, values lie where they are computed with. One
 * implementation per place: node/cpu.ts is ONNX Runtime on the CPU.
 */
import type { ProgramKind } from "../signature.ts";

/** fp32 values where a runtime computes: an array on the CPU, a buffer on a GPU. A run reads it, or writes it in place. */
export interface DeviceBuffer {
  /** The values, for looking only: the next run may change them. */
  read(): Promise<Float32Array>;
  /** As many values as the buffer has. */
  write(values: Float32Array): void;
}

/** Values that are handed over for one run. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export interface ExecutableOptions {
  readonly kind: ProgramKind;
  readonly threads: number;
  /** Bytes that the inspection counted for one call. */
  readonly peak: number;
  /** Outputs that are written to buffers, and so stay where they were computed. */
  readonly kept: readonly string[];
}

/** A program that is ready to run. */
export interface Executable {
  /**
   * Runs the program once.
   * @param feeds by input
   * @param into buffers that outputs are written to; none of them may be fed to the same run, which would corrupt it
   * @param wanted outputs that are handed back, those that are fp32
   * @throws RuntimeError
   */
  run(
    feeds: ReadonlyMap<string, DeviceBuffer | HostTensor>,
    into: ReadonlyMap<string, DeviceBuffer>,
    wanted: readonly string[],
  ): Promise<ReadonlyMap<string, Float32Array>>;
  release(): Promise<void>;
}

/** Many inner steps in one call (loop.ts), for a runtime at which each call costs. Nothing stops such a call. */
export interface Blocks {
  /** About how long one computes at most, ms. */
  readonly ms: number;
  /** Bytes of a call up to which it is done so; larger programs take step by step. */
  readonly memory: number;
}

export interface Runtime {
  readonly blocks?: Blocks | undefined;
  /** Bytes that a program may still take here. */
  availableMemory(): number;
  /** Processor time that was taken so far, ms. */
  cpuTime(): number;
  /** A buffer of zeros, or over these values. */
  buffer(shape: readonly number[], values?: Float32Array): DeviceBuffer;
  /** Opens a program that was inspected. @throws EngineError `PROGRAM_REFUSED`, `DEVICE_MISSING` */
  open(program: Uint8Array, options: ExecutableOptions): Promise<Executable>;
}

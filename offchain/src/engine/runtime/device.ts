/** A device is a row: what people call it, how an engine is opened on it, and what its bits are worth. node/devices.ts has Node's. */
import type { Engine, EngineOptions } from "../engine.ts";
import { EngineError } from "../errors.ts";

/** Opens an engine; where that is a process or a thread of its own, it ends with this one. */
export type OpenEngine = (options: EngineOptions) => Promise<Engine>;

/** What an engine computes with, and so where its tensors lie: the name of its device, without an index. */
export type Place = "cpu" | "wasm" | "webgpu" | "cuda";

/** The place of a device's name, such as `cuda:1`. */
export const placeOf = (name: string): Place => name.replace(/:.*$/, "") as Place;

/** What computes behind a device, as far as the system tells. */
export interface Adapter {
  /** Its model, or its driver. */
  readonly name: string;
  /** Whether the processor computes what a GPU should. */
  readonly software: boolean;
}

export interface Device {
  /** What people call it: `cpu`, `cuda:1`. */
  readonly name: string;
  /** Name and version of the runtime, as a build states it. */
  readonly runtime: () => string;
  /**
   * The class of devices that compute the same bits, as far as a device can claim it: the conformance vector decides.
   * @throws EngineError `DEVICE_UNSUPPORTED`
   */
  readonly exactness: () => string;
  /** Whether machines of one class compute the same bits, so that any of them can replay another's steps. */
  readonly exact: boolean;
  /** Threads that there are. */
  readonly threads: () => number;
  /** Bytes of the machine's memory that may still be taken. */
  readonly availableMemory: () => number;
  /** Bytes that a program may take where its tensors lie; default {@link availableMemory}. */
  readonly programMemory?: () => Promise<number>;
  /** Bytes that are free of a memory of its own; undefined where it has none, or where the system does not tell. */
  readonly ownMemory?: () => Promise<number | undefined>;
  /** What computes for an engine that is open on it, by that engine's process; undefined where the system does not tell. */
  readonly adapter?: (pid: number) => Promise<Adapter | undefined>;
  /** About how long inner steps compute that are one call, which nothing stops, ms; undefined where each step is a call. */
  readonly blockMs?: number | undefined;
  readonly open: OpenEngine;
}

/** What a program's tensors are held against. */
export const memoryOf = async ({
  programMemory,
  availableMemory,
}: Pick<Device, "programMemory" | "availableMemory">): Promise<number> =>
  (await programMemory?.()) ?? availableMemory();

/** A device whose engines end by a signal, whatever they are doing, and by that of whoever opens them. */
export const endedBy = <D extends Pick<Device, "open">>(signal: AbortSignal, { open, ...rest }: D) => ({
  ...rest,
  open: ((options) =>
    open({
      ...options,
      signal: options.signal ? AbortSignal.any([signal, options.signal]) : signal,
    })) as Device["open"],
});

/** The class that a device claims, undefined for one that computes otherwise than all that are known, and may train all the same. */
export function classOf({ exactness }: Pick<Device, "exactness">): string | undefined {
  try {
    return exactness();
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

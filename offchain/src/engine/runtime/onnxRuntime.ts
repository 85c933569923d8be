/**
 * ONNX Runtime behind the port, whichever of its packages it comes from. Free of Node: each place hands its own in, with what
 * the packages do not have in common.
 */
import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-web";

import { giveBack } from "../../base/core.ts";
import { EngineError, RuntimeError } from "../errors.ts";
import { elements } from "../graph.ts";
import { COPY, copyProgram } from "./copyProgram.ts";
import type { DeviceBuffer, HostTensor, Runtime, Executable, ExecutableOptions } from "./port.ts";

/** A package of ONNX Runtime, and how it is used. */
interface OnnxPackage {
  readonly Tensor: TensorConstructor;
  readonly InferenceSession: {
    create(program: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
}

export interface OnnxPlace extends Pick<Runtime, "availableMemory" | "cpuTime" | "blocks"> {
  readonly ort: OnnxPackage;
  readonly sessionOptions: (options: ExecutableOptions) => InferenceSession.SessionOptions;
  /** Whether a session writes an output into the tensor that it is handed; else it answers with a tensor of its own. */
  readonly writesInPlace: boolean;
  /** Makes a call to the package, after those before it where the package bears one at a time; default at once. */
  readonly inTurn?: <Result>(call: () => Promise<Result>) => Promise<Result>;
  /** What a refusal to open a session says about the place, rather than about the program. */
  readonly explain?: (cause: unknown) => EngineError | undefined;
}

/** Of the port's options what opening a copy needs, too. */
const COPYING = { kind: "step", threads: 1, peak: 0, kept: [] } as const;

/** Holds the tensor that sessions read, or write in place; what a session answers instead takes its place. */
interface OnnxBuffer extends DeviceBuffer {
  /** Zeros before it was written, which are there once somebody asks for them: most are replaced before. */
  tensor: Tensor;
  /** The tensor, where there is one. */
  readonly held: () => Tensor | undefined;
}

export function onnxRuntime(place: OnnxPlace): Runtime {
  const { ort, availableMemory, cpuTime, blocks } = place;
  const copies = new Map<string, Promise<InferenceSession>>();
  /** A program that copies a tensor of a shape: what lies on a GPU goes in, and comes out in this process's memory. */
  const copyOf = (shape: readonly number[]): Promise<InferenceSession> => {
    const key = shape.join("×");
    let session = copies.get(key);
    if (!session) {
      copies.set(key, (session = create(place, copyProgram(shape), COPYING)));
      // One that failed, for want of memory perhaps, is tried again.
      session.catch(() => copies.delete(key));
    }
    return session;
  };
  /** Programs that are open. */
  let programs = 0;
  /** Nobody reads what lies on the device once the last program is released. */
  const releaseCopies = async (): Promise<void> => {
    const opened = await Promise.allSettled(copies.values());
    copies.clear();
    for (const copy of opened) if (copy.status === "fulfilled") await turnOf(place)(() => copy.value.release());
  };
  /** The tensor's own `getData` ended the process (onnxruntime-node 1.30, for a tensor on a GPU: docs/engine.md has how). */
  const valuesOf = async (tensor: Tensor): Promise<Float32Array> => {
    if (tensor.location === "cpu") return numbersOf(tensor);
    try {
      const session = await copyOf(tensor.dims);
      const results = await turnOf(place)(() => session.run({ [COPY.from]: tensor }));
      return numbersOf(tensorOf(results, COPY.to));
    } catch (cause) {
      // Of a device that is lost this is all that is heard where no step is due; that it cannot open a copy says nothing of a program.
      throw new RuntimeError("RUNTIME_FAILED", "ONNX Runtime failed to read what lies on the device.", { cause });
    }
  };
  return {
    availableMemory,
    cpuTime,
    blocks,
    buffer: (shape, values) => {
      let held = values && new ort.Tensor("float32", values, shape);
      const buffer: OnnxBuffer = {
        get tensor() {
          return (held ??= new ort.Tensor("float32", new Float32Array(elements(shape)), shape));
        },
        set tensor(tensor) {
          held = tensor;
        },
        held: () => held,
        read: () => valuesOf(buffer.tensor),
        write: (given) => {
          if (buffer.tensor.location === "cpu") numbersOf(buffer.tensor).set(given);
          else replace(buffer, new ort.Tensor("float32", given.slice(), shape));
        },
      };
      return buffer;
    },
    open: async (program, options) => {
      const executable = executableOver(await create(place, program, options), options.kind, place);
      programs++;
      const release = async (): Promise<void> => {
        await executable.release();
        if (--programs === 0) await releaseCopies();
      };
      return { ...executable, release };
    },
  };
}

const turnOf = ({ inTurn = (call) => call() }: OnnxPlace): NonNullable<OnnxPlace["inTurn"]> => inTurn;

const create = (place: OnnxPlace, program: Uint8Array, options: ExecutableOptions): Promise<InferenceSession> =>
  turnOf(place)(() => place.ort.InferenceSession.create(program, place.sessionOptions(options))).catch(
    (cause: unknown) => {
      const refused = `ONNX Runtime refuses the ${options.kind} program.`;
      throw place.explain?.(cause) ?? new EngineError("PROGRAM_REFUSED", refused, { cause });
    },
  );

/** What a buffer held is given back: a GPU's memory is no garbage collector's matter, and others' it frees late. */
function replace(buffer: OnnxBuffer, tensor: Tensor): void {
  const held = buffer.held();
  if (held && held.location !== "cpu") held.dispose();
  else if (held) giveBack(numbersOf(held));
  buffer.tensor = tensor;
}

/**
 * onnxruntime-node answers with a copy of what it wrote in place (1.30), in arrays that the garbage collector finds later: of a step
 * that is all parameters and state once more. They are given back at once.
 */
function discardCopy(results: InferenceSession.ReturnType, name: string, { tensor }: OnnxBuffer): void {
  const { data } = tensorOf(results, name);
  if (data instanceof Float32Array && data.buffer !== numbersOf(tensor).buffer) giveBack(data);
}

function executableOver(session: InferenceSession, kind: string, place: OnnxPlace): Executable {
  const { ort, writesInPlace } = place;
  return {
    run: async (feeds, into, wanted) => {
      const given: Record<string, Tensor> = {};
      for (const [name, feed] of feeds) given[name] = inputOf(ort, feed);
      const fetches: Record<string, Tensor | null> = {};
      for (const [name, buffer] of into) fetches[name] = writesInPlace ? (buffer as OnnxBuffer).tensor : null;
      for (const name of wanted) fetches[name] = null;
      const results = await turnOf(place)(() => session.run(given, fetches)).catch((cause: unknown) => {
        throw new RuntimeError("RUNTIME_FAILED", `ONNX Runtime failed in the ${kind} program.`, { cause });
      });
      for (const [name, buffer] of into) {
        if (writesInPlace) discardCopy(results, name, buffer as OnnxBuffer);
        else replace(buffer as OnnxBuffer, tensorOf(results, name));
      }
      return new Map(wanted.flatMap((name) => fp32Of(results, name)));
    },
    release: () =>
      turnOf(place)(() => session.release()).catch((cause: unknown) => {
        throw new RuntimeError("RUNTIME_FAILED", `ONNX Runtime failed to release the ${kind} program.`, { cause });
      }),
  };
}

function inputOf({ Tensor }: OnnxPackage, feed: DeviceBuffer | HostTensor): Tensor {
  if ("tensor" in feed) return (feed as OnnxBuffer).tensor;
  const { data, shape } = feed as HostTensor;
  return data instanceof Float32Array ? new Tensor("float32", data, shape) : new Tensor("int64", data, shape);
}

function tensorOf(results: InferenceSession.ReturnType, name: string): Tensor {
  const value = results[name];
  if (value && "location" in value && value.type === "float32") return value;
  throw new RuntimeError("RUNTIME_RESULT", `The program gave no fp32 tensor ${name}.`);
}

function numbersOf({ data }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new RuntimeError("RUNTIME_RESULT", "A tensor of the engine holds no fp32 values.");
}

/** An output as fp32; nothing where it is none. */
function fp32Of(results: InferenceSession.ReturnType, name: string): [string, Float32Array][] {
  const value = results[name];
  return value && "data" in value && value.data instanceof Float32Array ? [[name, value.data]] : [];
}

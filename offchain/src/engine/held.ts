/** What an engine holds between two calls: parameters and optimizer state in buffers of its runtime, and the optimizer's step. */
import type { NamedTensor } from "./config.ts";
import type { TensorShape } from "./engine.ts";
import { EngineError, RuntimeError } from "./errors.ts";
import { elements } from "./graph.ts";
import type { LoadedPrograms } from "./loadPrograms.ts";
import type { DeviceBuffer, Runtime } from "./runtime/port.ts";

/** Parameters and optimizer state by name. */
export type Buffers = ReadonlyMap<string, DeviceBuffer>;

export interface Held {
  readonly runtime: Runtime;
  readonly programs: LoadedPrograms;
  readonly parameterShapes: readonly TensorShape[];
  readonly stateShapes: readonly TensorShape[];
  /** Two sets that trade places each step: a buffer that is input and output of one call is silently corrupted. */
  current: Buffers;
  spare: Buffers;
  optimizerStep: number;
  /** What a step took in the last call, ms; undefined before the first. */
  stepMs: number | undefined;
}

/** @throws EngineError PROGRAM_MISSING */
export function hold(programs: LoadedPrograms, runtime: Runtime): Held {
  const first = programs.step ?? programs.eval ?? programs.logits;
  if (!first) throw new EngineError("PROGRAM_MISSING", "An engine needs at least one program.");
  const parameterShapes = first.outline.parameters;
  const stateShapes = programs.step?.outline.state ?? [];
  const allocate = (): Buffers =>
    new Map([...parameterShapes, ...stateShapes].map(({ name, shape }) => [name, runtime.buffer(shape)]));
  const current = allocate();
  const spare = programs.step ? allocate() : current;
  return { runtime, programs, parameterShapes, stateShapes, current, spare, optimizerStep: 0, stepMs: undefined };
}

export function bufferOf(buffers: Buffers, name: string): DeviceBuffer {
  const buffer = buffers.get(name);
  if (!buffer) throw new RuntimeError("BUFFER_MISSING", `The engine holds no tensor ${name}.`);
  return buffer;
}

/** Those of these names, in the order of the shapes; without names all. */
export const named = (shapes: readonly TensorShape[], names?: readonly string[]): readonly TensorShape[] => {
  const wanted = names && new Set(names);
  return wanted ? shapes.filter(({ name }) => wanted.has(name)) : shapes;
};

/** The engine's own values, for looking only: the next step reuses them. One by one: on the web a runtime opens one program at a time. */
export async function look({ current }: Held, shapes: readonly TensorShape[]): Promise<NamedTensor[]> {
  const tensors: NamedTensor[] = [];
  for (const { name, shape } of shapes) tensors.push({ name, shape, data: await bufferOf(current, name).read() });
  return tensors;
}

export const copyOf = async (held: Held, shapes: readonly TensorShape[]): Promise<NamedTensor[]> =>
  (await look(held, shapes)).map((tensor) => ({ ...tensor, data: tensor.data.slice() }));

/** @throws EngineError STATE_INVALID, with nothing written */
export function write(
  { current }: Held,
  shapes: readonly TensorShape[],
  values: readonly Float32Array[],
  what: string,
): void {
  checkValues(shapes, values, what);
  for (const [i, { name }] of shapes.entries()) {
    const value = values[i];
    if (value) bufferOf(current, name).write(value);
  }
}

/** @throws EngineError STATE_INVALID, with nothing written */
export function writeOptimizer(held: Held, step: number, tensors: readonly Float32Array[]): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new EngineError("STATE_INVALID", `The optimizer's step must be a whole number from 0, not ${step}.`);
  }
  write(held, held.stateShapes, tensors, "optimizer tensors");
  held.optimizerStep = step;
}

export function resetOptimizer(held: Held): void {
  for (const { name, shape } of held.stateShapes) {
    bufferOf(held.current, name).write(new Float32Array(elements(shape)));
  }
  held.optimizerStep = 0;
}

export function checkValues(shapes: readonly TensorShape[], values: readonly Float32Array[], what: string): void {
  if (values.length !== shapes.length) {
    throw new EngineError("STATE_INVALID", `The program has ${shapes.length} ${what}, not ${values.length}.`);
  }
  for (const [i, { name, shape }] of shapes.entries()) {
    if (values[i]?.length !== elements(shape)) {
      throw new EngineError("STATE_INVALID", `${name} has ${elements(shape)} values, not ${values[i]?.length}.`);
    }
  }
}

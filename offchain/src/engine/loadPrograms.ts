/** From the bytes of programs to executables of one model. */
import type { EngineOptions } from "./engine.ts";
import { EngineError } from "./errors.ts";
import type { Runtime, Executable } from "./runtime/port.ts";
import { type ProgramKind, type ProgramOutline, readSignature } from "./signature.ts";

/** A program that is open. */
export interface Loaded {
  readonly outline: ProgramOutline;
  readonly executable: Executable;
}

export type LoadedPrograms = Readonly<Partial<Record<ProgramKind, Loaded>>>;

/** Inspects and opens the programs of an engine, which must have the same parameters. */
export async function loadPrograms(
  { programs, threads, memory }: EngineOptions,
  runtime: Runtime,
): Promise<LoadedPrograms> {
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new EngineError("THREADS_INVALID", `The number of threads must be a positive whole number, not ${threads}.`);
  }
  const loaded: Partial<Record<ProgramKind, Loaded>> = {};
  let layout: string | undefined;
  for (const kind of ["step", "eval", "logits"] as const) {
    const bytes = programs[kind];
    if (!bytes) continue;
    const outline = readSignature(bytes, memory ?? runtime.availableMemory());
    const { signature } = outline;
    if (signature.kind !== kind) {
      throw new EngineError("PROGRAMS_DIFFER", `The ${kind} program says that it is a ${signature.kind} program.`);
    }
    const own = JSON.stringify([signature.vocabulary, outline.parameters]);
    if (layout !== undefined && own !== layout) {
      throw new EngineError("PROGRAMS_DIFFER", `The ${kind} program has other parameters than the programs beside it.`);
    }
    layout = own;
    const { maxThreads } = signature;
    if (maxThreads !== undefined && threads > maxThreads) {
      throw new EngineError(
        "THREADS_INVALID",
        `The ${kind} program is bit-exact up to ${maxThreads} threads; ${threads} are too many.`,
      );
    }
    // Only a step hands on what it was given.
    const kept = kind === "step" ? [...signature.parameters, ...signature.state].map(({ output }) => output) : [];
    const { peak } = outline.model;
    loaded[kind] = { outline, executable: await runtime.open(bytes, { kind, threads, peak, kept }) };
  }
  return loaded;
}

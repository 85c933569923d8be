/** From the bytes of programs to executables of one model. */
import type { EngineOptions } from "./engine.ts";
import { EngineError } from "./errors.ts";
import { type Loop, loopOf, loopPeak } from "./loop.ts";
import type { Blocks, Executable, Runtime } from "./runtime/port.ts";
import { type ProgramKind, type ProgramOutline, readSignature } from "./signature.ts";

/** A program that is open. */
export interface Loaded {
  readonly outline: ProgramOutline;
  readonly executable: Executable;
  /** Of a step that is opened as one that takes many; the executable is this one then. */
  readonly loop?: LoadedLoop | undefined;
  /** Why a step is opened as it is, where that is not as it should. */
  readonly remark?: string | undefined;
}

interface LoadedLoop extends Loop {
  /** About how long a call computes at most, ms. */
  readonly ms: number;
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
    const limit = memory ?? runtime.availableMemory();
    const outline = readSignature(bytes, limit);
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
    loaded[kind] = await opened(bytes, outline, { threads, limit }, runtime);
  }
  return loaded;
}

async function opened(
  bytes: Uint8Array,
  outline: ProgramOutline,
  { threads, limit }: { readonly threads: number; readonly limit: number },
  runtime: Runtime,
): Promise<Loaded> {
  const { kind, parameters, state } = outline.signature;
  const loop = kind === "step" ? loopIn(bytes, outline, runtime.blocks, limit) : undefined;
  // Only a step hands on what it was given.
  const carried = kind === "step" ? [...parameters, ...state] : [];
  let remark: string | undefined;
  if (loop) {
    try {
      const options = {
        kind,
        threads,
        peak: loopPeak(outline),
        kept: carried.map(({ output }) => loop.outputOf(output)),
      };
      return { outline, loop, executable: await runtime.open(loop.bytes, options) };
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "PROGRAM_REFUSED")) throw error;
      remark = refusedLoop(error);
    }
  }
  const kept = carried.map(({ output }) => output);
  return { outline, remark, executable: await runtime.open(bytes, { kind, threads, peak: outline.model.peak, kept }) };
}

/** The loop is made here, so that its refusal is no fault of the program, which has the same bits without it. */
const refusedLoop = ({ message, cause }: EngineError): string =>
  `The runtime refuses a loop of this program's steps and takes them one by one, which is slower (${cause instanceof Error ? cause.message : message}).`;

/** The loop of a step, where the runtime takes many steps in a call and has the memory for it. */
function loopIn(
  bytes: Uint8Array,
  outline: ProgramOutline,
  blocks: Blocks | undefined,
  memory: number,
): LoadedLoop | undefined {
  if (!blocks || loopPeak(outline) > Math.min(memory, blocks.memory)) return undefined;
  return { ...loopOf(bytes, outline), ms: blocks.ms };
}

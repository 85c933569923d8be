/**
 * Held-out loss of a checkpoint. The program runs in the engine's process, which, while a run trains, takes only what nobody else
 * wants of the processor, and no more than a share of the machine. At rest it is a process like others: somebody waits for it.
 */
import { availableParallelism } from "node:os";

import type { Definition } from "@cotrain/sdk/protocol";
import {
  createCoordinatorClient,
  type DataManifest,
  type Digest,
  heldOutSampleSize,
  type RunId,
  MAX_BUILD_BYTES,
  MAX_DEFINITION_BYTES,
  MAX_SHARD_BYTES,
} from "@cotrain/sdk/protocol";

import { type Clock, systemClock, unlessAborted, UserError } from "../base/index.ts";
import { bitsPerByte, openSequences, readDataManifest, type Sequences } from "../data/index.ts";
import { fragmentLayouts, scatterFragment, tensorViews } from "../diloco/index.ts";
import {
  conformance,
  createEngineGuard,
  type Engine,
  ENGINE_LIMITS,
  EngineClosedError,
  type EngineGuard,
  type EngineLimits,
  type OpenEngine,
  programLimits,
} from "../engine/index.ts";
import { openEngineHost } from "../engine/runtime/node/index.ts";
import {
  type BlobReader,
  createReadThrough,
  parseFragment,
  readManifest,
  parseBuild,
  parseDefinition,
} from "../storage/index.ts";
import { openBlobStore } from "../storage/node/index.ts";

interface LossRequest {
  readonly runId: RunId;
  readonly definition: Digest;
  readonly build: Digest;
  /** Digest of the checkpoint's manifest, or parameters by fragment, each flat in table order. */
  readonly checkpoint: Digest | readonly Float32Array[];
  /** Held-out sequences at most, all of them if there are fewer; or which ones, a whole number of the program's batches. */
  readonly sequences: number | readonly number[];
  /** Share of the machine's processor time that it may take, 0 … 1, of what nobody else wants; default no such bounds. */
  readonly share?: number | undefined;
}

interface LossResult {
  /** Nats per token. */
  readonly loss: number;
  readonly microBitsPerByte: number;
  /** Sequences measured: a whole number of the program's batches, evenly spaced over the held-out split if not named. */
  readonly sequences: number;
  /** Processor time of the engine's process from taking the parameters to the last batch, ms: neither to open nor to conform. */
  readonly cpu: number;
  /** Ms from taking the parameters to the rest after the last batch. */
  readonly elapsed: number;
}

/** Measures; one request at a time. */
export interface LossMeter {
  /** @throws RetryableError when something is not to be had or the process ended; UserError for what cannot be measured */
  measure(request: LossRequest, signal: AbortSignal): Promise<LossResult>;
  /** What this machine computes for the build, as machines of its class do; computed once, and within no share. */
  conformance(request: Origin, signal: AbortSignal): Promise<string>;
  close(): void;
}

export interface LossSettings {
  readonly coordinator: string;
  /** Where programs and held-out shards are kept: a path or a URL. */
  readonly cache: string;
  /** Default {@link ENGINE_LIMITS}: a processor that hangs, or a runtime, holds no validator up for ever. */
  readonly limits?: EngineLimits | undefined;
}

type Origin = Pick<LossRequest, "runId" | "definition" | "build">;

/** All that is needed for the checkpoints of one build. */
interface Setup {
  readonly definition: Definition;
  readonly manifest: DataManifest;
  readonly engine: Engine;
  readonly guard: EngineGuard;
  readonly heldOut: Sequences;
  readonly conformance: () => Promise<string>;
  /** Shards of checkpoints: not kept. */
  readonly passing: BlobReader;
}

/** The engine starts with the first request and again after its death. */
export function createLossMeter(settings: LossSettings, clock: Clock = systemClock): LossMeter {
  const setups = new Map<string, { readonly yields: boolean; readonly opening: Promise<Setup> }>();
  const engines = new Set<Engine>();
  const end = (engine: Engine): void => {
    engines.delete(engine);
    try {
      if (engine.pid !== undefined) process.kill(engine.pid, "SIGKILL"); // what it computes is no longer wanted
    } catch {
      // It has ended.
    }
  };
  /** The setup that is there, or one that yields or not as is asked: a process that yields cannot cease to. */
  const setupOf = (request: Origin, yields: boolean | undefined) => {
    const key = `${request.definition}/${request.build}`;
    const before = setups.get(key);
    if (before && (yields === undefined || before.yields === yields)) return { key, setup: before };
    before?.opening.then(({ engine }) => end(engine)).catch(() => undefined);
    const setup = { yields: yields ?? true, opening: open(settings, request, yields ?? true) };
    setups.set(key, setup);
    return { key, setup };
  };
  const within = async <T>(
    request: Origin,
    yields: boolean | undefined,
    signal: AbortSignal,
    work: (setup: Setup) => Promise<T>,
  ): Promise<T> => {
    signal.throwIfAborted();
    const { key, setup } = setupOf(request, yields);
    try {
      const opened = await unlessAborted(setup.opening, signal);
      engines.add(opened.engine);
      return await unlessAborted(work(opened), signal);
    } catch (error) {
      // One that is being opened still, for whoever comes next, is not waited for.
      const failed = async (): Promise<boolean> => !(await setup.opening.catch(() => undefined));
      const gone = error instanceof EngineClosedError || (!signal.aborted && (await failed()));
      if (gone && setups.get(key) === setup) setups.delete(key);
      throw error;
    }
  };
  return {
    measure: (request, signal) =>
      within(request, request.share !== undefined, signal, (setup) => measure(setup, request, clock, signal)),
    conformance: (request, signal) => within(request, undefined, signal, (setup) => setup.conformance()),
    close: () => {
      for (const engine of engines) end(engine);
      setups.clear();
    },
  };
}

/** Whoever stops waiting for a measurement ends the process instead. */
const NEVER = new AbortController().signal;

async function open(settings: LossSettings, request: Origin, yields: boolean): Promise<Setup> {
  const client = createCoordinatorClient(settings.coordinator);
  const { runId } = request;
  const fetch = (digest: Digest, limit: number): Promise<Uint8Array> => client.blob(runId, digest, limit);
  const kept = createReadThrough(
    await openBlobStore(settings.cache),
    [{ name: "the coordinator", fetch }],
    MAX_SHARD_BYTES,
  );
  const definition = parseDefinition(await kept.get(request.definition, MAX_DEFINITION_BYTES));
  const build = parseBuild(await kept.get(request.build, MAX_BUILD_BYTES));
  if (build.definition !== request.definition)
    throw new UserError("BUILD_FOREIGN", `Build ${request.build} is of another definition.`);
  const manifest = await readDataManifest(kept, definition.data as Digest);
  const program = await kept.get(build.graphs.eval as Digest, programLimits.bytes);
  const { limits = ENGINE_LIMITS } = settings;
  const guard = createEngineGuard(limits, NEVER, { held: definition.table, yields });
  const openGuarded: OpenEngine = (options) => openEngineHost({ ...options, signal: guard.signal });
  const engine = await guard.prepared(() => openGuarded({ programs: { eval: program }, threads: 1, yields }));
  let own: Promise<string> | undefined;
  const compute = async (): Promise<string> => {
    const step = await kept.get(build.graphs.step as Digest, programLimits.bytes);
    return guard.prepared(() => conformance(openGuarded, step));
  };
  return {
    definition,
    manifest,
    engine,
    guard,
    conformance: () => {
      const computing = (own ??= compute());
      computing.catch(() => (own = undefined));
      return computing;
    },
    heldOut: openSequences(kept, manifest, "heldOut", definition.sequence),
    passing: {
      ...kept,
      get: async (digest, limit = MAX_SHARD_BYTES) => new Uint8Array(await fetch(digest, limit)),
    },
  };
}

async function measure(setup: Setup, request: LossRequest, clock: Clock, signal: AbortSignal): Promise<LossResult> {
  const { manifest, engine, guard, heldOut } = setup;
  const parameters = await parametersOf(setup, request.checkpoint);
  const batch = engine.shapes.eval?.batch ?? 1;
  const { sequences } = request;
  const indices = typeof sequences === "number" ? sampleOf(heldOut.count, sequences, batch) : sequences;
  const startedAt = clock.monotonic();
  const cpuBefore = await guard.answered(() => engine.cpuTime());
  await guard.answered(() => engine.setParameters(parameters));
  let sum = 0;
  let cpu = 0;
  for (let from = 0; from < indices.length; from += batch) {
    signal.throwIfAborted();
    const tokens = await heldOut.tokens(indices.slice(from, from + batch));
    const { loss } = await guard.evaluated(() => engine.evaluate({ tokens }));
    sum += loss;
    cpu = (await guard.answered(() => engine.cpuTime())) - cpuBefore;
    // After the last batch too: the share is of the whole measurement.
    if (request.share !== undefined)
      await clock.sleep(restAfter(cpu, clock.monotonic() - startedAt, request.share), signal);
  }
  const loss = sum / (indices.length / batch);
  return {
    loss,
    microBitsPerByte: Math.round(bitsPerByte(loss, manifest.heldOut) * 1_000_000),
    sequences: indices.length,
    cpu,
    elapsed: clock.monotonic() - startedAt,
  };
}

/** Processor time of a measurement as a share of what the machine had meanwhile, both in ms. */
export const shareOf = ({ cpu, elapsed }: Pick<LossResult, "cpu" | "elapsed">): number =>
  cpu / Math.max(1, elapsed * availableParallelism());

/** Ms to rest, so that processor time stays within a share of what the machine had since the start. */
export function restAfter(cpu: number, elapsed: number, share: number, processors = availableParallelism()): number {
  return Math.max(0, Math.ceil(cpu / (share * processors) - elapsed));
}

async function parametersOf(
  { definition, passing }: Setup,
  source: LossRequest["checkpoint"],
): Promise<Float32Array[]> {
  const { table } = definition;
  const layouts = fragmentLayouts(table);
  if (typeof source !== "string") return tensorViews(source, layouts, table);
  const parameters = new Map(
    table.map(({ name, shape }) => [name, new Float32Array(shape.reduce((product, size) => product * size, 1))]),
  );
  const checkpoint = await readManifest(passing, source, table);
  for (const layout of layouts) {
    const fragment = checkpoint.fragments[layout.index]!;
    const shard = await passing.get(fragment.digest as Digest, fragment.bytes);
    scatterFragment(parseFragment(shard, table, fragment).params, layout, parameters);
  }
  return [...parameters.values()];
}

/**
 * Which held-out sequences are measured: evenly spaced, fixed by the split alone, as many as asked for rounded down to whole
 * batches, one at least; a split smaller than a batch is repeated.
 */
export function sampleOf(available: number, wanted: number, batch: number): number[] {
  const count = heldOutSampleSize(available, wanted, batch);
  return Array.from({ length: count }, (_, i) =>
    available >= count ? Math.floor((i * available) / count) : i % available,
  );
}

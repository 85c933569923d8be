/** Held-out loss for the gate: the eval program of the run's build, in an engine that opens when it is first needed. */
import type { Build } from "@cotrain/sdk/protocol";
import {
  asDigest,
  type DataManifest,
  type Definition,
  type Digest,
  MAX_BUILD_BYTES,
  MAX_PROGRAM_BYTES,
} from "@cotrain/sdk/protocol";

import { InternalError, RetryableError } from "../base/index.ts";
import { bitsPerByte, openSequences, readDataManifest, type Sequences } from "../data/index.ts";
import { fragmentLayouts, tensorViews } from "../diloco/index.ts";
import {
  classOf,
  conformance,
  createEngineGuard,
  type Engine,
  ENGINE_LIMITS,
  type EngineGuard,
  type OpenEngine,
} from "../engine/index.ts";
import { devices, openEngineHost } from "../engine/runtime/node/index.ts";
import { type BlobStore, parseBuild } from "../storage/index.ts";
import type { Builds } from "./builds.ts";

export interface GateMeter {
  /** What it measures with: what this machine computes as, sequences per batch, and how many the held-out split has. */
  describe(): Promise<{
    readonly build: Digest;
    readonly conformance: Digest;
    readonly batch: number;
    readonly available: number;
  }>;
  /**
   * Mean loss in micro-bits per byte.
   * @param fragments parameters by fragment, each flat in table order
   * @returns null when it is not a number that the record can hold
   */
  loss(fragments: readonly Float32Array[], sequences: readonly number[]): Promise<number | null>;
  close(): Promise<void>;
}

interface Opened {
  readonly build: Digest;
  readonly conformance: Digest;
  readonly engine: Engine;
  readonly guard: EngineGuard;
  readonly heldOut: Sequences;
  readonly manifest: DataManifest;
}

type ChosenBuild = Pick<Build, "graphs"> & { readonly build: Digest };

/** The first whose class this machine is, else the first: validators of its class hold the losses to the last bit. */
async function chooseBuild(blobs: BlobStore, builds: Pick<Builds, "known">): Promise<ChosenBuild> {
  let chosen: ChosenBuild | undefined;
  for (const build of builds.known) {
    const { deviceClass, graphs } = parseBuild(await blobs.get(build, MAX_BUILD_BYTES));
    if (deviceClass === classOf(devices.cpu)) return { build, graphs };
    chosen ??= { build, graphs };
  }
  if (!chosen) throw new RetryableError("NO_BUILD", "The run admits no build now, so nothing can be measured.");
  return chosen;
}

/** @param limits after which an engine that is silent is ended, and the gate measured again with another */
export function createGateMeter(
  blobs: BlobStore,
  definition: Definition,
  builds: Pick<Builds, "known">,
  limits = ENGINE_LIMITS,
): GateMeter {
  const stopped = new AbortController();
  let opening: Promise<Opened> | undefined;
  /** The engine holds one set of parameters at a time. */
  let before: Promise<unknown> = Promise.resolve();

  async function open(): Promise<Opened> {
    const { build, graphs } = await chooseBuild(blobs, builds);
    const manifest = await readDataManifest(blobs, asDigest(definition.data));
    const heldOut = openSequences(blobs, manifest, "heldOut", definition.sequence);
    const program = await blobs.get(graphs.eval as Digest, MAX_PROGRAM_BYTES);
    // Computed, not looked up: the record must say what this machine is, not what it should be.
    const step = await blobs.get(graphs.step as Digest, MAX_PROGRAM_BYTES);
    const guard = createEngineGuard(limits, stopped.signal, { held: definition.table });
    const openGuarded: OpenEngine = (options) => openEngineHost({ ...options, signal: guard.signal });
    const computed = asDigest(await guard.prepared(() => conformance(openGuarded, step)));
    // One thread: the coordinator's machine may be a worker's, too.
    const engine = await guard.prepared(() => openGuarded({ programs: { eval: program }, threads: 1 }));
    return { build, conformance: computed, engine, guard, heldOut, manifest };
  }
  const opened = (): Promise<Opened> => {
    if (stopped.signal.aborted) return Promise.reject(new InternalError("METER_CLOSED", "The gate's meter is closed."));
    const attempt = (opening ??= open());
    // What failed may pass, and an engine that died is opened anew.
    attempt.catch(() => {
      if (opening === attempt) opening = undefined;
    });
    return attempt;
  };

  async function measure(fragments: readonly Float32Array[], sequences: readonly number[]): Promise<number | null> {
    const own = await opened();
    const parameters = tensorViews(fragments, fragmentLayouts(definition.table), definition.table);
    const tokens = await own.heldOut.tokens(sequences);
    try {
      const loss = await meanLoss(own, parameters, tokens);
      const value = Math.round(bitsPerByte(loss, own.manifest.heldOut) * 1_000_000);
      return Number.isSafeInteger(value) && value >= 0 ? value : null;
    } catch (error) {
      opening = undefined;
      await own.guard.closed(() => own.engine.close()).catch(() => undefined);
      throw error;
    }
  }

  return {
    describe: async () => {
      const { build, conformance: computed, engine, heldOut } = await opened();
      return { build, conformance: computed, batch: engine.shapes.eval?.batch ?? 1, available: heldOut.count };
    },
    loss: (fragments, sequences) => {
      const asked = before.then(() => measure(fragments, sequences));
      before = asked.catch(() => undefined);
      return asked;
    },
    close: async () => {
      stopped.abort();
      const last = await opening?.catch(() => undefined);
      await last?.guard.closed(() => last.engine.close()).catch(() => undefined);
    },
  };
}

/** A batch at a time: how long one takes is known, so that an engine that hangs is told from a large sample. */
async function meanLoss(
  { engine, guard }: Pick<Opened, "engine" | "guard">,
  parameters: readonly Float32Array[],
  tokens: Uint16Array,
): Promise<number> {
  const { batch = 1, tokensPerSequence = 1 } = engine.shapes.eval ?? {};
  const size = batch * tokensPerSequence;
  await guard.answered(() => engine.setParameters(parameters));
  let sum = 0;
  for (let from = 0; from < tokens.length; from += size) {
    const part = tokens.subarray(from, from + size);
    sum += (await guard.evaluated(() => engine.evaluate({ tokens: part }))).loss;
  }
  return sum / (tokens.length / size);
}

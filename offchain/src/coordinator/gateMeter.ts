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
import { classOf, conformance, type Engine } from "../engine/index.ts";
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
  readonly heldOut: Sequences;
  readonly manifest: DataManifest;
}

export function createGateMeter(blobs: BlobStore, definition: Definition, builds: Pick<Builds, "known">): GateMeter {
  let opening: Promise<Opened> | undefined;
  let closed = false;

  const readBuild = async (digest: Digest): Promise<Build> => parseBuild(await blobs.get(digest, MAX_BUILD_BYTES));

  /** The first whose class this machine is, else the first: validators of its class hold the losses to the last bit. */
  async function chooseBuild(): Promise<{ build: Digest; graphs: Build["graphs"] }> {
    let chosen: { build: Digest; graphs: Build["graphs"] } | undefined;
    for (const build of builds.known) {
      const found = await readBuild(build);
      if (found.deviceClass === classOf(devices.cpu)) return { build, graphs: found.graphs };
      chosen ??= { build, graphs: found.graphs };
    }
    if (!chosen) throw new RetryableError("NO_BUILD", "The run admits no build now, so nothing can be measured.");
    return chosen;
  }

  async function open(): Promise<Opened> {
    const { build, graphs } = await chooseBuild();
    const manifest = await readDataManifest(blobs, asDigest(definition.data));
    const heldOut = openSequences(blobs, manifest, "heldOut", definition.sequence);
    const program = await blobs.get(graphs.eval as Digest, MAX_PROGRAM_BYTES);
    // Computed, not looked up: the record must say what this machine is, not what it should be.
    const computed = asDigest(
      await conformance(openEngineHost, await blobs.get(graphs.step as Digest, MAX_PROGRAM_BYTES)),
    );
    // One thread: the coordinator's machine may be a worker's, too.
    const engine = await openEngineHost({ programs: { eval: program }, threads: 1 });
    return { build, conformance: computed, engine, heldOut, manifest };
  }
  const opened = (): Promise<Opened> => {
    if (closed) return Promise.reject(new InternalError("METER_CLOSED", "The gate's meter is closed."));
    const attempt = (opening ??= open());
    // What failed may pass, and an engine that died is opened anew.
    attempt.catch(() => {
      if (opening === attempt) opening = undefined;
    });
    return attempt;
  };

  return {
    describe: async () => {
      const { build, conformance: computed, engine, heldOut } = await opened();
      return { build, conformance: computed, batch: engine.shapes.eval?.batch ?? 1, available: heldOut.count };
    },
    loss: async (fragments, sequences) => {
      const { engine, heldOut, manifest } = await opened();
      const parameters = tensorViews(fragments, fragmentLayouts(definition.table), definition.table);
      const tokens = await heldOut.tokens(sequences);
      let loss: number;
      try {
        ({ loss } = await engine.evaluate({ tokens, parameters }));
      } catch (error) {
        opening = undefined;
        await engine.close().catch(() => undefined);
        throw error;
      }
      const value = Math.round(bitsPerByte(loss, manifest.heldOut) * 1_000_000);
      return Number.isSafeInteger(value) && value >= 0 ? value : null;
    },
    close: async () => {
      closed = true;
      await (await opening?.catch(() => undefined))?.engine.close();
    },
  };
}

/** The process behind loss.ts: one thread, lowest priority, ends with its parent. */
import { constants, setPriority } from "node:os";

import {
  createCoordinatorClient,
  DataManifest,
  Definition,
  type Digest,
  parseDocument,
  Realisation,
  type RunId,
} from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import type { Static, TSchema } from "typebox";

import { parseJsonBounded, UserError } from "../base/index.ts";
import { bitsPerByte, openSequences, type Sequences } from "../data/index.ts";
import { fragmentLayouts, scatterFragment } from "../diloco/index.ts";
import { type Engine, openEngineHost, programLimits } from "../engine/index.ts";
import { type BlobReader, createReadThrough, openFileStore, parseFragment, readManifest } from "../storage/index.ts";
import {
  type LossAnswer,
  type LossMessage,
  type LossRequest,
  type LossResult,
  type LossSettings,
  sampleOf,
} from "./loss.ts";

const MAX_BLOB_BYTES = 2 ** 31;
const MAX_DOCUMENT_BYTES = 16 << 20;

/** All that is needed for the checkpoints of one realisation. */
interface Setup {
  readonly definition: Definition;
  readonly manifest: DataManifest;
  readonly engine: Engine;
  readonly heldOut: Sequences;
  /** Shards of checkpoints: not kept. */
  readonly passing: BlobReader;
}

const setups = new Map<string, Promise<Setup>>();

async function open(settings: LossSettings, request: LossRequest): Promise<Setup> {
  const client = createCoordinatorClient(settings.coordinator);
  const runId: RunId = request.runId;
  const fetch = (digest: Digest, limit: number): Promise<Uint8Array> => client.blob(runId, digest, limit);
  const kept = createReadThrough(
    await openFileStore(settings.cache),
    [{ name: "the coordinator", fetch }],
    MAX_BLOB_BYTES,
  );
  const document = async <T extends TSchema>(digest: Digest, what: string, schema: T): Promise<Static<T>> =>
    parseDocument(what, schema, parseJsonBounded(await kept.get(digest, MAX_DOCUMENT_BYTES), MAX_DOCUMENT_BYTES, what));
  const definition = await document(request.definition, "the definition", Definition);
  const realisation = await document(request.realisation, "the realisation", Realisation);
  if (realisation.definition !== request.definition)
    throw new UserError("REALISATION_FOREIGN", `Realisation ${request.realisation} is of another definition.`);
  const manifest = await document(definition.data as Digest, "the data manifest", DataManifest);
  const program = await kept.get(realisation.graphs.eval as Digest, programLimits.bytes);
  const engine = await openEngineHost({ programs: { eval: program }, threads: 1 });
  return {
    definition,
    manifest,
    engine,
    heldOut: openSequences(kept, manifest, "heldOut", definition.sequence),
    passing: {
      ...kept,
      get: async (digest, limit = MAX_BLOB_BYTES) => new Uint8Array(await fetch(digest, limit)),
    },
  };
}

async function measure(settings: LossSettings, request: LossRequest): Promise<LossResult> {
  const key = `${request.definition}/${request.realisation}`;
  const opening = setups.get(key) ?? open(settings, request);
  setups.set(key, opening);
  opening.catch(() => setups.delete(key));
  const { definition, manifest, engine, heldOut, passing } = await opening;
  const { table } = definition;
  const checkpoint = await readManifest(passing, request.checkpoint);
  const parameters = new Map(
    table.map(({ name, shape }) => [name, new Float32Array(shape.reduce((product, size) => product * size, 1))]),
  );
  for (const layout of fragmentLayouts(table)) {
    const fragment = checkpoint.fragments[layout.index];
    if (!fragment)
      throw new UserError("CHECKPOINT_INVALID", `Checkpoint ${request.checkpoint} lacks fragment ${layout.index}.`);
    const shard = await passing.get(fragment.digest as Digest, fragment.bytes);
    scatterFragment(parseFragment(shard, table, fragment).params, layout, parameters);
  }
  const indices = sampleOf(heldOut.count, request.sequences, engine.shapes.eval?.batch ?? 1);
  const { loss } = await engine.evaluate({
    tokens: await heldOut.tokens(indices),
    parameters: [...parameters.values()],
  });
  return {
    loss,
    microBitsPerByte: Math.round(bitsPerByte(loss, manifest.heldOut) * 1_000_000),
    sequences: indices.length,
  };
}

try {
  setPriority(constants.priority.PRIORITY_LOW);
} catch {
  // Not allowed here; then it is measured at the parent's priority.
}
process.on("disconnect", () => process.exit(0));
const answer = (value: LossAnswer): void => void process.send?.(value);
process.on("message", ({ id, settings, request }: LossMessage) => {
  measure(settings, request).then(
    (result) => answer({ id, result }),
    (error: unknown) =>
      answer({
        id,
        error: {
          code: error instanceof CotrainError ? error.code : "LOSS_FAILED",
          message: error instanceof Error ? error.message : String(error),
          retryable: error instanceof CotrainError && error.retryable,
        },
      }),
  );
});

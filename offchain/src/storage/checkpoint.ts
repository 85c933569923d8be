/**
 * Checkpoints: one safetensors shard per fragment, holding the fragment's parameters in table order and then the outer
 * optimizer's buffer likewise, and a manifest (canonical JSON) whose digest goes on-chain.
 */
import {
  asDigest,
  type CheckpointFragment,
  CheckpointManifest,
  type Digest,
  elementsOf,
  MAX_MANIFEST_BYTES,
  parseDocument,
  tableDigest,
  type TensorEntry,
} from "@cotrain/sdk/protocol";

import { bytesOf, createSha256, float32Of, InternalError, parseCanonicalJson, sha256Bytes } from "../base/index.ts";
import type { BlobReader, BlobStore } from "./blobStore.ts";
import { type DocumentStore, putDocument } from "./documents.ts";
import { FormatError } from "./errors.ts";
import {
  parseSafetensorsHeader,
  safetensorsChunks,
  safetensorsHeader,
  type SafetensorsHeader,
  type Tensor,
} from "./safetensors.ts";

/** Prefix of the outer buffer's tensors. */
const OUTER_PREFIX = "outer.";

/** One fragment's state: both flat in table order, [elements of the fragment]. */
export interface FragmentState {
  readonly params: Float32Array;
  readonly outer: Float32Array;
}

/** The parts of a manifest that its fragments do not determine. */
export type CheckpointFacts = Omit<CheckpointManifest, "version" | "table" | "fragments">;

const invalid = (message: string, cause?: unknown): FormatError =>
  new FormatError("CHECKPOINT_INVALID", `Not a valid checkpoint: ${message}.`, { cause });

const entriesOf = (table: readonly TensorEntry[], index: number): TensorEntry[] =>
  table.filter((entry) => entry.fragment === index);

const fragmentsOf = (table: readonly TensorEntry[]): number =>
  table.reduce((most, entry) => Math.max(most, entry.fragment + 1), 0);

/** Names and shapes of a shard's tensors: the parameters, then the outer buffer. */
const shardTensors = (entries: readonly TensorEntry[]): Pick<Tensor, "name" | "shape">[] => [
  ...entries.map(({ name, shape }) => ({ name, shape })),
  ...entries.map(({ name, shape }) => ({ name: OUTER_PREFIX + name, shape })),
];

/** The shard's tensors as views of the two flat arrays. */
function tensorsOf(table: readonly TensorEntry[], index: number, state: FragmentState): Tensor[] {
  const entries = entriesOf(table, index);
  const elements = entries.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
  if (entries.length === 0 || state.params.length !== elements || state.outer.length !== elements) {
    throw new InternalError(
      "TENSOR_MISMATCH",
      `Fragment ${index} has ${elements} elements; got ${state.params.length} parameters and ${state.outer.length} of the buffer.`,
    );
  }
  const views = (values: Float32Array, prefix: string): Tensor[] => {
    let at = 0;
    return entries.map(({ name, shape }) => {
      const from = at;
      at += elementsOf(shape);
      return { name: prefix + name, shape, values: values.subarray(from, at) };
    });
  };
  return [...views(state.params, ""), ...views(state.outer, OUTER_PREFIX)];
}

const shardMetadata = (index: number): Record<string, string> => ({
  format: "cotrain-fragment-1",
  fragment: String(index),
});

/** The shard as chunks without a copy of the values, and its entry in the manifest. */
function describe(
  table: readonly TensorEntry[],
  index: number,
  state: FragmentState,
): { chunks: Uint8Array[]; fragment: Omit<CheckpointFragment, "digest"> } {
  const { header, chunks, bytes } = safetensorsChunks(tensorsOf(table, index, state), shardMetadata(index));
  const [params, outer] = [bytesOf(state.params), bytesOf(state.outer)];
  return {
    chunks,
    fragment: {
      index,
      bytes,
      parameters: { offset: header.length, bytes: params.length, digest: sha256Bytes(params) },
      outer: { offset: header.length + params.length, bytes: outer.length, digest: sha256Bytes(outer) },
    },
  };
}

/**
 * Stores one fragment's shard. Equal state gives an equal digest, whoever writes it.
 * @returns its entry in the manifest
 */
export async function writeFragment(
  store: BlobStore,
  table: readonly TensorEntry[],
  index: number,
  state: FragmentState,
): Promise<CheckpointFragment> {
  const { chunks, fragment } = describe(table, index, state);
  const { digest } = await store.put(chunks, { bytes: fragment.bytes });
  return { ...fragment, digest };
}

/**
 * Stores the manifest over fragments that `writeFragment` stored; after it the checkpoint is durable.
 * @param fragments by index, all of the table's
 * @returns the checkpoint's digest
 * @throws ProtocolError when a fact has not the form of the document
 */
export async function writeManifest(
  store: DocumentStore,
  table: readonly TensorEntry[],
  fragments: readonly CheckpointFragment[],
  facts: CheckpointFacts,
): Promise<{ digest: Digest; manifest: CheckpointManifest }> {
  const count = fragmentsOf(table);
  if (fragments.length !== count || fragments.some((fragment, i) => fragment.index !== i)) {
    throw new InternalError(
      "CHECKPOINT_INCOMPLETE",
      `A checkpoint of ${count} fragments was given others: ${fragments.map((f) => f.index).join(", ")}.`,
    );
  }
  const manifest = parseDocument("checkpoint manifest", CheckpointManifest, {
    ...facts,
    version: 1,
    table: tableDigest(table),
    fragments: [...fragments],
  });
  return { digest: await putDocument(store, manifest, { maxBytes: MAX_MANIFEST_BYTES }), manifest };
}

/**
 * Checks the bytes of a manifest: size, form, and that they are its canonical JSON.
 * @param table of the run: whoever goes on to read shards gives it, so that their lengths are the table's and not whatever a
 *   manifest says
 * @throws FormatError `CHECKPOINT_INVALID`
 */
export function parseManifest(bytes: Uint8Array, table?: readonly TensorEntry[]): CheckpointManifest {
  let manifest: CheckpointManifest;
  try {
    manifest = parseDocument(
      "manifest",
      CheckpointManifest,
      parseCanonicalJson(bytes, MAX_MANIFEST_BYTES, "the manifest"),
    );
  } catch (error) {
    throw invalid(error instanceof Error ? error.message.replace(/\.$/, "") : "its manifest cannot be read", error);
  }
  for (const [i, { index, bytes: size, parameters, outer }] of manifest.fragments.entries()) {
    if (index !== i) throw invalid(`fragment ${i} of its manifest is numbered ${index}`);
    const dense = parameters.bytes % 4 === 0 && parameters.offset % 4 === 0 && outer.bytes === parameters.bytes;
    if (!dense || outer.offset !== parameters.offset + parameters.bytes || size !== outer.offset + outer.bytes) {
      throw invalid(`the parts of fragment ${i} do not fill its shard`);
    }
  }
  if (table) checkTable(manifest, table);
  return manifest;
}

/** Checks that a manifest's fragments are those of the table, each shard as long as its tensors make it. */
function checkTable(manifest: CheckpointManifest, table: readonly TensorEntry[]): void {
  if (manifest.table !== tableDigest(table))
    throw invalid(`it belongs to another model: its fragment table is ${manifest.table}`);
  const count = fragmentsOf(table);
  if (manifest.fragments.length !== count)
    throw invalid(`its manifest has ${manifest.fragments.length} fragments, the fragment table ${count}`);
  for (const { index, parameters } of manifest.fragments) {
    const entries = entriesOf(table, index);
    const offset = safetensorsHeader(shardTensors(entries), shardMetadata(index)).length;
    const bytes = 4 * entries.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
    // The rest of the shard follows from these two.
    if (parameters.offset !== offset || parameters.bytes !== bytes)
      throw invalid(
        `its manifest has ${parameters.bytes} bytes of parameters from byte ${parameters.offset} of fragment ${index}; the fragment table makes ${bytes} from ${offset}`,
      );
  }
}

/**
 * Reads a checkpoint's manifest.
 * @see parseManifest
 * @throws BlobError, FormatError
 */
export async function readManifest(
  reader: BlobReader,
  digest: Digest,
  table?: readonly TensorEntry[],
): Promise<CheckpointManifest> {
  return parseManifest(await reader.get(digest, MAX_MANIFEST_BYTES), table);
}

/** Checks that a shard's header lists exactly what the table says, where the manifest says. */
function checkShard(header: SafetensorsHeader, table: readonly TensorEntry[], fragment: CheckpointFragment): void {
  const expected = shardTensors(entriesOf(table, fragment.index));
  const same =
    expected.length === header.tensors.length &&
    expected.every(({ name, shape }, i) => {
      const found = header.tensors[i]!;
      return (
        found.name === name && found.shape.length === shape.length && shape.every((size, d) => size === found.shape[d])
      );
    });
  if (!same) throw invalid(`the shard of fragment ${fragment.index} does not hold the tensors of the fragment table`);
  if (header.dataOffset !== fragment.parameters.offset) {
    throw invalid(`the shard of fragment ${fragment.index} begins elsewhere than its manifest says`);
  }
}

/**
 * Takes a fragment's state out of its shard's bytes, which are hashed here too.
 * @returns views of `bytes`
 * @throws FormatError `CHECKPOINT_INVALID` or `SAFETENSORS_INVALID`
 */
export function parseFragment(
  bytes: Uint8Array,
  table: readonly TensorEntry[],
  fragment: CheckpointFragment,
): FragmentState {
  if (bytes.length !== fragment.bytes || sha256Bytes(bytes) !== fragment.digest) {
    throw invalid(`the shard of fragment ${fragment.index} does not hash to ${fragment.digest}`);
  }
  return stateOf(bytes, table, fragment);
}

/** The two parts of a shard whose bytes are known to hash to its digest. */
function stateOf(bytes: Uint8Array, table: readonly TensorEntry[], fragment: CheckpointFragment): FragmentState {
  checkShard(parseSafetensorsHeader(bytes, bytes.length), table, fragment);
  const part = ({ offset, bytes: length, digest }: CheckpointFragment["outer"]): Float32Array => {
    const data = bytes.subarray(offset, offset + length);
    if (sha256Bytes(data) !== digest) throw invalid(`a part of fragment ${fragment.index} does not hash to ${digest}`);
    return float32Of(data);
  };
  return { params: part(fragment.parameters), outer: part(fragment.outer) };
}

/**
 * Reads one fragment's state, verified against manifest and table.
 * @throws BlobError, FormatError
 */
export async function readFragment(
  reader: BlobReader,
  table: readonly TensorEntry[],
  fragment: CheckpointFragment,
): Promise<FragmentState> {
  return stateOf(await reader.get(asDigest(fragment.digest), fragment.bytes), table, fragment);
}

/** The digest that `writeFragment` would give, computed without storing: what a validator compares. */
export function fragmentOf(table: readonly TensorEntry[], index: number, state: FragmentState): CheckpointFragment {
  const { chunks, fragment } = describe(table, index, state);
  const hash = createSha256();
  for (const chunk of chunks) hash.update(chunk);
  return { ...fragment, digest: hash.digest() };
}

/**
 * Reads a whole checkpoint into memory, verified.
 * @returns states by fragment index
 * @throws BlobError, FormatError
 */
export async function readCheckpoint(
  reader: BlobReader,
  digest: Digest,
  table: readonly TensorEntry[],
): Promise<{ manifest: CheckpointManifest; states: FragmentState[] }> {
  const manifest = await readManifest(reader, digest, table);
  const states: FragmentState[] = [];
  for (const fragment of manifest.fragments) states.push(await readFragment(reader, table, fragment));
  return { manifest, states };
}

/**
 * Reads and hashes all of a checkpoint: of blobs that will be needed it is good to know early.
 * @throws BlobError, FormatError
 */
export async function checkBlobs(reader: BlobReader, digest: Digest): Promise<void> {
  const { fragments } = await readManifest(reader, digest);
  for (const fragment of fragments) for await (const _ of reader.stream(asDigest(fragment.digest)));
}

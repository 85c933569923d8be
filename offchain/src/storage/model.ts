/**
 * A trained model that travels: its checkpoint, the definition, the tokenizer and the programs, named with their lengths by
 * a ModelBundle that also says where the run lives. As one file it is a CAR whose root is the bundle and whose blocks are, in
 * this order, bundle, checkpoint manifest, definition, build, tokenizer, programs and shards, each once.
 */
import {
  asDigest,
  canonicalJson,
  type CheckpointManifest,
  cidOf,
  type ContractAddresses,
  Definition,
  type Digest,
  MAX_MANIFEST_BYTES,
  type ModelId,
  ModelBundle,
  parseDocument,
  Build,
  type RunId,
  MAX_DEFINITION_BYTES,
  MAX_PROGRAM_BYTES,
  MAX_TOKENIZER_BYTES,
} from "@cotrain/sdk/protocol";
import type { Static, TSchema } from "typebox";

import { type ByteChunks, parseCanonicalJson, readStreamBounded, sha256Bytes } from "../base/index.ts";
import type { BlobReader, BlobStore } from "./blobStore.ts";
import { type BlockHead, type CarSource, invalidCar, openCar, writeCar } from "./car.ts";
import { parseManifest } from "./checkpoint.ts";
import { putDocument } from "./documents.ts";
import { blobMissing, FormatError } from "./errors.ts";
import { PIECE_BYTES } from "./unixfs.ts";

const programRoles = ["step", "eval", "logits"] as const;
export type ProgramRole = (typeof programRoles)[number];

/** What a bundle is made from. */
export interface ModelFacts {
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly checkpoint: Digest;
  /** It names the definition, which names the tokenizer. */
  readonly build: Digest;
}

/** A bundle with the documents that it names, which hold together. */
export interface Model {
  readonly digest: Digest;
  readonly bundle: ModelBundle;
  readonly manifest: CheckpointManifest;
  readonly definition: Definition;
  readonly build: Build;
}

const invalid = (message: string, cause?: unknown): FormatError =>
  new FormatError("MODEL_INVALID", `Not a model that can be used: ${message}.`, { cause });

/** A document in canonical JSON. */
function parseCanonical<T extends TSchema>(what: string, schema: T, bytes: Uint8Array, limit: number): Static<T> {
  try {
    return parseDocument(what, schema, parseCanonicalJson(bytes, limit, what));
  } catch (error) {
    throw invalid(error instanceof Error ? error.message.replace(/\.$/, "") : `${what} cannot be read`, error);
  }
}

const parseBundle = (bytes: Uint8Array): ModelBundle =>
  parseCanonical("the bundle", ModelBundle, bytes, MAX_MANIFEST_BYTES);

/** The documents of a bundle, in the order in which a CAR has them, with their limits. */
const documents = [
  { key: "checkpoint", what: "the manifest", limit: MAX_MANIFEST_BYTES },
  { key: "definition", what: "the definition", limit: MAX_DEFINITION_BYTES },
  { key: "build", what: "the build", limit: MAX_MANIFEST_BYTES },
] as const;

/** Reads the documents that a bundle names by `get` and holds them against each other. */
async function modelOf(
  digest: Digest,
  bundle: ModelBundle,
  get: (named: { readonly digest: Digest; readonly bytes: number; readonly what: string }) => Promise<Uint8Array>,
): Promise<Model> {
  const raw: Uint8Array[] = [];
  for (const { key, what, limit } of documents) {
    const { digest: named, bytes } = bundle[key];
    if (bytes > limit) throw invalid(`${what} has ${bytes} bytes, allowed are ${limit}`);
    raw.push(await get({ digest: asDigest(named), bytes, what }));
  }
  const [manifestBytes, definitionBytes, buildBytes] = raw as [Uint8Array, Uint8Array, Uint8Array];
  const definition = parseCanonical("the definition", Definition, definitionBytes, MAX_DEFINITION_BYTES);
  const manifest = parseManifest(manifestBytes, definition.table);
  const build = parseCanonical("the build", Build, buildBytes, MAX_MANIFEST_BYTES);
  const { programs, tokenizer } = bundle;
  const links: readonly (readonly [holds: boolean, otherwise: string])[] = [
    [manifest.runId === bundle.runId, "its checkpoint is another run's"],
    [build.definition === bundle.definition.digest, "its programs are those of another definition"],
    [definition.tokenizer === tokenizer.digest, "its tokenizer is not the definition's"],
    [tokenizer.bytes <= MAX_TOKENIZER_BYTES, `its tokenizer is larger than ${MAX_TOKENIZER_BYTES} bytes`],
    ...programRoles.flatMap((role): [boolean, string][] => [
      [programs[role].digest === build.graphs[role], `its ${role} program is not the build's`],
      [programs[role].bytes <= MAX_PROGRAM_BYTES, `its ${role} program is larger than ${MAX_PROGRAM_BYTES} bytes`],
    ]),
  ];
  const broken = links.find(([holds]) => !holds);
  if (broken) throw invalid(broken[1]);
  return { digest, bundle, manifest, definition, build };
}

/** Digests and lengths of all that belongs to a model in a CAR's order, the bundle and each once. */
function blocksOf({ digest, bundle, manifest }: Model): Map<Digest, number> {
  const named = [
    ...documents.map(({ key }) => bundle[key]),
    bundle.tokenizer,
    ...programRoles.map((role) => bundle.programs[role]),
    ...manifest.fragments,
  ];
  return new Map([
    [digest, canonicalJson(bundle).length],
    ...named.map((blob): [Digest, number] => [asDigest(blob.digest), blob.bytes]),
  ]);
}

/**
 * Stores the bundle of a checkpoint, whose parts the store has.
 * @throws BlobError when a part is missing; FormatError `MODEL_INVALID`, `CHECKPOINT_INVALID`
 */
export async function bundleModel(store: BlobStore, facts: ModelFacts): Promise<Model> {
  const named = async (digest: string): Promise<{ digest: Digest; bytes: number }> => {
    const bytes = await store.size(asDigest(digest));
    if (bytes === undefined) throw blobMissing(asDigest(digest), "this state");
    return { digest: asDigest(digest), bytes };
  };
  const { checkpoint, build, ...where } = facts;
  const read = async <T extends TSchema>(what: string, schema: T, digest: string): Promise<Static<T>> =>
    parseCanonical(what, schema, await store.get(asDigest(digest), MAX_DEFINITION_BYTES), MAX_DEFINITION_BYTES);
  const { graphs, definition } = await read("the build", Build, build);
  const { tokenizer } = await read("the definition", Definition, definition);
  const bundle: ModelBundle = {
    version: 1,
    ...where,
    checkpoint: await named(checkpoint),
    definition: await named(definition),
    build: await named(build),
    tokenizer: await named(tokenizer),
    programs: { step: await named(graphs.step), eval: await named(graphs.eval), logits: await named(graphs.logits) },
  };
  return readModel(store, await putDocument(store, bundle));
}

/** Reads a bundle and its documents. @throws BlobError; FormatError `MODEL_INVALID`, `CHECKPOINT_INVALID` */
export async function readModel(reader: BlobReader, digest: Digest): Promise<Model> {
  const bundle = parseBundle(await reader.get(digest, MAX_MANIFEST_BYTES));
  return modelOf(digest, bundle, ({ digest: named, bytes }) => reader.get(named, bytes));
}

/** A model's CAR in chunks. @throws BlobError, FormatError; see {@link writeCar} */
export async function* exportModel(reader: BlobReader, model: Model): AsyncGenerator<Uint8Array> {
  yield* writeCar(reader, model.digest, blocksOf(model));
}

/** Whether this head may be that of the first leaf of such a blob: one that is longer than a block is there in pieces. */
const beginsFile = (head: BlockHead, digest: Digest, bytes: number): boolean =>
  bytes > PIECE_BYTES && head.bytes === PIECE_BYTES && head.digest !== digest;

/** The next blob, which must be this one, whole and verified. */
async function readDocument(
  car: CarSource,
  { digest, bytes, what }: { readonly digest: Digest; readonly bytes?: number; readonly what: string },
): Promise<Uint8Array> {
  const head = await car.next();
  if (head && bytes !== undefined && beginsFile(head, digest, bytes)) {
    const raw = await readStreamBounded(car.file(head, bytes), bytes);
    if (sha256Bytes(raw) === digest) return raw;
  }
  if (head?.digest !== digest) throw invalidCar(`${what} is not where it must stand`);
  const limit = bytes ?? MAX_MANIFEST_BYTES;
  if (head.bytes > limit || (bytes !== undefined && head.bytes !== bytes))
    throw invalidCar(`${what} has ${head.bytes} bytes, ${bytes === undefined ? "allowed are" : "due are"} ${limit}`);
  const raw = await readStreamBounded(car.take(head.bytes), head.bytes);
  if (sha256Bytes(raw) !== digest) throw invalidCar(`${what} does not hash to its CID`);
  return raw;
}

/** Keeps a blob of a CAR, which a store verifies. */
type Keep = (digest: Digest, data: Uint8Array | ByteChunks, bytes: number) => Promise<void>;

/** The rest of a CAR: the blobs that are needed, each once and no others. A long one stands in its place, others may stand anywhere. */
async function takeBlobs(car: CarSource, needed: Map<Digest, number>, keep: Keep): Promise<void> {
  for (let head = await car.next(); head; head = await car.next()) {
    const [due] = needed;
    if (due && beginsFile(head, ...due)) {
      needed.delete(due[0]);
      await keep(due[0], car.file(head, due[1]), due[1]);
      continue;
    }
    const bytes = head.digest && needed.get(head.digest);
    const name = `block ${head.cid.toString()}`;
    if (head.digest === undefined || bytes === undefined) throw invalidCar(`${name} is not needed, or is there twice`);
    if (bytes !== head.bytes) throw invalidCar(`${name} has ${head.bytes} bytes, ${bytes} are due`);
    needed.delete(head.digest);
    await keep(head.digest, car.take(bytes), bytes);
  }
  const [missing] = needed.keys();
  if (missing !== undefined) throw invalidCar(`blob ${cidOf(missing)} is missing`);
}

/**
 * Reads a model's CAR into a store, in one pass and bounded memory. Every block is verified against its CID; blocks that
 * neither bundle nor manifest name, or name with another length, are refused before they are stored, and so is a file with a
 * block missing or twice. On failure, what this call added is removed again.
 * @param options.check refuses a model before any of it is stored
 * @param options.checkProgram refuses a program, whose bytes come from a stranger, before the model is there
 * @param options.checkTokenizer refuses the tokenizer, likewise
 * @param options.maxBytes limit of the sum of all blocks; default 1 TiB
 * @throws FormatError `CAR_INVALID`, `MODEL_INVALID`, `CHECKPOINT_INVALID`; BlobError
 */
export async function importModel(
  store: BlobStore,
  chunks: ByteChunks,
  options: {
    readonly check?: (model: Model) => void;
    readonly checkProgram?: (bytes: Uint8Array, role: ProgramRole) => void;
    readonly checkTokenizer?: (bytes: Uint8Array) => void;
    readonly maxBytes?: number;
  } = {},
): Promise<Model> {
  const car = await openCar(chunks);
  const added: Digest[] = [];
  const keep: Keep = async (digest, data, bytes) => {
    const fresh = !(await store.has(digest));
    await store.put(data, { digest, bytes });
    if (fresh) added.push(digest);
  };
  try {
    const kept = new Map<Digest, Uint8Array>();
    const take = async (named: Parameters<typeof readDocument>[1]): Promise<Uint8Array> => {
      const raw = await readDocument(car, named);
      kept.set(named.digest, raw);
      return raw;
    };
    const bundle = parseBundle(await take({ digest: car.root, what: "the bundle" }));
    const model = await modelOf(car.root, bundle, take);
    options.check?.(model);
    const needed = blocksOf(model);
    const sum = [...needed.values()].reduce((total, bytes) => total + bytes, 0);
    const limit = options.maxBytes ?? 2 ** 40;
    if (sum > limit) throw invalidCar(`its blocks have ${sum} bytes, allowed are ${limit}`);
    for (const digest of kept.keys()) needed.delete(digest);
    await takeBlobs(car, needed, keep);
    for (const role of options.checkProgram ? programRoles : [])
      options.checkProgram?.(await store.get(asDigest(bundle.programs[role].digest), MAX_PROGRAM_BYTES), role);
    options.checkTokenizer?.(await store.get(asDigest(bundle.tokenizer.digest), MAX_TOKENIZER_BYTES));
    // The documents come last, the bundle after all: where it is, everything is.
    for (const [digest, raw] of [...kept].toReversed()) await keep(digest, raw, raw.length);
    return model;
  } catch (error) {
    for (const digest of added) await store.delete(digest);
    throw error;
  } finally {
    await car.close();
  }
}

/** Reads every block of a model and compares it with its digest. @throws BlobError */
export async function verifyBlobs(reader: BlobReader, model: Model): Promise<{ blobs: number; bytes: number }> {
  const blocks = blocksOf(model);
  let bytes = 0;
  for (const digest of blocks.keys()) for await (const chunk of reader.stream(digest)) bytes += chunk.length;
  return { blobs: blocks.size, bytes };
}

/**
 * What a run is made of, by digest: definition, build, programs, data manifest. Read through a bounded cache on the
 * disk; every read is verified, programs are never rebuilt.
 */
import { CoordinatorError } from "@cotrain/sdk/errors";
import type { Definition, Build } from "@cotrain/sdk/protocol";
import {
  type Address,
  asAddress,
  type CoordinatorClient,
  type DataManifest,
  type Digest,
  type RunId,
  type RunParams,
  type RunView,
  tableDigest,
  MAX_BUILD_BYTES,
  MAX_SHARD_BYTES,
  MAX_DEFINITION_BYTES,
} from "@cotrain/sdk/protocol";

import { retrying, type RetryOptions, saysRetryable, unlessAborted } from "../base/index.ts";
import { readDataManifest } from "../data/index.ts";
import { fragmentCount, type FragmentLayout, fragmentLayouts } from "../diloco/index.ts";
import { programLimits } from "../engine/index.ts";
import { type BlobStore, createReadThrough, type ReadThrough, parseBuild, parseDefinition } from "../storage/index.ts";
import { ArtefactError, type RunBlobs } from "./base.ts";

/** How often wrong bytes are asked for again before they are believed to be what is there. */
const MISMATCH_TRIES = 3;

/**
 * The blobs of one run, over the network with patience: away means wait, wrong bytes mean ask again a few times.
 * @param asMember makes a call under the worker's session, where there is one: it is then counted for the member
 */
export function createRemote(
  client: Pick<CoordinatorClient, "blob" | "blobPart">,
  runId: RunId,
  retry: Omit<RetryOptions, "tries" | "retryable">,
  asMember: <T>(call: (session: RunBlobs) => Promise<T>) => Promise<T> | undefined = () => undefined,
): RunBlobs {
  const patiently = <T>(work: () => Promise<T>): Promise<T> => {
    let mismatches = 0;
    const retryable = (error: unknown): boolean => {
      if (error instanceof CoordinatorError && error.code === "BLOB_MISMATCH") return ++mismatches < MISMATCH_TRIES;
      return saysRetryable(error);
    };
    // Its answer may take minutes, in which the worker may be told to stop.
    return retrying(() => unlessAborted(work(), retry.signal), { ...retry, retryable });
  };
  return {
    blob: (digest, limit) =>
      patiently(() => asMember((session) => session.blob(digest, limit)) ?? client.blob(runId, digest, limit)),
    blobPart: (digest, offset, length) =>
      patiently(
        () =>
          asMember((session) => session.blobPart(digest, offset, length)) ??
          client.blobPart(runId, digest, offset, length),
      ),
  };
}

/** Artefacts through the cache. */
export interface Artefacts {
  /** A blob of at most `limit` bytes, verified. */
  get(digest: Digest, limit: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The cache as a reader of verified blobs, for the data room. */
  readonly reader: ReadThrough;
  /** Deletes what has not been used for longest until at most `bytes` are kept. */
  trim(bytes: number): Promise<void>;
}

export function createArtefacts(store: BlobStore, remote: RunBlobs): Artefacts {
  const source = { name: "the coordinator", fetch: (digest: Digest, limit: number) => remote.blob(digest, limit) };
  const through = createReadThrough(store, [source], MAX_SHARD_BYTES);
  // Insertion order is order of use, oldest first; what is not in it was left by an earlier start and is older still.
  const used = new Map<Digest, true>();
  const touch = (digest: Digest): void => {
    used.delete(digest);
    used.set(digest, true);
  };
  const reader: ReadThrough = {
    ensure: (digest, limit) => {
      touch(digest);
      return through.ensure(digest, limit);
    },
    get: (digest, limit) => {
      touch(digest);
      return through.get(digest, limit);
    },
    open: (digest) => {
      touch(digest);
      return through.open(digest);
    },
    stream: (digest) => {
      touch(digest);
      return through.stream(digest);
    },
    has: (digest) => through.has(digest),
  };
  return {
    reader,
    get: (digest, limit) => reader.get(digest, limit),
    trim: async (bytes) => {
      const sizes = new Map<Digest, number>();
      let total = 0;
      for await (const digest of store.list()) {
        const size = (await store.size(digest)) ?? 0;
        sizes.set(digest, size);
        total += size;
      }
      const rank = new Map([...used.keys()].map((digest, i) => [digest, i] as const));
      const oldest = [...sizes.keys()].sort((a, b) => (rank.get(a) ?? -1) - (rank.get(b) ?? -1));
      for (const digest of oldest) {
        if (total <= bytes) return;
        await store.delete(digest);
        total -= sizes.get(digest) ?? 0;
      }
    },
  };
}

/** A build and the digest that receipts name it by. */
export interface AdmittedBuild {
  readonly digest: Digest;
  readonly document: Build;
}

/** Everything small about a run. */
export interface RunDescription {
  readonly view: RunView;
  readonly definition: Definition;
  /** Admitted ones in the run's order. */
  readonly builds: readonly AdmittedBuild[];
  readonly data: DataManifest;
  readonly table: Digest;
  readonly layouts: readonly FragmentLayout[];
  readonly parameters: number;
}

/** What the chain is asked about a run; the chain room's reader is one. */
export interface RunRecordReader {
  /** The definition, into how many fragments it divides the model, and the poster in force. */
  run(runId: RunId): Promise<{ readonly definition: Digest; readonly fragments: number; readonly poster: Address }>;
  /** Whether the validators suspended the poster, and the holders named no other yet. */
  isSuspended(runId: RunId): Promise<boolean>;
  isAdmitted(runId: RunId, build: Digest): Promise<boolean>;
  /** Every key that is or was the run's poster, lower case. */
  postersOf(runId: RunId): Promise<readonly Address[]>;
  paramsOf(runId: RunId, version: number): Promise<RunParams>;
}

/**
 * Fetches a run's documents and checks that they belong together, and to what the chain says where it can be asked.
 * @throws ArtefactError `RUN_FOREIGN`; ProtocolError, DataError for malformed documents; what the cache throws
 */
export async function describeRun(
  view: RunView,
  artefacts: Artefacts,
  chain: RunRecordReader | undefined,
): Promise<RunDescription> {
  const foreign = (what: string): ArtefactError =>
    new ArtefactError("RUN_FOREIGN", `The coordinator serves run ${view.runId} with ${what}: refused.`);
  const runId = view.runId as RunId;
  const record = await chain?.run(runId);
  if (chain && record) {
    if (record.definition !== view.definition) throw foreign("another definition than the chain records");
    const posters = await chain.postersOf(runId);
    if (!posters.includes(asAddress(view.poster)))
      throw foreign(`poster ${view.poster}, which the chain does not name`);
  }
  const definition = parseDefinition(await artefacts.get(view.definition as Digest, MAX_DEFINITION_BYTES));
  // No form of a definition refuses it, and its fragments have no layouts.
  if (fragmentCount(definition.table) === undefined) throw foreign("a definition whose table leaves out a fragment");
  const layouts = fragmentLayouts(definition.table);
  // Validators draw by the chain's number: of fragments that it does not count nobody would see what becomes of the work.
  if (record && record.fragments !== layouts.length)
    throw foreign(`a definition of ${layouts.length} fragments, of which the chain has ${record.fragments}`);
  const builds: AdmittedBuild[] = [];
  for (const id of view.builds) {
    const digest = id as Digest;
    // One that holders withdrew may be named for a while.
    if (chain && !(await chain.isAdmitted(runId, digest))) continue;
    const build = parseBuild(await artefacts.get(digest, MAX_BUILD_BYTES));
    if (build.definition !== view.definition) throw foreign(`build ${digest} of another definition`);
    builds.push({ digest, document: build });
  }
  if (builds.length === 0) throw foreign("no admitted build");
  const data = await readDataManifest(artefacts.reader, definition.data as Digest);
  if (data.tokenizer !== definition.tokenizer) throw foreign("data of another tokenizer than the definition's");
  const parameters = layouts.reduce((sum, layout) => sum + layout.elements, 0);
  return { view, definition, builds, data, table: tableDigest(definition.table), layouts, parameters };
}

/** Programs of a build that a worker runs. */
export async function fetchStepProgram(
  artefacts: Artefacts,
  { document: build }: AdmittedBuild,
): Promise<Uint8Array<ArrayBuffer>> {
  return artefacts.get(build.graphs.step as Digest, programLimits.bytes);
}

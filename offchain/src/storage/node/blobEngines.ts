/**
 * The door to blob stores: a path or a URL, whose scheme names the engine, is all that callers know of one. Another engine is a
 * row here and a file of its own.
 */
import { engineOf, type EngineTable } from "../../base/node/index.ts";
import type { BlobStore } from "../blobStore.ts";
import { openFileStore } from "./fileStore.ts";

export interface BlobStoreOptions {
  /** Directory for what has to lie somewhere until an engine that keeps nothing here has it; default the system's. */
  readonly scratch?: string;
}

type BlobEngine = (at: string, options: BlobStoreOptions) => Promise<BlobStore>;

/** Its client is loaded by who keeps blobs there alone. */
const ipfs: BlobEngine = async (at, options) => (await import("./kuboStore.ts")).openKuboStore(at, options);

const engines: EngineTable<BlobEngine> = { "file:": openFileStore, "ipfs+http:": ipfs, "ipfs+https:": ipfs };

/**
 * Opens a blob store, making it if need be.
 * @param location a path, or a URL of an engine
 * @throws UserError `PATH_UNWRITABLE`, `LOCATION_INVALID`
 */
export async function openBlobStore(location: string, options: BlobStoreOptions = {}): Promise<BlobStore> {
  const { engine, at } = engineOf("blobs", engines, location);
  return engine(at, options);
}

/**
 * The door to blob stores: a path or a URL, whose scheme names the engine, is all that callers know of one. Another engine is a
 * row here and a file of its own.
 */
import { engineOf, type EngineTable } from "../../base/node/index.ts";
import type { BlobStore } from "../blobStore.ts";
import { openFileStore } from "./fileStore.ts";

type BlobEngine = (at: string) => Promise<BlobStore>;

const engines: EngineTable<BlobEngine> = { "file:": openFileStore };

/**
 * Opens a blob store, making it if need be.
 * @param location a path, or a URL of an engine
 * @throws UserError `PATH_UNWRITABLE`, `LOCATION_INVALID`
 */
export async function openBlobStore(location: string): Promise<BlobStore> {
  const { engine, at } = engineOf("blobs", engines, location);
  return engine(at);
}

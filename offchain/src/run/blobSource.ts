/** Published blobs out of a store. */
import type { BlobReader } from "../storage/index.ts";
import type { BlobSource } from "./ports.ts";

/** A blob store as documents are read. */
export const blobSourceOf = (blobs: BlobReader): BlobSource => ({
  blob: (_run, digest, limit) => blobs.get(digest, limit),
});

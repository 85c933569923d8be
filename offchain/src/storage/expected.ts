/** Bytes that come from elsewhere, held against what is expected of them. */
import type { Digest } from "@cotrain/sdk/protocol";

import type { Expected } from "./blobStore.ts";
import { BlobError, blobMismatch, blobTooLarge } from "./errors.ts";

/** Refuses a length that is not the expected one. `at` is what came so far, `complete` whether that is all. */
export function checkLength(at: number, expected: Expected, complete: boolean): void {
  const limit = Math.min(expected.bytes ?? Infinity, expected.maxBytes ?? Infinity);
  if (at > limit) throw blobTooLarge(expected.digest ? `Blob ${expected.digest}` : "The blob", limit);
  if (complete && expected.bytes !== undefined && at < expected.bytes) {
    throw new BlobError("BLOB_MISMATCH", `The bytes received end at ${at}, expected were ${expected.bytes}.`, {
      details: { end: at, bytes: expected.bytes },
    });
  }
}

/** Refuses a digest that is not the expected one. */
export function checkDigest(digest: Digest, expected: Expected): void {
  if (expected.digest !== undefined && expected.digest !== digest) throw blobMismatch(expected.digest, digest);
}

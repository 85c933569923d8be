/** Bytes that come from elsewhere, held against what is expected of them. */
import type { Digest } from "@cotrain/sdk/protocol";

import { type ByteChunks, createSha256 } from "../base/index.ts";
import type { Expected } from "./blobStore.ts";
import { BlobError, blobMismatch, blobTooLarge } from "./errors.ts";

/** No blob has more, whatever a disk or a node says: twice what a validator takes. */
export const MOST_BYTES = 2 ** 32;

/** Refuses a length that is not the expected one. `at` is what came so far, `complete` whether that is all. */
function checkLength(at: number, expected: Expected, complete: boolean): void {
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

/** Bytes on their way in. */
interface Arrival {
  /** All of them, once; it throws at the byte that is too many, and where they end too early. @throws BlobError */
  chunks(): AsyncGenerator<Uint8Array>;
  /** How many came so far. */
  readonly bytes: number;
  /** Of what came so far. */
  digest(): Digest;
}

/**
 * Counts and hashes bytes while they come.
 * @throws BlobError `BLOB_TOO_LARGE`, `BLOB_MISMATCH` at once where all are here
 */
export function arrivalOf(data: Uint8Array | ByteChunks, expected: Expected): Arrival {
  if (data instanceof Uint8Array) checkLength(data.length, expected, true);
  const hash = createSha256();
  let bytes = 0;
  return {
    async *chunks() {
      for await (const chunk of data instanceof Uint8Array ? [data] : data) {
        bytes += chunk.length;
        checkLength(bytes, expected, false);
        hash.update(chunk);
        yield chunk;
      }
      checkLength(bytes, expected, true);
    },
    get bytes() {
      return bytes;
    },
    digest: () => hash.digest(),
  };
}

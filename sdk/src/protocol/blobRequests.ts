/** Blobs of a run, whole or in parts, of a coordinator that is asked as anybody or as a member of the run. */
import { bytesToHex } from "viem";
import { CoordinatorError } from "../baseErrors.ts";
import type { Digest, RunId } from "./ids.ts";
import type { Requests } from "./requests.ts";
import { routes } from "./routes.ts";

/** The headers by which a session vouches for a GET of a path. */
export type Vouch = (path: string) => Promise<Readonly<Record<string, string>>>;

export interface BlobRequests {
  /** A whole blob of at most `limit` bytes, verified. @throws CoordinatorError BLOB_MISMATCH, BLOB_NOT_FOUND */
  blob(runId: RunId, digest: Digest, limit: number, vouch?: Vouch): Promise<Uint8Array<ArrayBuffer>>;
  /** A part of a blob, by byte range; the caller verifies it against a digest of its own. */
  blobPart(
    runId: RunId,
    digest: Digest,
    offset: number,
    length: number,
    vouch?: Vouch,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** `sha256` for large bodies: native and off the main thread where the platform has it. */
export async function sha256Async(bytes: Uint8Array<ArrayBuffer>): Promise<Digest> {
  return bytesToHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) as Digest;
}

export function createBlobRequests(requests: Requests): BlobRequests {
  return {
    blob: async (runId, digest, limit, vouch) => {
      const path = routes.blob(runId, digest);
      const init = { headers: { ...(await vouch?.(path)) }, timeout: 300_000 };
      const { status, bytes } = await requests.bytes(path, limit, init);
      if ((await sha256Async(bytes)) === digest) return bytes;
      const message = `${requests.base}${path} answered bytes that do not have the digest asked for.`;
      throw new CoordinatorError(status, "BLOB_MISMATCH", message);
    },
    blobPart: async (runId, digest, offset, length, vouch) => {
      const path = routes.blob(runId, digest);
      const range = { range: `bytes=${offset}-${offset + length - 1}` };
      const init = { headers: { ...range, ...(await vouch?.(path)) }, timeout: 300_000 };
      const { status, bytes } = await requests.bytes(path, length, init);
      if (status === 206 && bytes.length === length) return bytes;
      const message = `${requests.base}${path} did not answer the range asked for.`;
      throw new CoordinatorError(status, "BLOB_MISMATCH", message);
    },
  };
}
